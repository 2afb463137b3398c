"""Errors that say who acts next: time, the file, or a person.

    Trouble
    ├── TryLater      time heals it (a timeout, a busy file, a mount that is away)
    ├── GiveUp        nothing changes until the bytes do (not a model file, a hash the site refuses)
    └── AskOperator   a person has to act (no permission, full disk, a refused key)

Every trouble carries three clauses: what happened, what hashtagd does about it, what you can do. Anything
that is no Trouble is a bug and is treated as one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Scope(StrEnum):
    """How far a trouble reaches: only itself stops, everything else goes on."""

    FILE = "file"
    ROOT = "root"
    PROVIDER = "provider"
    DAEMON = "daemon"


class Trouble(Exception):  # noqa: N818 - a trouble is a word of this house, not every trouble is an error
    """A condition with a scope and three clauses.

    Args:
        what: what happened, with no secrets and no absolute path in it.
        does: what hashtagd does about it.
        you: what the reader can do; names the setting or the command.
        scope: how far it reaches.
        kind: a stable snake_case word for programs, for example `incomplete` or `rate_limited`.
    """

    def __init__(self, what: str, *, does: str, you: str, scope: Scope, kind: str) -> None:
        super().__init__(what)
        self.what = what
        self.does = does
        self.you = you
        self.scope = scope
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.what}; {self.does}; {self.you}"

    def to_json(self) -> dict[str, Any]:
        """Give the form that is stored in the catalog and shown by `status --json`."""
        return {
            "class": type(self).__name__,
            "scope": self.scope.value,
            "kind": self.kind,
            "what": self.what,
            "does": self.does,
            "you": self.you,
        }


class TryLater(Trouble):
    """Time acts next.

    Args:
        after_s: how long to wait; None leaves it to the schedule.
    """

    def __init__(
        self, what: str, *, does: str, you: str, scope: Scope, kind: str, after_s: float | None = None
    ) -> None:
        super().__init__(what, does=does, you=you, scope=scope, kind=kind)
        self.after_s = after_s

    def to_json(self) -> dict[str, Any]:
        """Add the wait to the common form."""
        return {**super().to_json(), "after_s": self.after_s}


class GiveUp(Trouble):
    """The file acts next: nothing is tried before its bytes change or the owner says `hashtagd retry`."""


class AskOperator(Trouble):
    """A person acts next; `you` names the setting or the command."""


_CLASSES: Mapping[str, type[Trouble]] = {cls.__name__: cls for cls in (TryLater, GiveUp, AskOperator)}


def trouble_from_json(data: Mapping[str, Any]) -> Trouble:
    """Rebuild a trouble that was stored with `to_json`.

    Raises:
        KeyError: the mapping was not written by `to_json`.
    """
    words = {name: str(data[name]) for name in ("what", "does", "you", "kind")}
    cls = _CLASSES[data["class"]]
    if cls is TryLater:
        return TryLater(**words, scope=Scope(data["scope"]), after_s=data["after_s"])
    return cls(**words, scope=Scope(data["scope"]))
