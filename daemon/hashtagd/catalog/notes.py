"""`note`: what was seen on a disk becomes rows, and only differences are written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, tuple_

from hashtagd.catalog.folders import distrust_folders
from hashtagd.catalog.rows import (
    NO_FACTS,
    NO_LEASE,
    NO_TROUBLE,
    Record,
    insert_absent,
    place_of,
    stamp_of,
    stamp_values,
    write_rows,
)
from hashtagd.catalog.stories import Story, write_stories
from hashtagd.catalog.tables import file
from hashtagd.core.place import Place, Sighting, Stamp
from hashtagd.core.work import Stage

#: a file in settle whose next look is further away than this is looked at now when its bytes move again
IMPATIENCE: Final = timedelta(seconds=60)
#: what becomes of a row whose root's inode numbers are not trusted any more: its bytes are the same
_DISTRUST: Final[Mapping[str, Any]] = {"inode": 0}
#: facts that a moved file takes along
_CARRIED: Final = ("sha256", "tensors_sha256", "blake3", "crc32", "header")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """How many places a `note` found in which condition."""

    new: int = 0
    changed: int = 0
    #: new places that took over the hashes of bytes known from elsewhere
    moved: int = 0
    gone: int = 0
    same: int = 0

    @property
    def changes(self) -> int:
        """How many rows were made, woken, moved or marked gone."""
        return self.new + self.changed + self.moved + self.gone

    def __add__(self, other: "Noted") -> "Noted":
        return Noted(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            moved=self.moved + other.moved,
            gone=self.gone + other.gone,
            same=self.same + other.same,
        )


@dataclass(slots=True)
class Plan:
    """The writes that a list of sightings asks for."""

    noted: Noted = field(default_factory=Noted)
    inserts: list[dict[str, Any]] = field(default_factory=list)
    changes: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    #: where something differs: what a scan remembers of these folders is not to be believed any more
    folders: set[tuple[str, str]] = field(default_factory=set)
    #: rows that are marked gone here
    lost: list[Record] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is to be written."""
        return not (self.inserts or self.changes)


def plan(connection: Connection, now: datetime, sightings: Sequence[Sighting], *, lock: bool) -> Plan:
    """Compare sightings with rows. At most one sighting a place; `lock` when the plan will be carried out."""
    known = _rows_at(connection, [sighting.place for sighting in sightings], lock=lock)
    drawn = Plan()
    fresh: list[Sighting] = []
    for sighting in sightings:
        row = known.get(sighting.place)
        if row is not None:
            found = _compare(drawn, row, sighting, now)
            drawn.noted += found
            if found.changes:
                drawn.folders.add((row.root, row.folder))
        elif sighting.stamp is None:
            drawn.noted += Noted(same=1)
        else:
            fresh.append(sighting)
    _add(drawn, connection, now, fresh)
    return drawn


def note(connection: Connection, now: datetime, sightings: Sequence[Sighting]) -> Noted:
    """Compare sightings with rows and write the differences."""
    drawn = plan(connection, now, sightings, lock=True)
    insert_absent(connection, file, drawn.inserts)
    write_rows(connection, file, drawn.changes)
    write_stories(connection, now, drawn.stories)
    _hand_on_first_seen(connection, drawn.lost)
    distrust_folders(connection, drawn.folders)
    return drawn.noted


def gone_values(row_fence: int, now: datetime) -> dict[str, Any]:
    """Mark a row gone; its hashes stay, so that a move is recognised."""
    return {
        **NO_LEASE,
        **NO_TROUBLE,
        "fence": row_fence + 1,
        "due_at": None,
        "gone_at": now,
        "republish": False,
    }


def restart_values(
    row_fence: int, stamp: Stamp, *, still_since: datetime, due_at: datetime
) -> dict[str, Any]:
    """Begin anew with other bytes: no hash outlives its bytes."""
    return {
        **NO_FACTS,
        **NO_LEASE,
        **NO_TROUBLE,
        **stamp_values(stamp),
        "fence": row_fence + 1,
        "stage": Stage.SETTLE.value,
        "due_at": due_at,
        "still_since": still_since,
        "republish": False,
        "gone_at": None,
    }


def _rows_at(connection: Connection, places: Iterable[Place], *, lock: bool) -> dict[Place, Record]:
    by_root: dict[str, list[str]] = {}
    for place in places:
        by_root.setdefault(place.root, []).append(place.relpath)
    rows: dict[Place, Record] = {}
    for root, relpaths in by_root.items():
        wanted = select(file).where(file.c.root == root, file.c.relpath.in_(relpaths)).order_by(file.c.id)
        found = connection.execute(wanted.with_for_update() if lock else wanted)
        rows.update({place_of(row): row for row in found})
    return rows


def _compare(drawn: Plan, row: Record, sighting: Sighting, now: datetime) -> Noted:
    if sighting.stamp is None:
        return _missed(drawn, row, now)
    same_bytes = _is_same(stamp_of(row), sighting.stamp)
    if row.gone_at is not None:
        _return(drawn, row, sighting, now, same_bytes=same_bytes)
        return Noted(new=1)
    if same_bytes:
        if row.inode != 0 and sighting.stamp.inode == 0:
            drawn.changes.append((row.id, _DISTRUST))
        return Noted(same=1)
    if row.stage == Stage.SETTLE.value:
        return _moving(drawn, row, sighting, now)
    values = restart_values(row.fence, sighting.stamp, still_since=sighting.still_since, due_at=now)
    drawn.changes.append((row.id, values))
    drawn.stories.append(Story(name="file_changed", file_id=row.id))
    return Noted(changed=1)


