"""What `restore` tells: every file that was not there already, totals, and what is wrong with the list."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from hashtagd.cli.main import EXIT_FAILED, EXIT_TRY_AGAIN
from hashtagd.cli.output import bytes_in_words, print_json, print_table, safe
from hashtagd.core.manifest import FIELDS, Entry
from hashtagd.core.restoring import Plan
from hashtagd.service.lists import ReadList
from hashtagd.service.restoring import Ending, Result

_WORDS: Final[Mapping[Ending, str]] = {
    Ending.THERE: "already there",
    Ending.LINKED: "linked",
    Ending.CLONED: "copied",
    Ending.COPIED: "copied",
    Ending.FETCHED: "fetched",
    Ending.MISSING: "to fetch",
    Ending.ELSEWHERE: "lies elsewhere",
    Ending.GONE: "gone",
    Ending.LATER: "not asked",
    Ending.NEEDS_KEY: "needs a key",
    Ending.OCCUPIED: "in the way",
    Ending.UNUSABLE: "unusable",
    Ending.FAILED: "failed",
}
_RESTORED: Final = frozenset({Ending.THERE, Ending.LINKED, Ending.CLONED, Ending.COPIED, Ending.FETCHED})
#: what a rehearsal leaves open, because the real thing does it
_LEFT_OPEN: Final = frozenset({Ending.MISSING, Ending.ELSEWHERE})


@dataclass(kw_only=True)
class Report:
    """Collects what became of the files, and prints it."""

    source: Path
    listed: ReadList
    plan: Plan
    dry_run: bool
    results: list[Result] = field(default_factory=list)

    def take(self, results: Iterable[Result]) -> None:
        """Take what became of files, as it comes."""
        self.results += results

    @property
    def exit_code(self) -> int:
        """Choose: everything is there 0, a site was away 75, anything else that is not there 1."""
        fine = _RESTORED | (_LEFT_OPEN if self.dry_run else frozenset())
        endings = {result.ending for result in self.results}
        if Ending.LATER in endings:
            return EXIT_TRY_AGAIN
        return EXIT_FAILED if self.listed.mistakes or not endings <= fine else 0

    def print(self) -> None:
        """Print for people: those files that were not there already, and counts."""
        for mistake in self.listed.mistakes:
            click.echo(f"{safe(self.source)}: {safe(mistake)}", err=True)
        print_table(
            ["what", "file", "size", "why"],
            [_cells(it) for it in self.results if it.ending is not Ending.THERE],
            whole=("why",),
        )
        counted = Counter(_WORDS[it.ending] for it in self.results)
        words = (f"{counted[word]} {word}" for word in dict.fromkeys(_WORDS.values()) if counted[word])
        click.echo(", ".join(words) or "nothing in the list can be used")
        if self.plan.bytes_to_fetch:
            click.echo(f"to fetch: {bytes_in_words(self.plan.bytes_to_fetch)}{self._unknown()}")
        for it in self.plan.shortages:
            click.echo(
                f"{', '.join(map(safe, it.roots))}: {bytes_in_words(it.needed_bytes)} are needed, "
                f"and {bytes_in_words(it.free_bytes)} may be used",
                err=True,
            )

    def print_json(self) -> None:
        """Print one document for programs."""
        counted = Counter(it.ending for it in self.results)
        print_json(
            {
                "list": {
                    "kind": self.listed.kind.value,
                    "entries": len(self.listed.entries),
                    "repeats": self.plan.repeats,
                    "mistakes": [{"where": it.where, "rule": it.rule} for it in self.listed.mistakes],
                },
                "files": [_json(it) for it in self.results],
                "totals": {
                    **{ending.value: counted[ending] for ending in Ending},
                    "bytes_to_fetch": self.plan.bytes_to_fetch,
                    "unknown_sizes": self.plan.unknown_sizes,
                },
                "shortages": [
                    {"roots": it.roots, "needed_bytes": it.needed_bytes, "free_bytes": it.free_bytes}
                    for it in self.plan.shortages
                ],
            }
        )

    def _unknown(self) -> str:
        return f", and {self.plan.unknown_sizes} files of unknown size" if self.plan.unknown_sizes else ""


def _cells(result: Result) -> list[object]:
    entry = result.step.entry
    size = None if entry.size_bytes is None else bytes_in_words(entry.size_bytes)
    address = next((url.url for url in result.told.urls), None) if result.told else None
    return [_WORDS[result.ending], _name(result), size, result.why or address]


def _name(result: Result) -> str:
    target, entry = result.step.target, result.step.entry
    if target is not None:
        return f"{target.root}/{target.relpath}"
    if entry.path is not None:
        return "/".join(filter(None, (entry.root, entry.path)))
    return entry.model_name or entry.sha256 or f"version {entry.version_id}"


def _json(result: Result) -> dict[str, Any]:
    target = result.step.target
    urls = () if result.told is None else result.told.urls
    return {
        **_facts(result.step.entry),
        "target": None if target is None else {"root": target.root, "path": target.relpath},
        "ending": result.ending.value,
        "why": result.why,
        "urls": [{"url": url.url, "source": url.source} for url in urls],
    }


def _facts(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in FIELDS if name != "urls"}
