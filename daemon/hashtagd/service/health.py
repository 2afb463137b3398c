"""Alive or well? Alive feeds systemd's watchdog; well feeds `status` and restarts nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.service.lanes import Lane

#: a lane that works on one batch for longer makes the daemon unwell; a 100 GB file takes about a minute
LANE_DEADLINE_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether everything makes progress, and if not, why, in words."""

    well: bool
    reasons: tuple[str, ...]
    #: why something waits on purpose, in words; that is no illness
    paused: str | None = None


def examine(
    lanes: Sequence[Lane],
    roots: Mapping[str, Trouble],
    catalog_trouble: Trouble | None,
    clock: Clock,
    *,
    paused: str | None = None,
    resumed_s: float = float("-inf"),
) -> Health:
    """Ask every lane, every root and the catalog how they are.

    `paused`: why hashing waits on purpose; `resumed_s`: when it did so last (monotonic).
    """
    reasons: list[str] = []
    if catalog_trouble is not None:
        reasons.append(catalog_trouble.what)
    now_s = clock.monotonic_s()
    for lane in lanes:
        pulse = lane.pulse
        # what was waited for on purpose is no time of work
        busy_s = now_s - (max(pulse.beat_s, resumed_s) if _hashes(lane) else pulse.beat_s)
        if not lane.alive:
            reasons.append(f"lane {lane.work.name} has ended")
        elif not pulse.resting and busy_s > LANE_DEADLINE_S and not (paused and _hashes(lane)):
            reasons.append(f"lane {lane.work.name} has been busy with one batch for {busy_s:.0f} s")
        if pulse.last_trouble is not None and pulse.last_trouble.kind == "bug":
            reasons.append(f"lane {lane.work.name}: {pulse.last_trouble.what}")
    reasons.extend(f"root {name}: {trouble.what}" for name, trouble in sorted(roots.items()))
    return Health(well=not reasons, reasons=tuple(dict.fromkeys(reasons)), paused=paused)


def _hashes(lane: Lane) -> bool:
    return lane.work.name.startswith("digest")
