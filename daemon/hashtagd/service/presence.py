"""What the running daemon tells other commands on this machine: a small file beside its lock.

It is written only when something changed, so an idle daemon writes nothing. Whether the process still lives
is proven by the lock, never by this file. What was wrong with the roots stays in it after the process ended,
also for roots that the next process does not watch; when it was seen is the age of the file.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hashtagd.core.troubles import Scope, Trouble
from hashtagd.service.health import Health

FILE_NAME = "daemon.json"
#: the keys of the three clauses
_CLAUSES = ("what", "does", "you")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRoot:
    """What was wrong with a root when a daemon looked last; troubles as `Trouble.to_json` gives them."""

    path: str | None
    trouble: Mapping[str, Any] | None
    remarks: Sequence[Mapping[str, Any]]
    #: None: it is so now
    seen_at: datetime | None


class Presence:
    """Keeps the file up to date.

    Args:
        folder: the state folder.
        facts: what does not change while the process lives (pid, version, the roots it watches).
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._path = folder / FILE_NAME
        self._facts = dict(facts)
        self._last: str | None = None
        watched = self._facts.get("paths", {})
        self._others = {
            name: _to_json(seen)
            for name, seen in seen_roots(read_presence(folder), running=False).items()
            if name not in watched and (seen.trouble or seen.remarks)
        }

    def tell(
        self,
        health: Health,
        roots: Mapping[str, Trouble],
        watch: Mapping[str, str],
        remarks: Mapping[str, Sequence[Trouble]] | None = None,
    ) -> None:
        """Write how the daemon is, if that changed. Failing to write is no reason to stop working."""
        running = {"well": health.well, "reasons": list(health.reasons), "paused": health.paused}
        text = self._text({**running, "watch": dict(watch)}, roots, remarks or {})
        if text != self._last:
            self._write(text)

    def end(self, roots: Mapping[str, Trouble], remarks: Mapping[str, Sequence[Trouble]]) -> None:
        """Leave what is wrong with the roots behind, for whoever asks once the process is gone."""
        self._write(self._text({}, roots, remarks))

    def _text(
        self,
        running: Mapping[str, Any],
        roots: Mapping[str, Trouble],
        remarks: Mapping[str, Sequence[Trouble]],
    ) -> str:
        told = {
            **self._facts,
            **running,
            "roots": {name: trouble.to_json() for name, trouble in roots.items()},
            "remarks": {
                name: [trouble.to_json() for trouble in troubles] for name, troubles in remarks.items()
            },
            "others": self._others,
        }
        return json.dumps(told, indent=1, sort_keys=True)

    def _write(self, text: str) -> None:
        temporary = self._path.with_name(f".{FILE_NAME}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            return
        self._last = text


def read_presence(folder: Path) -> dict[str, Any]:
    """Read what the daemon last told, and when, as `told_at`; empty when there is nothing readable."""
    try:
        with (folder / FILE_NAME).open(encoding="utf-8") as file:
            data = json.load(file)
            told_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    except (OSError, ValueError):
        return {}
    return {**data, "told_at": told_at} if isinstance(data, dict) else {}


def seen_roots(presence: Mapping[str, Any], *, running: bool) -> dict[str, SeenRoot]:
    """Give what was wrong with each root that a daemon watches, or watched when it was there."""
    told_at = None if running else presence.get("told_at")
    paths, troubles = presence.get("paths", {}), presence.get("roots", {})
    remarks = presence.get("remarks", {})
    before = {
        name: SeenRoot(
            path=seen["path"],
            trouble=seen["trouble"],
            remarks=seen["remarks"],
            seen_at=datetime.fromisoformat(seen["seen_at"]) if seen["seen_at"] else None,
        )
        for name, seen in presence.get("others", {}).items()
    }
    return before | {
        name: SeenRoot(
            path=paths.get(name),
            trouble=troubles.get(name),
            remarks=remarks.get(name, ()),
            seen_at=told_at,
        )
        for name in {*paths, *troubles, *remarks}
    }


def told_troubles(
    name: str, trouble: Mapping[str, Any] | None, remarks: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give what is wrong with a root, and in it, with the documented keys."""
    of_root = [] if trouble is None else [{**trouble, "scope": Scope.ROOT.value}]
    return [
        {"scope": it["scope"], "where": name, **{clause: it[clause] for clause in _CLAUSES}}
        for it in (*of_root, *remarks)
    ]


def _to_json(seen: SeenRoot) -> dict[str, Any]:
    return {
        "path": seen.path,
        "trouble": seen.trouble,
        "remarks": list(seen.remarks),
        "seen_at": None if seen.seen_at is None else seen.seen_at.isoformat(),
    }
