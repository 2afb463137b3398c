"""The unit of systemd and its drop-in for the folders of this machine, as texts. Writes nothing."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import hashtagd
from hashtagd.core.troubles import AskOperator, Scope

#: what the drop-in is called; the number puts it before what the owner adds with `systemctl edit`
DROP_IN: Final = "hashtagd.service.d/10-hashtagd.conf"
UNIT: Final = "hashtagd.service"
#: how the first line of everything that is written by us begins, and only of that
MARK: Final = "# written by `hashtagd service install`"
#: the sum is of all that follows: it tells whether somebody changed it
_MARKED: Final = re.compile(rf"{re.escape(MARK)}, sum ([0-9a-f]{{16}}); what you change here stays yours\n")
CREDENTIAL: Final = "civitai-api-key"
#: what stands in the drop-in before the mark of a key that was put somewhere by us
KEY_MARK: Final = "# hashtagd put it there: "


class Manager(StrEnum):
    """Whose service it is."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the texts depend on."""

    #: what is started: absolute
    program: Sequence[str]
    #: the settings that were named; None: the usual places
    config: Path | None
    #: folders that are written to
    folders: Sequence[Path]
    #: where the catalog and the locks of a user's service are; None: at the usual place
    state_folder: Path | None = None
    #: host and port of the local page; None: there is none
    listens: tuple[str, int] | None = None
    #: the file with the key; None: none
    key_file: Path | None = None
    #: the mark of a key that we put there; None: somebody else did
    key_mark: str | None = None


def rendered(manager: Manager, machine: Machine) -> dict[str, str]:
    """Give the files by their names below the manager's folder of units.

    Raises:
        AskOperator: scope `daemon`: this installation has no unit, or a path cannot stand in one.
    """
    return {UNIT: _marked(_template(manager)), DROP_IN: _marked(_drop_in(manager, machine))}


def is_as_written(text: str) -> bool | None:
    """Tell whether nobody changed a text of ours since; None: it is not ours."""
    if not text.startswith(MARK):
        return None
    found = _MARKED.match(text)
    return found is not None and found[1] == _sum(text[found.end() :])


def _marked(text: str) -> str:
    return f"{MARK}, sum {_sum(text)}; what you change here stays yours\n{text}"


def _sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def unit_folder(manager: Manager, environ: Mapping[str, str], home: Path) -> Path:
    """Say where the manager looks for units of the owner."""
    if manager is Manager.SYSTEM:
        return Path("/etc/systemd/system")
    configured = environ.get("XDG_CONFIG_HOME", "")
    return (Path(configured) if configured.startswith("/") else home / ".config") / "systemd" / "user"


def program_of() -> list[str]:
    """Name the program that runs now, as it can be started by others."""
    beside = Path(sys.executable).with_name("hashtagd")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "hashtagd"]


def _template(manager: Manager) -> str:
    name = "hashtagd-user.service" if manager is Manager.USER else UNIT
    package = Path(hashtagd.__file__).parent
    # within an installed package, or in a checkout
    for folder in (package / "units", package.parents[1] / "systemd"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise AskOperator(
        "this installation of hashtagd came without its units for systemd",
        does="nothing was written",
        you="install it from its wheel or its repository, or write a unit by hand (systemd/README.md)",
        scope=Scope.DAEMON,
        kind="no_units",
    )


def _drop_in(manager: Manager, machine: Machine) -> str:
    command = [*machine.program, *(("--config", str(machine.config)) if machine.config else ()), "run"]
    lines = [
        "[Service]",
        "# an empty line first: without it systemd would start both",
        "ExecStart=",
        f"ExecStart={' '.join([_program(command[0]), *map(_quoted, command[1:])])}",
    ]
    if machine.state_folder is not None:
        lines += _state(machine.state_folder)
    if machine.folders:
        lines.append(
            "# what the settings say it writes to, and where links in roots lead; `-`: it may be away"
        )
        lines += [f"ReadWritePaths={_path(folder)}" for folder in machine.folders]
    # a user's manager may forbid no port, so there is nothing to allow
    if machine.listens is not None and manager is Manager.SYSTEM:
        host, port = machine.listens
        lines.append("# the local page of the settings, and no other port")
        lines.append(f"SocketBindAllow={'ipv6' if ':' in host else 'ipv4'}:tcp:{port}")
    if machine.key_file is not None:
        lines.append("# read by systemd, and shown to this service alone")
        lines += [] if machine.key_mark is None else [f"{KEY_MARK}{machine.key_mark}"]
        lines.append(f"LoadCredential={CREDENTIAL}:{_plain(machine.key_file)}")
    return "\n".join(lines) + "\n"


def _state(folder: Path) -> list[str]:
    word = f"HASHTAGD_STATE_DIR={_checked(str(folder))}"
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return [
        "# where this shell keeps the catalog: commands and the service must mean the same one",
        f'Environment="{escaped}"',
        "ExecStartPre=",
        f"ExecStartPre=+/bin/mkdir -p -m 0700 {_quoted(str(folder))}",
        f"ReadWritePaths={_path(folder)}",
    ]


def _program(path: str) -> str:
    """Quote what is started: there a `$` is a `$`, and quotes and backslashes are refused by systemd."""
    if set(path) & set("\"'\\"):
        raise _unfit()
    text = _checked(path).replace("%", "%%")
    return text if shlex.quote(path) == path and text == path else f'"{text}"'


def _quoted(word: str) -> str:
    """Quote a word of a command line as systemd reads it: `%` and `$` mean something there, too."""
    text = _checked(word).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return text if shlex.quote(word) == word and text == word else f'"{text}"'


def _path(folder: Path) -> str:
    text = _checked(str(folder)).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"-{text}"' if any(char in text for char in " \t'\"\\") else f"-{text}"


def _plain(path: Path) -> str:
    """Spell a path that nothing can quote: at its end a space would be lost, a backslash would join lines."""
    if str(path).endswith((" ", "\\")):
        raise _unfit()
    return _checked(str(path)).replace("%", "%%")


def _checked(text: str) -> str:
    if text.isprintable():
        return text
    raise _unfit()


def _unfit() -> AskOperator:
    return AskOperator(
        "a path holds characters that cannot stand in a unit of systemd",
        does="nothing was written",
        you="give the folder another name, or write the unit by hand (systemd/README.md)",
        scope=Scope.DAEMON,
        kind="unfit_path",
    )
