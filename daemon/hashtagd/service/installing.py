"""Writes units, tells systemd, and takes back exactly what was written and nobody changed since."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from pydantic import SecretStr

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.key_file import KeyFile, mark_in, put, take_back
from hashtagd.service.units import DROP_IN, UNIT, Manager, is_as_written, unit_folder
from hashtagd.system.process import has_user

#: there only where systemd is the first process
_RUNS: Final = Path("/run/systemd/system")
_ANSWERS_WITHIN_S: Final = 90.0
_UNIT_MODE: Final = 0o644
#: whom the service of the machine runs as
SERVICE_USER: Final = "hashtagd"
#: where `~` leads for the service of the machine
SERVICE_HOME: Final = "/var/lib/hashtagd"
_SPECIFIER: Final = re.compile("%[h%]")
_USER_LINE: Final = f'u {SERVICE_USER} - "hashtagd" {SERVICE_HOME}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was done, or was not."""

    did: str
    #: False: somebody has to do it by hand
    well: bool = True


class Installer:
    """Installs for one manager.

    Args:
        folder: where its units lie.
        key_place: where a key lies that we put somewhere.
        runs: whether there is a manager to talk to.
        systemctl: how it is talked to.
    """

    def __init__(
        self,
        manager: Manager,
        folder: Path,
        *,
        key_place: Path | None = None,
        runs: bool | None = None,
        systemctl: Sequence[str] | None = None,
    ) -> None:
        self._manager = manager
        self._folder = folder
        self._key_place = key_place
        self._systemctl = list(systemctl or _systemctl(manager))
        self._runs = _is_there(manager) if runs is None else runs

    def install(self, files: Mapping[str, str], key: KeyFile | None = None) -> Iterator[Step]:
        """Write the files, and start the service where systemd runs. Repeats: what is as it should be stays.

        Raises:
            AskOperator: scope `daemon`: a file could not be written, or one of somebody else's is in the way.
        """
        if key is not None and key.key is not None:
            yield self._put(key.path, key.key)
        was_there = (self._folder / UNIT).exists()
        changed = False
        for name, text in files.items():
            step, is_new = self._write(self._folder / name, text)
            changed = changed or is_new
            yield step
        if not self._runs:
            yield Step(did=f"systemd does not run here; when it does: {self._by_hand()}", well=False)
            return
        if self._manager is Manager.SYSTEM and not has_user(SERVICE_USER):
            yield self._run([which("systemd-sysusers") or "systemd-sysusers", "--inline", _USER_LINE])
        yield self._tell("daemon-reload")
        yield self._tell("enable", "--now", UNIT)
        if was_there and changed:
            # what runs already was started by the old texts
            yield self._tell("restart", UNIT)

    def uninstall(self) -> Iterator[Step]:
        """Stop the service and remove what we wrote; what somebody edited stays, and is said so.

        Raises:
            AskOperator: scope `daemon`: a file could not be removed.
        """
        if self._runs and self._wrote(self._folder / UNIT):
            yield self._tell("disable", "--now", UNIT)
        mark = mark_in(self._folder / DROP_IN)
        if self._key_place is not None and mark is not None:
            yield self._take_back(self._key_place, mark)
        for name in (DROP_IN, UNIT):
            path = self._folder / name
            if path.exists() or path.is_symlink():
                yield self._remove(path)
        with suppress(OSError):
            (self._folder / DROP_IN).parent.rmdir()
        if self._runs:
            yield self._tell("daemon-reload")

    def _write(self, path: Path, text: str) -> tuple[Step, bool]:
        """Write a file; tells whether anything had to be done."""
        try:
            before = path.read_text(encoding="utf-8") if path.exists() else None
            # a link is somebody's, wherever it leads
            ours = None if path.is_symlink() else before is None or is_as_written(before)
            if not ours:
                raise _in_the_way(path, self._tool if ours is False else None)
            if before == text:
                return Step(did=f"{path} is as it should be"), False
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(_UNIT_MODE)
            temporary.replace(path)
        except (OSError, UnicodeDecodeError) as error:
            raise _unwritable(path, error) from error
        return Step(did=f"{path} was {'written' if before is None else 'written anew'}"), True

    @staticmethod
    def _wrote(path: Path) -> bool:
        """Tell whether a file is of us, changed or not: what somebody else made is not ours to stop."""
        try:
            return not path.is_symlink() and is_as_written(path.read_text(encoding="utf-8")) is not None
        except (OSError, UnicodeDecodeError):
            return False

    def _remove(self, path: Path) -> Step:
        try:
            ours = None if path.is_symlink() else is_as_written(path.read_text(encoding="utf-8"))
            if not ours:
                why = "hashtagd did not write it" if ours is None else "somebody changed it"
                return Step(did=f"{path} stays: {why}", well=False)
            path.unlink()
        except (OSError, UnicodeDecodeError) as error:
            raise _unwritable(path, error) from error
        return Step(did=f"{path} was removed")

    def _put(self, path: Path, key: SecretStr) -> Step:
        try:
            put(path, key)
        except OSError as error:
            raise _unwritable(path, error) from error
        return Step(did=f"{path} holds the key of $CIVITAI_API_KEY now, for its owner alone (mode 600)")

    def _take_back(self, path: Path, mark: str) -> Step:
        try:
            gone = take_back(path, mark)
        except OSError as error:
            raise _unwritable(path, error) from error
        if gone:
            return Step(did=f"{path} was removed")
        return Step(did=f"{path} stays: it holds another key than hashtagd put there", well=False)

    def _tell(self, *words: str) -> Step:
        return self._run([*self._systemctl, *words])

    @staticmethod
    def _run(command: Sequence[str]) -> Step:
        shown = " ".join([Path(command[0]).name, *command[1:]])
        try:
            done = subprocess.run(  # noqa: S603 - fixed words
                command,
                capture_output=True,
                text=True,
                timeout=_ANSWERS_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Step(did=f"`{shown}` could not be run ({type(error).__name__})", well=False)
        if done.returncode == 0:
            return Step(did=f"`{shown}`")
        said = " ".join(done.stderr.split())[:300]
        return Step(did=f"`{shown}` failed: {said}", well=False)

    def _by_hand(self) -> str:
        return f"`{self._tool} daemon-reload` and `{self._tool} enable --now {UNIT}`"

    @property
    def _tool(self) -> str:
        return "systemctl --user" if self._manager is Manager.USER else "systemctl"


def unwritten(
    manager: Manager, environ: Mapping[str, str], home: Path, folders: Sequence[Path]
) -> list[Path] | None:
    """List the folders that the installed unit may not write to; None: there is no unit."""
    units = unit_folder(manager, environ, home)
    if not (units / UNIT).is_file():
        return None
    texts = []
    for path in sorted((units / f"{UNIT}.d").glob("*.conf")):
        with suppress(OSError, UnicodeDecodeError):
            texts.append(path.read_text(encoding="utf-8"))
    named = [path for line in "\n".join(texts).splitlines() for path in _writable(line, home)]
    return [it for it in folders if not any(it.is_relative_to(path) for path in named)]


def _writable(line: str, home: Path) -> list[str]:
    """Read the folders of a line; systemd quotes as shells do, and a `%` begins one of its own words."""
    name, _, value = line.partition("=")
    if name.strip() != "ReadWritePaths":
        return []
    try:
        words = shlex.split(value)
    except ValueError:
        return []
    return [
        _SPECIFIER.sub(lambda it: str(home) if it[0] == "%h" else "%", word.lstrip("-+")) for word in words
    ]


def _systemctl(manager: Manager) -> list[str]:
    found = which("systemctl") or "systemctl"
    return [found, "--user"] if manager is Manager.USER else [found]


def _is_there(manager: Manager) -> bool:
    if not _RUNS.is_dir() or which("systemctl") is None:
        return False
    return manager is Manager.SYSTEM or bool(os.environ.get("XDG_RUNTIME_DIR"))


def _in_the_way(path: Path, edit_with: str | None) -> AskOperator:
    """Refuse to replace what is not ours, or not any more; `edit_with` is a tool for lines of one's own."""
    why = "hashtagd did not write it" if edit_with is None else "somebody changed it since hashtagd wrote it"
    keep = "" if edit_with is None else f"put your lines into `{edit_with} edit hashtagd`, where they stay; "
    return AskOperator(
        f"{path} is there, and {why}",
        does="it was left alone, and nothing was started",
        you=f"{keep}move it away, then say `hashtagd service install` again (systemd/README.md)",
        scope=Scope.DAEMON,
        kind="unit_in_the_way",
    )


def _unwritable(path: Path, error: Exception) -> AskOperator:
    why = error.strerror if isinstance(error, OSError) else "it is no text"
    return AskOperator(
        f"{path} could not be changed ({why})",
        does="nothing was started",
        you="say it as root (`sudo hashtagd service install --system`), or install for yourself: `--user`",
        scope=Scope.DAEMON,
        kind="unit_not_writable",
    )
