"""May this file be read yet? A pure decision over one look; the stage does the looking.

Source: the safetensors format, whose header says how long the file must be, and the ways in which downloaders
leave unfinished files: growing in place, at full size from the start, or beside a control file of their own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hashtagd.core.header import Header, Incomplete, NeedMore, NotAModel, Verdict, Whole
from hashtagd.core.troubles import GiveUp, Scope, TryLater

#: an unfinished file that has not changed for this long is taken for abandoned
_ABANDONED_S: Final = 86_400.0
#: looks at an unfinished file get rarer down to this
_RAREST_LOOK_S: Final = 3_600.0
#: and are never closer than this, whatever the quiet time
_CLOSEST_LOOK_S: Final = 1.0
#: below this size a half empty block count says nothing
_HOLES_MATTER_BYTES: Final = 1 << 20
#: a file that may be reserved space only rests this many quiet times: resumed downloads pause for minutes
_HOLES_PATIENCE: Final = 30
#: a file that cannot be judged by its header rests this many quiet times
_NO_HEADER_PATIENCE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of a file at one moment."""

    now: datetime
    #: since when the bytes are believed to rest; a moment in the future counts as `now`
    still_since: datetime
    quiet_s: float
    #: None: the header was not opened, because files with this extension have none
    verdict: Verdict | None
    #: name of a downloader's control file that lies beside it (`x.safetensors.aria2`), or None
    companion: str | None
    size_bytes: int
    #: what the file occupies on its disk; less than `size_bytes` where it has holes
    allocated_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Read it now."""

    header: Header | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is wrong, it has not rested long enough."""

    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Something is missing; look again, the rarer the longer nothing happened."""

    trouble: TryLater
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """Waiting is pointless; a new stamp wakes it."""

    trouble: GiveUp


Decision = Ready | Wait | NotYet | Never


def decide(look: Look) -> Decision:
    """Decide whether a file may be read yet.

    Repeats: same look, same decision.
    Source: the format's rule that the header covers the rest of the file entirely.
    """
    rest_s = max((look.now - look.still_since).total_seconds(), 0.0)
    if rest_s < look.quiet_s:
        return Wait(wait_s=look.quiet_s - rest_s)
    if look.companion is not None:
        # never given up: that the control file goes away does not change the stamp that would wake this row
        return _not_yet(look, rest_s, f"{look.companion} beside it says that it is still being downloaded")
    verdict = look.verdict
    if isinstance(verdict, NeedMore):  # it got shorter between the stat and the read
        return Wait(wait_s=max(look.quiet_s, _CLOSEST_LOOK_S))
    if isinstance(verdict, Incomplete) or look.size_bytes == 0:
        return _incomplete(look, rest_s)
    return _complete(look, verdict, rest_s)


def _complete(look: Look, verdict: Whole | NotAModel | None, rest_s: float) -> Ready | Wait | Never:
    """Decide for a file that is as long as it should be, as far as anybody can tell."""
    patience_s = _patience(look) * look.quiet_s
    if rest_s < patience_s:
        return Wait(wait_s=patience_s - rest_s)
    if isinstance(verdict, NotAModel):
        return Never(trouble=_not_a_model(verdict))
    return Ready(header=None if verdict is None else verdict.header)


def _patience(look: Look) -> int:
    """Count how many quiet times this file has to rest."""
    if look.size_bytes >= _HOLES_MATTER_BYTES and look.allocated_bytes < look.size_bytes / 2:
        return _HOLES_PATIENCE
    return _NO_HEADER_PATIENCE if look.verdict is None else 1


def _incomplete(look: Look, rest_s: float) -> NotYet | Never:
    declared = look.verdict.declared_bytes if isinstance(look.verdict, Incomplete) else None
    what = _progress(look.size_bytes, declared)
    if rest_s < _ABANDONED_S:
        return _not_yet(look, rest_s, what)
    return Never(
        trouble=GiveUp(
            f"{what}, and nothing has changed for a day",
            does="it is left alone until its bytes change",
            you="fetch the file again, or delete it",
            scope=Scope.FILE,
            kind="incomplete",
        )
    )


def _not_yet(look: Look, rest_s: float, what: str) -> NotYet:
    wait_s = max(look.quiet_s, _CLOSEST_LOOK_S, min(rest_s, _RAREST_LOOK_S))
    return NotYet(
        wait_s=wait_s,
        trouble=TryLater(
            what,
            does="hashtagd looks again by itself",
            you="let the download finish; if it broke off, start it again",
            scope=Scope.FILE,
            kind="incomplete",
            after_s=wait_s,
        ),
    )


def _not_a_model(verdict: NotAModel) -> GiveUp:
    looks = f"it looks like {verdict.looks_like}" if verdict.looks_like else "its header is invalid"
    return GiveUp(
        f"this is not a safetensors file: {looks} ({verdict.rule})",
        does="it is left alone until its bytes change",
        you="fetch the file again; a page that asks for a log-in is often saved under a model's name",
        scope=Scope.FILE,
        kind="not_a_model",
    )


def _progress(present_bytes: int, declared_bytes: int | None) -> str:
    """Say how much is there, in the unit that fits the whole: `3.2 of 6.4 GB are there`."""
    if declared_bytes is None:
        return "the file is empty" if present_bytes == 0 else "the header is not there yet"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        present, declared = f"{present_bytes / size:.1f}", f"{declared_bytes / size:.1f}"
        if declared_bytes >= size and present != declared:
            return f"{present} of {declared} {unit} are there"
    return f"{present_bytes:,} of {declared_bytes:,} bytes are there"
