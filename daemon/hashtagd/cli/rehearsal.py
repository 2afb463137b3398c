"""What `run --dry-run` prints: a diff for each sidecar, one line for everything else."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import click

from hashtagd.cli.output import bytes_in_words, print_trouble, safe
from hashtagd.stages.rehearse import Action, Hindrance, Proposal


class Rehearsed:
    """Takes what would be done: prints it, or keeps it for the JSON document at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.told: list[dict[str, Any]] = []
        self._as_json = as_json

    def tell(self, item: Proposal | Hindrance) -> None:
        """Take one artifact, or a reason why something would not be written."""
        if self._as_json:
            self.told.append(_json(item))
        elif isinstance(item, Hindrance):
            print_trouble({**item.trouble.to_json(), "where": item.where})
        else:
            for line in _lines(item):
                click.echo(line)


def _lines(item: Proposal) -> Iterator[str]:
    where, size = safe(item.where), bytes_in_words(len(item.after))
    diff = _diff(item)
    if diff is not None:
        yield from map(safe, diff)
    elif item.action is Action.SET:
        yield f"would set {safe(item.writer.partition(':')[2])} of {where} ({size})"
    elif item.action is Action.REMOVE:
        attribute = item.writer.partition(":")[2]
        yield f"would remove {safe(attribute)} of {where}" if attribute else f"would remove {where}"
    else:
        kind = " picture" if item.is_picture else ""
        yield f"would write {where} ({size}{kind})"


def _diff(item: Proposal) -> list[str] | None:
    """Make the unified diff of a text; None for everything else."""
    if item.action is not Action.WRITE or item.is_picture:
        return None
    try:
        before, after = (item.before or b"").decode(), item.after.decode()
    except UnicodeDecodeError:
        return None
    where = item.where
    old = "/dev/null" if item.before is None else where
    return list(unified_diff(before.splitlines(), after.splitlines(), old, where, lineterm=""))


def _json(item: Proposal | Hindrance) -> dict[str, Any]:
    place = {"root": item.place.root, "path": item.place.relpath}
    if isinstance(item, Hindrance):
        clauses = {name: getattr(item.trouble, name) for name in ("what", "does", "you")}
        return {"action": "none", **place, **clauses}
    diff = _diff(item)
    return {
        "action": item.action.value,
        **place,
        "writer": item.writer or None,
        "size_bytes": len(item.after),
        "diff": None if diff is None else "\n".join(diff),
    }
