"""Who is asked at all, by the settings, and whom a closed gate holds up: what reports of questions go by."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from hashtagd.catalog.asked import Askers
from hashtagd.catalog.gates import GateState
from hashtagd.catalog.rows import OWNER
from hashtagd.settings import Loaded, SettingsMistakes


def askers_of(loaded: Loaded, gates: Sequence[GateState]) -> Askers:
    """Give the providers that the settings name, the owner's among them."""
    names = {entry.kind for entry in loaded.settings.providers}
    closed = {gate.origin: gate.opens_at for gate in gates if not gate.open and gate.opens_at is not None}
    held = _held_until(loaded, closed) if closed else {}
    return Askers(names=names | {OWNER}, held_until=held)


def _held_until(loaded: Loaded, closed: Mapping[str, datetime]) -> dict[str, datetime]:
    # it imports every provider: only where a gate is closed it is of use
    from hashtagd.core.ports import AsksByVersion  # noqa: PLC0415
    from hashtagd.providers.entrance import origin_of  # noqa: PLC0415
    from hashtagd.service.parts import check_providers  # noqa: PLC0415

    waits: dict[str, datetime | None] = {}
    with suppress(SettingsMistakes):  # `run` and `check-config` tell of them
        for entry, (cls, options) in zip(loaded.settings.providers, check_providers(loaded), strict=True):
            base_url = getattr(options, "base_url", None)
            waits[entry.kind] = closed.get(entry.kind if base_url is None else origin_of(base_url))
            if isinstance(cls, type) and issubclass(cls, AsksByVersion):
                waits.setdefault(OWNER, waits[entry.kind])  # the first of them is asked
    return {name: until for name, until in waits.items() if until is not None}