def _is_same(known: Stamp, seen: Stamp) -> bool:
    """Compare two looks at one place; an inode of 0 means that the file system's numbers prove nothing."""
    if 0 in (known.inode, seen.inode):
        return (known.size_bytes, known.mtime_ns) == (seen.size_bytes, seen.mtime_ns)
    return known == seen


def _missed(drawn: Plan, row: Record, now: datetime) -> Noted:
    if row.gone_at is not None:
        return Noted(same=1)
    drawn.changes.append((row.id, gone_values(row.fence, now)))
    drawn.stories.append(Story(name="file_gone", file_id=row.id))
    drawn.lost.append(row)
    return Noted(gone=1)


def _moving(drawn: Plan, row: Record, sighting: Sighting, now: datetime) -> Noted:
    """Leave a file in settle to settle's own looks, unless the next one is far away or none is planned.

    A look that is under way may have been before this one: `republish` says that it must not be the last.
    """
    if row.lease_owner is not None:
        if not row.republish:
            drawn.changes.append((row.id, {"republish": True}))
        return Noted(same=1)
    asleep = row.due_at is None or row.due_at > now + IMPATIENCE
    if not asleep or sighting.stamp is None:
        return Noted(same=1)
    values = restart_values(row.fence, sighting.stamp, still_since=sighting.still_since, due_at=now)
    drawn.changes.append((row.id, values))
    return Noted(changed=1)


def _return(drawn: Plan, row: Record, sighting: Sighting, now: datetime, *, same_bytes: bool) -> None:
    """Bring a gone row back: the same bytes keep their hashes."""
    assert sighting.stamp is not None  # noqa: S101 - for the type checker: a missing file was dealt with
    if same_bytes:
        stage = Stage.SETTLE if row.sha256 is None else Stage.PUBLISH
        values = {"gone_at": None, "due_at": now, "stage": stage.value, "still_since": sighting.still_since}
        if sighting.stamp.inode == 0:
            values.update(_DISTRUST)
    else:
        values = restart_values(row.fence, sighting.stamp, still_since=sighting.still_since, due_at=now)
        values["first_seen_at"] = sighting.seen_at
    drawn.changes.append((row.id, values))
    drawn.stories.append(Story(name="file_returned", file_id=row.id))


def _add(drawn: Plan, connection: Connection, now: datetime, fresh: Sequence[Sighting]) -> None:
    sources = _sources(connection, [sighting.stamp for sighting in fresh if sighting.stamp is not None])
    lost = {row.id for row in drawn.lost}
    for sighting in fresh:
        assert sighting.stamp is not None  # noqa: S101 - for the type checker: only files that are there are new
        source = _source(sources.get(sighting.stamp, ()), sighting.place)
        is_move = source is not None and (source.gone_at is not None or source.id in lost)
        values = _new_row(sighting, sighting.stamp, now)
        if source is not None:
            values |= {name: getattr(source, name) for name in _CARRIED}
        if source is not None and is_move:
            values["first_seen_at"] = source.first_seen_at
        drawn.inserts.append(values)
        drawn.folders.add((sighting.place.root, sighting.place.folder))
        drawn.noted += Noted(new=1) if source is None else Noted(moved=1)


def _new_row(sighting: Sighting, stamp: Stamp, now: datetime) -> dict[str, Any]:
    place = sighting.place
    return {
        **NO_FACTS,
        **stamp_values(stamp),
        "root": place.root,
        "relpath": place.relpath,
        "folder": place.folder,
        "name": place.name,
        "folded": place.relpath.casefold(),
        "stage": Stage.SETTLE.value,
        "due_at": now,
        "still_since": sighting.still_since,
        "first_seen_at": sighting.seen_at,
    }


def _sources(connection: Connection, stamps: Sequence[Stamp]) -> dict[Stamp, list[Record]]:
    """Find hashed rows with these stamps, gone ones first: a move is likelier than a hard link."""
    wanted = {(stamp.size_bytes, stamp.mtime_ns) for stamp in stamps if stamp.inode != 0}
    if not wanted:
        return {}
    found = connection.execute(
        select(file)
        .where(tuple_(file.c.size_bytes, file.c.mtime_ns).in_(sorted(wanted)), file.c.sha256.is_not(None))
        .order_by(file.c.gone_at.is_(None), file.c.id)
    )
    by_stamp: dict[Stamp, list[Record]] = {}
    for row in found:
        by_stamp.setdefault(stamp_of(row), []).append(row)
    return by_stamp


def _source(rows: Sequence[Record], place: Place) -> Record | None:
    return next((row for row in rows if place.root == row.root or place.name == row.name), None)


def _hand_on_first_seen(connection: Connection, lost: Sequence[Record]) -> None:
    """Let a file that was met at its new place before it was missed at the old one keep its age."""
    hashed = [row for row in lost if row.sha256 is not None and row.inode != 0]
    sources = _sources(connection, [stamp_of(row) for row in hashed])
    for row in hashed:
        changes = [
            (twin.id, {"first_seen_at": row.first_seen_at})
            for twin in sources[stamp_of(row)]
            if twin.gone_at is None and twin.sha256 == row.sha256 and twin.first_seen_at > row.first_seen_at
        ]
        write_rows(connection, file, changes)
