"""Which roots this process works on: of the command line, or of the settings and ComfyUI's folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from hashtagd.comfyui.looks import is_folder
from hashtagd.comfyui.paths import SILENT, Proposal, RootProposal, propose_roots
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.known_roots import free_name
from hashtagd.settings import Lines, Loaded, Root, RootFindings, SettingsMistakes
from hashtagd.settings.roots import check_roots, look_at_roots
from hashtagd.settings.values import home_folder
from hashtagd.system.patience import all_in_time, in_time, silent_among
from hashtagd.watch.roots import RootFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class RootPlan:
    """The roots, and what should be told about them."""

    folders: tuple[RootFolder, ...]
    warnings: tuple[str, ...] = ()
    #: the catalog may hold roots of other machines, which are none of our business but no leftovers either
    shared: bool = False

    @property
    def shown(self) -> tuple[str, ...] | None:
        """The roots whose files are shown; None: those of the whole catalog."""
        return None if self.shared else tuple(folder.name for folder in self.folders)

    def with_paths(self, paths: Mapping[str, Path], *, moved: bool) -> "RootPlan":
        """Add roots that a daemon is known to watch; `moved`: its paths win over those planned here."""
        known = {folder.name: folder for folder in self.folders}
        for name, path in paths.items():
            if name not in known:
                known[name] = RootFolder(name=name, path=path)
            elif moved:
                known[name] = replace(known[name], path=path)
        return replace(self, folders=tuple(known.values()))

    def path_of(self, root: str, relpath: str) -> Path | None:
        """Give the absolute path of a file; None when this machine does not have the root."""
        return next((folder.path / relpath for folder in self.folders if folder.name == root), None)


def plan_roots(
    loaded: Loaded,
    folders: Sequence[Path],
    *,
    environ: Mapping[str, str],
    state_folder: Path | None,
    known: Mapping[str, Path] | None = None,
    look: bool = True,
) -> RootPlan:
    """Plan the roots of this process; folders of the command line replace the configured roots for this run.

    `known` tells what names have meant on this machine: folders of the command line get names of their own.
    Without `look` the configured folders are not looked at, which may hang as long as a dead share does.

    Raises:
        AskOperator: scope `daemon`: a folder of the command line is none.
        SettingsMistakes: the configured roots do not fit together.
    """
    if folders:
        return _of_command_line(folders, environ, state_folder, known or {})
    settings = loaded.settings
    home = home_folder(environ)
    findings = [
        check_roots(settings.roots, home=home, state_folder=state_folder, lines=loaded.lines),
        look_in_time(settings.roots if look else (), lines=loaded.lines),
    ]
    mistakes = [mistake for finding in findings for mistake in finding.mistakes]
    if mistakes:
        raise SettingsMistakes(loaded.source, mistakes)
    warnings = [warning.text(loaded.source) for finding in findings for warning in finding.warnings]
    configured = [_configured(root) for root in settings.roots]
    proposal = _beside(settings.comfyui.path, environ, refusals(home, state_folder))
    warnings += proposal.warnings
    return RootPlan(folders=tuple(_without_overlap(configured, proposal.roots)), warnings=tuple(warnings))


def _beside(
    comfyui: Path | None, environ: Mapping[str, str], refused: Callable[[Path], str | None]
) -> Proposal:
    """Propose what the settings mean by ComfyUI's folder; its disk may be away."""
    if comfyui is None:
        return Proposal(roots=())
    models = comfyui / "models"
    silent = silent_among([comfyui, models])
    told = (f"{models} {SILENT}",) if silent else ()
    if silent or is_folder(models):
        proposal = propose_roots([models if comfyui in silent else comfyui], environ, refused)
        return replace(proposal, warnings=(*told, *proposal.warnings))
    closed = f"{models} may not be looked at by this user, and is not watched"
    return Proposal(roots=(), warnings=(closed,) if _is_closed(models) else ())


def refusals(home: Path | None, state_folder: Path | None) -> Callable[[Path], str | None]:
    """Hold folders that others name to the rule for those of the settings: none opens the whole disk."""
    real = [None if it is None else Path(os.path.realpath(it)) for it in (home, state_folder)]

    def refused(path: Path) -> str | None:
        root = Root.model_construct(name="", path=path)
        for whole, own in ((home, state_folder), real):
            for mistake in check_roots([root], home=whole, state_folder=own).mistakes:
                return mistake.rule
        return None

    return refused


def look_in_time(roots: Sequence[Root | None], *, lines: Lines | None = None) -> RootFindings:
    """Look at the folders of the settings; one whose disk does not answer is warned of, and left alone."""
    silent = silent_among(root.path for root in roots if root is not None)
    answering = [None if root is None or root.path in silent else root for root in roots]
    found = look_at_roots(answering, lines=lines)
    rule = "does not answer, so its disk or server may be away; watched as soon as it does"
    told = [
        (lines or Lines()).mistake(("roots", index, "path"), rule)
        for index, root in enumerate(roots)
        if root is not None and root.path in silent
    ]
    return RootFindings(mistakes=found.mistakes, warnings=(*found.warnings, *told))


