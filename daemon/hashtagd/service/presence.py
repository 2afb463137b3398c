"""What the running daemon tells other commands on this machine: a small file beside its lock.

It is written only when something changed, so an idle daemon writes nothing. Whether the process still lives
is proven by the lock, never by this file.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hashtagd.core.troubles import Trouble
from hashtagd.service.health import Health

FILE_NAME = "daemon.json"


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

    def tell(
        self,
        health: Health,
        roots: Mapping[str, Trouble],
        watch: Mapping[str, str],
        remarks: Mapping[str, Sequence[Trouble]] | None = None,
    ) -> None:
        """Write how the daemon is, if that changed. Failing to write is no reason to stop working."""
        text = json.dumps(
            {
                **self._facts,
                "well": health.well,
                "reasons": list(health.reasons),
                "watch": dict(watch),
                "roots": {name: trouble.to_json() for name, trouble in sorted(roots.items())},
                "remarks": {
                    name: [trouble.to_json() for trouble in troubles]
                    for name, troubles in sorted((remarks or {}).items())
                },
            },
            indent=1,
            sort_keys=True,
        )
        if text == self._last:
            return
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
    """Read what the daemon last told; empty when there is nothing readable."""
    try:
        data = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
