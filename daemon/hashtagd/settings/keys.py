"""Finds the API key: in the environment, in a file, or among systemd's credentials. Never tells its value."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from hashtagd.settings.mistakes import KeyPath, Lines, Mistake, SettingsMistakes, spell
from hashtagd.settings.schema import Settings
from hashtagd.settings.values import expand_home, home_folder
from hashtagd.system.files import open_at_once

KEY_VARIABLE = "CIVITAI_API_KEY"
CREDENTIAL = "civitai-api-key"
KEY_FILE_OPTION = "api_key_file"
#: shorter ones could not be told apart from ordinary words when logs are searched for them
MIN_KEY_CHARACTERS = 8
_MAX_FILE_BYTES = 4096
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def key_mistake(environ: Mapping[str, str]) -> Mistake | None:
    """Judge the key in the environment; None when there is none or it is well-formed."""
    rule = _broken_rule(environ.get(KEY_VARIABLE, "").strip())
    if rule is None or not environ.get(KEY_VARIABLE, "").strip():
        return None
    return Mistake(line=None, path=f"${KEY_VARIABLE}", rule=rule)


def find_api_key(
    settings: Settings, environ: Mapping[str, str], *, source: str = "settings", lines: Lines | None = None
) -> SecretStr | None:
    """Find the key for Civitai: `$CIVITAI_API_KEY`, `api_key_file`, systemd's credential, in this order.

    A file that only systemd may read (a service's own user may not) is what the credential was made from.
    Returns None when nobody gave one: most of the work needs none.

    Raises:
        SettingsMistakes: one was given and cannot be used.
    """
    given = environ.get(KEY_VARIABLE, "").strip()
    if given:
        mistake = key_mistake(environ)
        if mistake is not None:
            raise SettingsMistakes(source, [mistake])
        return SecretStr(given)
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(folder) / CREDENTIAL
    handed_on = bool(folder) and credential.exists()
    named = _key_file(settings, environ)
    if named is not None and not (handed_on and _is_for_others(named[1])):
        place, path = named
        return _read(path, spell(place), source, (lines or Lines()).find(place))
    return _read(credential, f"$CREDENTIALS_DIRECTORY/{CREDENTIAL}", source, None) if handed_on else None


def key_file(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Give the file that the settings name for the key; None: they name none."""
    named = _key_file(settings, environ)
    return None if named is None else named[1]


def read_key_file(path: Path) -> SecretStr:
    """Read a file that holds nothing but a key; white space around it is dropped.

    Raises:
        ValueError: it is missing, readable by everybody, empty, or holds no usable key.
    """
    try:
        with open_at_once(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {os.strerror(error.errno or 0)}") from None
    if mode & stat.S_IROTH:
        raise ValueError("names a file that everybody may read; run: chmod 600 on it")
    text = data.decode("latin-1").strip()
    rule = _broken_rule(text) if len(data) <= _MAX_FILE_BYTES else "names a file too large to be a key"
    if rule is not None:
        raise ValueError(rule)
    return SecretStr(text)


def _broken_rule(text: str) -> str | None:
    if not text:
        return "holds no key"
    if not _PRINTABLE.fullmatch(text):
        return "holds something that is no key: a key is one line of ASCII without spaces"
    if len(text) < MIN_KEY_CHARACTERS:
        return f"holds something too short for a key: at least {MIN_KEY_CHARACTERS} characters"
    return None


def _key_file(settings: Settings, environ: Mapping[str, str]) -> tuple[KeyPath, Path] | None:
    for index, entry in enumerate(settings.providers):
        name = entry.options.get(KEY_FILE_OPTION)
        if isinstance(name, str):
            home = home_folder(environ)
            expanded = expand_home(name, home) if home is not None else name
            return ("providers", index, KEY_FILE_OPTION), Path(expanded)
    return None


def _is_for_others(path: Path) -> bool:
    try:
        open_at_once(path).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _read(path: Path, spelled: str, source: str, line: int | None) -> SecretStr:
    try:
        return read_key_file(path)
    except ValueError as error:
        raise SettingsMistakes(source, [Mistake(line=line, path=spelled, rule=str(error))]) from None