def _of_command_line(
    folders: Sequence[Path], environ: Mapping[str, str], state_folder: Path | None, known: Mapping[str, Path]
) -> RootPlan:
    absolute = [absolute_path(folder) for folder in folders]
    silent = silent_among(absolute)
    for folder in absolute:
        if folder not in silent and not is_folder(folder):
            raise _no_folder(folder)
    home = home_folder(environ)
    proposal = propose_roots(absolute, environ, refusals(home, state_folder))
    asked = [Root.model_construct(name=item.name, path=item.path) for item in proposal.roots]
    findings = check_roots(asked, home=home, state_folder=state_folder)
    if findings.mistakes:
        raise _unfit_folder(findings.mistakes[0].rule)
    named: dict[str, Path] = {}
    for item in proposal.roots:
        named[free_name(item.name, item.path, {**known, **named})] = item.path
    return RootPlan(
        folders=tuple(RootFolder(name=name, path=path) for name, path in named.items()),
        warnings=proposal.warnings,
    )


def _configured(root: Root) -> RootFolder:
    return RootFolder(
        name=root.name,
        path=root.path,
        follow_symlinks=root.follow_symlinks,
        extensions=tuple(root.extensions),
        exclude=root.exclude,
        watch=root.watch,
        quiet_s=root.quiet_s,
        scan_interval_s=root.scan_interval_s,
    )


def _without_overlap(configured: Sequence[RootFolder], beside: Sequence[RootProposal]) -> list[RootFolder]:
    """Let configured roots win over those found in ComfyUI's folder: each file belongs to one root."""
    roots = list(configured)
    silent = silent_among([*(root.path for root in configured), *(item.path for item in beside)])
    # links are followed only where somebody answers
    real = [root.path if root.path in silent else Path(os.path.realpath(root.path)) for root in configured]
    for item in beside:
        path = item.path if item.path in silent else Path(os.path.realpath(item.path))
        if any(path.is_relative_to(other) or other.is_relative_to(path) for other in real):
            continue
        names = {root.name for root in roots}
        name = next(name for number in count(1) if (name := _numbered(item.name, number)) not in names)
        roots.append(RootFolder(name=name, path=item.path))
    return roots


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def place_of(folders: Sequence[RootFolder], path: Path) -> Place | None:
    """Find the place of a path, which need not exist; None when it lies in no root.

    Compares as the paths are spelled first, then with all links followed up to the file's own name: the shell
    may stand in a folder that the settings know by another name. A disk that does not answer has no links.
    """
    absolute = absolute_path(path)
    found = [_place_in(folders, absolute, str)]

    def follow() -> None:
        real = Path(os.path.realpath(absolute.parent), absolute.name)
        found.append(_place_in(folders, real, os.path.realpath))

    if found[0] is None:
        in_time(follow)
    return found[-1]


def _place_in(folders: Sequence[RootFolder], path: Path, spell: Callable[[Path], str]) -> Place | None:
    for folder in folders:
        root = Path(spell(folder.path))
        if path != root and path.is_relative_to(root):
            return Place(root=folder.name, relpath=path.relative_to(root).as_posix())
    return None


def absolute_path(path: Path) -> Path:
    """Make a path of the command line absolute; links stay as spelled, `~` of nobody stays a name."""
    with suppress(RuntimeError):
        path = path.expanduser()
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


def by_device(folders: Sequence[RootFolder]) -> list[list[RootFolder]]:
    """Group roots by the device they lie on now; a root that is away, or silent, is a device of its own."""
    devices: dict[str, object] = {}

    def look_up(folder: RootFolder) -> None:
        with suppress(OSError):
            devices[folder.name] = folder.path.stat().st_dev

    silent = silent_among(folder.path for folder in folders)
    all_in_time([partial(look_up, folder) for folder in folders if folder.path not in silent])
    groups: dict[object, list[RootFolder]] = {}
    for folder in folders:
        groups.setdefault(devices.get(folder.name, folder.name), []).append(folder)
    return list(groups.values())


def _is_closed(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _no_folder(folder: Path) -> AskOperator:
    what = "is not a folder" if os.path.exists(folder) else "does not exist"  # noqa: PTH110 - that of pathlib raises
    if _is_closed(folder):
        what = "may not be looked at by this user"
    return AskOperator(
        f"{folder} {what}",
        does="hashtagd does not start",
        you="name your ComfyUI folder, a models folder, or any folder with models",
        scope=Scope.DAEMON,
        kind="no_folder",
    )


def _unfit_folder(rule: str) -> AskOperator:
    return AskOperator(
        f"a folder given on the command line {rule}",
        does="hashtagd does not start",
        you="name a folder that holds models and nothing else of yours",
        scope=Scope.DAEMON,
        kind="unfit_folder",
    )
