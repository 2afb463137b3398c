"""The unit of systemd and its drop-in for the folders of this machine, as texts. Writes nothing."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import hashtagd
from hashtagd.core.troubles import AskOperator, Scope

#: what the drop-in is called; the number puts it before what the owner adds with `systemctl edit`
DROP_IN: Final = "hashtagd.service.d/10-hashtagd.conf"
UNIT: Final = "hashtagd.service"
#: the first line of everything that is written by us, and only of that
MARK: Final = "# written by `hashtagd service install`; changes are kept: what you edited is yours"
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
    #: folders that are written to: the roots, and where links in them lead
    folders: Sequence[Path]
    #: the file with the key; None: none
    key_file: Path | None = None
    #: the mark of a key that we put there; None: somebody else did
    key_mark: str | None = None


def rendered(manager: Manager, machine: Machine) -> dict[str, str]:
    """Give the files by their names below the manager's folder of units.

    Raises:
        AskOperator: scope `daemon`: this installation has no unit, or a path cannot stand in one.
    """
    return {UNIT: f"{MARK}\n{_template(manager)}", DROP_IN: f"{MARK}\n{_drop_in(machine)}"}


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


def _drop_in(machine: Machine) -> str:
    command = [*machine.program, *(("--config", str(machine.config)) if machine.config else ()), "run"]
    lines = [
        "[Service]",
        "# an empty line first: without it systemd would start both",
        "ExecStart=",
        f"ExecStart={' '.join(map(_quoted, command))}",
    ]
    if machine.folders:
        lines.append("# folders with models, and where links in them lead; `-`: it may be away")
        lines += [f"ReadWritePaths={_path(folder)}" for folder in machine.folders]
    if machine.key_file is not None:
        lines.append("# read by systemd, and shown to this service alone")
        lines += [] if machine.key_mark is None else [f"{KEY_MARK}{machine.key_mark}"]
        lines.append(f"LoadCredential={CREDENTIAL}:{_plain(machine.key_file)}")
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """Quote a word of a command line as systemd reads it: `%` and `$` mean something there, too."""
    text = _checked(word).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return text if shlex.quote(word) == word and text == word else f'"{text}"'


def _path(folder: Path) -> str:
    text = _checked(str(folder)).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"-{text}"' if any(char in text for char in " \t'\"\\") else f"-{text}"


def _plain(path: Path) -> str:
    return _checked(str(path)).replace("%", "%%")


def _checked(text: str) -> str:
    if text.isprintable():
        return text
    raise AskOperator(
        "a path holds characters that cannot stand in a unit of systemd",
        does="nothing was written",
        you="give the folder another name, or write the unit by hand (systemd/README.md)",
        scope=Scope.DAEMON,
        kind="unfit_path",
    )


def written_folders(roots: Iterable[Path]) -> list[Path]:
    """List roots, and the folders that links directly in them lead to, each once, outer ones only."""
    found: dict[Path, None] = {}
    for root in roots:
        found[root] = None
        try:
            links = sorted(child for child in root.iterdir() if child.is_symlink() and child.is_dir())
        except OSError:
            continue
        found.update(dict.fromkeys(link.resolve() for link in links))
    return [it for it in found if not any(it != other and it.is_relative_to(other) for other in found)]
