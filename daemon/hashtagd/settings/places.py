"""Where the settings and the state of this process lie. Looks at the file system only where it says so."""

import os
from collections.abc import Mapping
from pathlib import Path

from hashtagd.settings.document import MAX_CHARACTERS
from hashtagd.settings.mistakes import Mistake, SettingsMistakes
from hashtagd.settings.values import expand_home, home_folder
from hashtagd.system.files import open_at_once

CATALOG_FILE = "catalog.db"
#: the machine's own settings
SYSTEM_CONFIG = Path("/etc/hashtagd/config.yaml")
#: UTF-8 spends up to four bytes on a character
_MAX_BYTES = 4 * MAX_CHARACTERS


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """Tell where catalog and locks lie unless `catalog.url` says otherwise.

    Returns the first of `$STATE_DIRECTORY` (systemd; its first entry), `$HASHTAGD_STATE_DIR` and
    `$XDG_STATE_HOME/hashtagd`; None when the environment names no place at all.
    """
    home = home_folder(environ)
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0] or environ.get("HASHTAGD_STATE_DIR", "")
    if given:
        return Path(expand_home(given, home)) if home or not given.startswith("~") else None
    base = _xdg(environ, "XDG_STATE_HOME", ".local/state")
    return base / "hashtagd" if base else None


def default_catalog_url(environ: Mapping[str, str]) -> str | None:
    """Give the address of the SQLite file in the state folder; None when there is no state folder."""
    folder = state_folder(environ)
    return None if folder is None else f"sqlite:///{folder / CATALOG_FILE}"


def find_config(environ: Mapping[str, str], explicit: Path | None = None) -> Path | None:
    """Look for the file with the settings: `--config`, `$HASHTAGD_CONFIG`, the user's, the machine's.

    Returns the first that was named or that exists; None: there is none, and none is needed.
    """
    if explicit is not None:
        return explicit
    if environ.get("HASHTAGD_CONFIG"):
        named = environ["HASHTAGD_CONFIG"]
        home = home_folder(environ)
        return Path(expand_home(named, home) if home else named)
    base = _xdg(environ, "XDG_CONFIG_HOME", ".config")
    candidates = [base / "hashtagd" / "config.yaml"] if base else []
    candidates.append(SYSTEM_CONFIG)
    return next((path for path in candidates if os.access(path, os.F_OK)), None)


def read_config(path: Path) -> str:
    """Read the text of a settings file, in one go through one descriptor.

    Raises:
        SettingsMistakes: it cannot be read, is far too large, or is not UTF-8.
    """
    try:
        with open_at_once(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _whole(path, f"cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(data) > _MAX_BYTES:
        raise _whole(path, f"is larger than {_MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _whole(path, "is not UTF-8 text") from None


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    # the specification wants relative values ignored
    given = Path(environ.get(variable, ""))
    if given.is_absolute():
        return given
    home = home_folder(environ)
    return None if home is None else home / below_home


def _whole(path: Path, rule: str) -> SettingsMistakes:
    return SettingsMistakes(str(path), [Mistake(line=None, path="", rule=rule)])
