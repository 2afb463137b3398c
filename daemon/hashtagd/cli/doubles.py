"""`hashtagd list --duplicates`: which files hold the same, and what the disk would have free."""

from collections.abc import Iterable

import click

from hashtagd.catalog.pages import FileRow
from hashtagd.cli.output import bytes_in_words, print_json_lines, print_table
from hashtagd.service.duplicates import Duplicates, duplicates

_WORDS = {"sha256": "same bytes", "tensors": "same tensors, another header"}


def print_duplicates(rows: Iterable[FileRow], limit: int | None, *, as_json: bool) -> None:
    """Print the groups, those first that cost most; nothing is deleted."""
    groups = duplicates(rows)
    shown = groups if limit is None else groups[:limit]
    if as_json:
        print_json_lines(_to_json(group) for group in shown)
        return
    print_table(
        ["file", "size", "why", "hash", "could be freed"],
        [
            [
                f"{row.root}/{row.relpath}",
                bytes_in_words(row.size_bytes),
                _WORDS[group.by],
                group.hash[:10],
                None if number else bytes_in_words(group.could_free_bytes),
            ]
            for group in shown
            for number, row in enumerate(group.files)
        ],
    )
    exact = sum(group.could_free_bytes for group in groups if group.by == "sha256")
    if groups:
        click.echo(f"{bytes_in_words(exact)} could be freed by keeping one of each; hashtagd deletes nothing")


def _to_json(group: Duplicates) -> dict[str, object]:
    return {
        "by": group.by,
        "hash": group.hash,
        "could_free_bytes": group.could_free_bytes,
        "files": [
            {"root": row.root, "path": row.relpath, "size_bytes": row.size_bytes} for row in group.files
        ],
    }
