"""The key of a service that systemd starts: in a file that only its owner reads, handed on as a credential.

A shell's `$CIVITAI_API_KEY` reaches no service. What is put there is known by a mark in the drop-in: a few
digits of a sum, which tell whether the file is as we left it, and nothing of the key.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from hashtagd.service.units import CREDENTIAL, DROP_IN, KEY_MARK, Manager, unit_folder

_MARKED: Final = re.compile(rf"^{re.escape(KEY_MARK)}([0-9a-f]{{8}})$", re.MULTILINE)
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o755
_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """Where the key of a service is, and whether it has to be put there first."""

    path: Path
    #: to be put there; None: it is there
    key: SecretStr | None = None
    #: the mark of what we put there, now or earlier; None: somebody else did
    mark: str | None = None


def usual_place(manager: Manager, environ: Mapping[str, str], home: Path) -> Path:
    """Say where the key lies if the settings name no other file."""
    if manager is Manager.SYSTEM:
        return Path("/etc/hashtagd", CREDENTIAL)
    configured = environ.get("XDG_CONFIG_HOME", "")
    return (Path(configured) if configured.startswith("/") else home / ".config") / "hashtagd" / CREDENTIAL


def choose(
    manager: Manager, environ: Mapping[str, str], home: Path, given: SecretStr | None
) -> KeyFile | None:
    """Decide on the usual place: a file of somebody else stays as it is, ours may get another key.

    Args:
        manager: whose service it is.
        environ: tells where the owner keeps settings.
        home: the owner's home folder.
        given: the key in the environment; None: there is none.
    """
    path = usual_place(manager, environ, home)
    mark = mark_in(unit_folder(manager, environ, home) / DROP_IN)
    there = _read(path)
    if there is None and _is_closed(path):  # root's, and who asks only wants to see the units
        return KeyFile(path=path, mark=mark)
    if there is not None and (mark is None or mark_of(there) != mark):
        return KeyFile(path=path)
    if given is not None and there != given.get_secret_value():
        return KeyFile(path=path, key=given, mark=mark_of(given.get_secret_value()))
    return None if there is None else KeyFile(path=path, mark=mark)


def mark_of(key: str) -> str:
    """Give the mark of a key: enough to see a change, too little to find anything out."""
    return sha256(b"hashtagd key file\0" + key.encode()).hexdigest()[:8]


def mark_in(drop_in: Path) -> str | None:
    """Read the mark from a drop-in; None: we put no key anywhere."""
    try:
        found = _MARKED.search(drop_in.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return None if found is None else found[1]


def put(path: Path, key: SecretStr) -> None:
    """Write the key, for its owner's eyes only from the first byte on.

    Raises:
        OSError: it could not be written; nothing is left over.
    """
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(f"{key.get_secret_value()}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def take_back(path: Path, mark: str) -> bool:
    """Remove the file if it is as we left it; returns whether it is gone.

    Raises:
        OSError: it could not be removed.
    """
    there = _read(path)
    if there is not None:
        if mark_of(there) != mark:
            return False
        path.unlink()
        with suppress(OSError):  # settings may lie beside it
            path.parent.rmdir()
    return not os.path.lexists(path)


def _is_closed(path: Path) -> bool:
    """Tell whether there is an ordinary file that we may not read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        path.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _read(path: Path) -> str | None:
    """Read a file as a key; None: there is no ordinary file, or it may not be read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return path.read_bytes()[:_MAX_BYTES].decode("latin-1").strip()
    except OSError:
        return None
