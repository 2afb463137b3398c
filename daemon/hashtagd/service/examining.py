"""Looks at the machine as the daemon would use it: its store, its clock, its network, what runs beside it."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from hashtagd.catalog.sqlite import WAL_IS_SAFE
from hashtagd.comfyui.looks import is_folder
from hashtagd.core.ports import Clock
from hashtagd.core.troubles import Trouble
from hashtagd.nudges import Unreachable, Unusable
from hashtagd.nudges.line import Line
from hashtagd.providers.http import USER_AGENT
from hashtagd.providers.keys import is_well_formed
from hashtagd.providers.wire import TRANSPORT_ERRORS, Limits, Wire
from hashtagd.service.finding import Finding, fail, ok, warn
from hashtagd.service.installing import unwritten
from hashtagd.service.units import Manager
from hashtagd.settings import Loaded, find_api_key

#: a clock that is further off breaks certificates and schedules
_CLOCK_MAY_BE_OFF_S: Final = 300.0
_ANSWERS_WITHIN_S: Final = 15.0
_BESIDE_WITHIN_S: Final = 2.0
_GOOD: Final = range(200, 400)
_REGION: Final = 451


def examine_store(url: str) -> Finding:
    """Tell which kind of catalog it is, and how it is written."""
    check = "catalog"
    if not url.startswith("sqlite"):
        return ok(check, "PostgreSQL, shared by machines")
    version = sqlite3.sqlite_version
    mode = "a write-ahead log" if sqlite3.sqlite_version_info >= WAL_IS_SAFE else "a rollback journal"
    path = Path(url.removeprefix("sqlite:///").partition("?")[0]).expanduser()
    folder = next((it for it in path.parents if is_folder(it)), Path("/"))
    if not os.access(path if os.access(path, os.F_OK) else folder, os.W_OK):
        return fail(
            check, f"{path} may not be written", "set HASHTAGD_STATE_DIR or `catalog.url` to another place"
        )
    return ok(check, f"SQLite {version} with {mode}, {path}")


def examine_network(loaded: Loaded, clock: Clock, base_url: str) -> Iterator[Finding]:
    """Ask the site for something small; its answer tells of the network, of its mood, and of our clock."""
    check = f"network: {base_url}"
    wire = Wire(clock=clock, limits=Limits(total_s=_ANSWERS_WITHIN_S), proxy=loaded.settings.network.proxy)
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    url = f"{base_url.rstrip('/')}/api/v1/models?limit=1"
    try:
        with wire.exchange("GET", url, headers) as response:
            status, date = response.status_code, response.headers.get("date")
    except TRANSPORT_ERRORS as error:
        yield fail(
            check,
            f"it does not answer ({type(error).__name__})",
            "look at your network, your firewall, or `network.proxy`; hashing goes on without it",
        )
        return
    except Trouble as trouble:
        yield fail(check, trouble.what, trouble.you)
        return
    finally:
        wire.close()
    if status == _REGION:
        yield fail(
            check,
            "it does not serve the region of this machine",
            "only another network helps: `network.proxy`",
        )
    elif status in _GOOD:
        yield ok(check, f"it answers (status {status})")
    else:
        yield warn(
            check, f"it answers with status {status}", "try again later; `hashtagd status` shows closed gates"
        )
    yield from _clock(clock.now(), date)


def examine_key(loaded: Loaded, environ: Mapping[str, str]) -> Finding:
    """Tell whether a key is there; its value is shown nowhere."""
    check = "key"
    try:
        key = find_api_key(loaded.settings, environ, source=loaded.source, lines=loaded.lines)
    except Trouble as trouble:
        return fail(check, trouble.what, trouble.you)
    if key is None:
        return ok(check, "not set; none is needed but for some downloads")
    if not is_well_formed(key.get_secret_value().strip()):
        return fail(
            check, "it holds characters that no key has", "put the key alone into the file, on one line"
        )
    return ok(check, "set; the site tells only at a download whether it is a good one")


def examine_beside(url: str | None, clock: Clock) -> Iterator[Finding]:
    """Look for ComfyUI and LoRA Manager."""
    if url is None:
        yield ok("comfyui", "`comfyui.url` is null: nobody is asked or told")
        return
    line = Line(url, clock)
    try:
        stats = line.get("/system_stats", until_s=line.until_s(_BESIDE_WITHIN_S)).document()
    except Unreachable:
        yield ok("comfyui", f"not running at {url}; it is told of models when it is")
        return
    except Unusable:
        yield warn("comfyui", f"what answers at {url} is no ComfyUI", "set `comfyui.url`, or null")
        return
    system = stats.get("system")
    version = system.get("comfyui_version") if isinstance(system, Mapping) else None
    yield ok("comfyui", f"running at {url}" + (f", version {version}" if isinstance(version, str) else ""))
    try:
        answer = line.get("/api/lm/health-check", until_s=line.until_s(_BESIDE_WITHIN_S))
    except (Unreachable, Unusable):
        answer = None
    there = answer is not None and answer.good
    yield ok(
        "lora-manager",
        "there: it is told of each model" if there else "not there; its sidecars are written all the same",
    )


def examine_service(environ: Mapping[str, str], home: Path, folders: Sequence[Path]) -> Finding:
    """Tell whether a unit is installed, and whether it may write where it should."""
    check = "service"
    for manager in Manager:
        lacking = unwritten(manager, environ, home, folders)
        if lacking is None:
            continue
        if lacking:
            named = ", ".join(str(path) for path in lacking)
            return warn(
                check,
                f"the unit of the {manager} manager does not name {named}",
                f"`hashtagd service install --{manager}` writes it anew",
            )
        return ok(check, f"installed for the {manager} manager, with all folders")
    return ok(check, "not installed; `hashtagd service install` runs it in the background")


def _clock(now: datetime, date: str | None) -> Iterator[Finding]:
    try:
        off_s = (now - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError):
        return
    if abs(off_s) > _CLOCK_MAY_BE_OFF_S:
        yield fail(
            "clock",
            f"it is {abs(off_s) / 60:.0f} minutes {'ahead' if off_s > 0 else 'behind'}",
            "set it (`timedatectl set-ntp true`): certificates and schedules depend on it",
        )
    else:
        yield ok("clock", "it agrees with the site's")
