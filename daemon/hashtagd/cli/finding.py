"""Which files of the catalog a word of the command line means."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pages import FileRow
from hashtagd.cli.output import is_text
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, TryLater
from hashtagd.service.roots import RootPlan, place_of
from hashtagd.watch.roots import RootFolder

#: fewer digits of a hash would match by chance
_HASH_DIGITS: Final = 8
#: what every store can count to
_ID_DIGITS: Final = 18
#: so many files of one name are told
_NAMED: Final = 5


def find_rows(catalog: Catalog, plan: RootPlan, wanted: str) -> list[FileRow]:
    """Find files by path, by ROOT/PATH, by number of model or version, by hash, or by a name that is unique.

    Raises:
        GiveUp: several files have the name.
    """
    if not is_text(wanted):
        return []  # no store can hold such a name
    for place in places_of(plan, wanted):
        if rows := catalog.reports.show(place):
            return rows
    is_id = wanted.isascii() and wanted.isdigit() and len(wanted) <= _ID_DIGITS
    if is_id and (rows := catalog.reports.show(int(wanted))):
        return _watched(plan, rows)
    is_hash = len(wanted) >= _HASH_DIGITS and set(wanted.lower()) <= set("0123456789abcdef")
    if is_hash and (rows := catalog.reports.show(wanted.lower())):
        return _watched(plan, rows)
    return _only_one(wanted, _watched(plan, catalog.reports.named(wanted))) if wanted.strip("/.") else []


def _watched(plan: RootPlan, rows: list[FileRow]) -> list[FileRow]:
    """Leave out files of roots that nobody watches any more, unless there are no others."""
    shown = plan.shown
    return rows if shown is None else [row for row in rows if row.root in shown] or rows


def _only_one(wanted: str, rows: list[FileRow]) -> list[FileRow]:
    if len(rows) <= 1:
        return rows
    places = ", ".join(f"{row.root}/{row.relpath}" for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    raise GiveUp(
        f"{len(rows)} files are called {wanted}: {places}{more}",
        does="nothing is shown or changed",
        you="name one of them as ROOT/PATH, the way they stand here and in `hashtagd list`",
        scope=Scope.FILE,
        kind="ambiguous",
    )


def found_rows(catalog: Catalog, plan: RootPlan, wanted: str) -> list[FileRow]:
    """Find files as `find_rows` does.

    Raises:
        GiveUp: there is none, or several have the name.
    """
    rows = find_rows(catalog, plan, wanted)
    if not rows:
        raise unknown_to_catalog(wanted)
    return rows


def find_one(catalog: Catalog, plan: RootPlan, wanted: str) -> FileRow:
    """Find a file whose bytes are known; copies of the same bytes are as good as one.

    Raises:
        GiveUp: there is no such file, or files with different bytes are meant.
        TryLater: the file was not read yet.
    """
    rows = found_rows(catalog, plan, wanted)
    hashes = {row.sha256 for row in rows}
    if len(hashes) > 1:
        raise GiveUp(
            f"{len(rows)} files with different bytes are called {wanted}",
            does="nothing was changed",
            you="name one by its path or its SHA-256; `hashtagd show` lists them",
            scope=Scope.FILE,
            kind="ambiguous",
        )
    if None in hashes:
        raise TryLater(
            f"{rows[0].root}/{rows[0].relpath} was not read yet, so its hash is not known",
            does="nothing was changed: what you decide is kept by the hash",
            you="say it again when `hashtagd show FILE` has a SHA-256",
            scope=Scope.FILE,
            kind="not_hashed",
        )
    return rows[0]


def chosen_roots(folders: Sequence[RootFolder], names: Sequence[str]) -> list[RootFolder]:
    """Pick the roots of these names; all where none is named.

    Raises:
        AskOperator: there is no root of a name.
    """
    unknown = [name for name in names if name not in {folder.name for folder in folders}]
    if unknown:
        raise AskOperator(
            f"there is no root called {unknown[0]}",
            does="nothing was looked at",
            you=f"choose from: {', '.join(folder.name for folder in folders) or 'no root is configured'}",
            scope=Scope.ROOT,
            kind="unknown_root",
        )
    return [folder for folder in folders if not names or folder.name in names]


def unknown_to_catalog(wanted: str) -> GiveUp:
    """Say that nothing is called so."""
    return GiveUp(
        f"the catalog knows nothing called {wanted}",
        does="nothing is shown or changed",
        you="name a file as ROOT/PATH, the way `hashtagd list` prints it (loras/styles/ink.safetensors), "
        "or 8 or more digits of its hash, or the site's number",
        scope=Scope.FILE,
        kind="not_in_catalog",
    )


def places_of(plan: RootPlan, wanted: str) -> Iterator[Place]:
    """Read a word as a path from here, and as `list` prints files: the root's name before the path."""
    place = place_of(plan.folders, Path(wanted))
    if place is not None:
        yield place
    root, _, relpath = wanted.partition("/")
    with suppress(ValueError):
        yield Place(root=root, relpath=relpath)
