"""`note`: what was seen on a disk becomes rows, and only differences are written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from hashtagd.catalog.folders import distrust_folders
from hashtagd.catalog.leaving import leave
from hashtagd.catalog.moves import Known, carried, hand_on_first_seen
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """How many places a `note` found in which condition."""

    new: int = 0
    changed: int = 0
    #: places that took over the hashes of bytes known from elsewhere
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

    now: datetime
    noted: Noted = field(default_factory=Noted)
    inserts: list[dict[str, Any]] = field(default_factory=list)
    changes: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    #: where something differs: what a scan remembers of these folders is not to be believed any more
    folders: set[tuple[str, str]] = field(default_factory=set)
    #: rows that are marked gone here
    lost: list[Record] = field(default_factory=list)
    #: ids of rows whose bytes are at their place no more
    left: set[int] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is to be written."""
        return not (self.inserts or self.changes)


def plan(connection: Connection, now: datetime, sightings: Sequence[Sighting], *, lock: bool) -> Plan:
    """Compare sightings with rows. At most one sighting a place; `lock` when the plan will be carried out."""
    known = _rows_at(connection, [sighting.place for sighting in sightings], lock=lock)
    drawn = Plan(now=now)
    others: list[tuple[Record | None, Sighting, Stamp]] = []
    for sighting in sightings:
        row = known.get(sighting.place)
        if sighting.stamp is None:
            drawn.noted += Noted(same=1) if row is None or row.gone_at is not None else _missed(drawn, row)
        elif row is None or not is_same(stamp_of(row), sighting.stamp):
            others.append((row, sighting, sighting.stamp))
        else:
            drawn.noted += _seen_again(drawn, row, sighting, sighting.stamp)
    # what left its place is known only now: two files that swapped their names take each other's hashes
    drawn.left |= {row.id for row, _, _ in others if row is not None}
    elsewhere = Known(connection, [stamp for _, _, stamp in others])
    for row, sighting, stamp in others:
        source = elsewhere.source(stamp, sighting.place)
        drawn.noted += (
            _add(drawn, sighting, stamp, source)
            if row is None
            else _changed(drawn, row, sighting, stamp, source)
        )
    return drawn


def note(connection: Connection, now: datetime, sightings: Sequence[Sighting]) -> Noted:
    """Compare sightings with rows and write the differences."""
    drawn = plan(connection, now, sightings, lock=True)
    insert_absent(connection, file, drawn.inserts)
    write_rows(connection, file, drawn.changes)
    write_stories(connection, now, drawn.stories)
    hand_on_first_seen(connection, drawn.lost)
    leave(connection, now, drawn.lost)
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


def is_same(known: Stamp, seen: Stamp) -> bool:
    """Compare two looks at one place; an inode of 0 means that the file system's numbers prove nothing."""
    if 0 in (known.inode, seen.inode):
        return (known.size_bytes, known.mtime_ns) == (seen.size_bytes, seen.mtime_ns)
    return known == seen


def _missed(drawn: Plan, row: Record) -> Noted:
    drawn.changes.append((row.id, gone_values(row.fence, drawn.now)))
    drawn.stories.append(Story(name="file_gone", file_id=row.id))
    drawn.lost.append(row)
    drawn.left.add(row.id)
    drawn.folders.add((row.root, row.folder))
    return Noted(gone=1)


def _seen_again(drawn: Plan, row: Record, sighting: Sighting, stamp: Stamp) -> Noted:
    """See the bytes that are known: nothing, or a gone row comes back with its hashes."""
    if row.gone_at is None:
        if row.inode != 0 and stamp.inode == 0:
            drawn.changes.append((row.id, _DISTRUST))
        return Noted(same=1)
    stage = Stage.SETTLE if row.sha256 is None else Stage.PUBLISH
    values = {
        **NO_LEASE,
        **NO_TROUBLE,
        "fence": row.fence + 1,
        "gone_at": None,
        "due_at": drawn.now,
        "stage": stage.value,
        "still_since": sighting.still_since,
        "inode": stamp.inode and row.inode,
    }
    _write(drawn, row, values, "file_returned")
    return Noted(new=1)


def _changed(drawn: Plan, row: Record, sighting: Sighting, stamp: Stamp, source: Record | None) -> Noted:
    """See other bytes at a known place: they begin anew, with their hashes where those are known."""
    is_back = row.gone_at is not None
    if not is_back and row.stage == Stage.SETTLE.value:
        return _moving(drawn, row, sighting, stamp)
    values = restart_values(row.fence, stamp, still_since=sighting.still_since, due_at=drawn.now)
    if is_back:
        values["first_seen_at"] = sighting.seen_at
    if source is not None:
        values |= _inherited(drawn, source)
    _write(drawn, row, values, "file_returned" if is_back else "file_changed")
    if source is not None:
        return Noted(moved=1)
    return Noted(new=1) if is_back else Noted(changed=1)


def _write(drawn: Plan, row: Record, values: Mapping[str, Any], story: str) -> None:
    drawn.changes.append((row.id, values))
    drawn.stories.append(Story(name=story, file_id=row.id))
    drawn.folders.add((row.root, row.folder))


def _inherited(drawn: Plan, source: Record) -> dict[str, Any]:
    """Take over what is known of the bytes, and their age if they are at their old place no more."""
    values = carried(source)
    if source.gone_at is not None or source.id in drawn.left:
        values["first_seen_at"] = source.first_seen_at
    return values


def _moving(drawn: Plan, row: Record, sighting: Sighting, stamp: Stamp) -> Noted:
    """Leave a file in settle to settle's own looks, unless the next one is far away or none is planned.

    A look that is under way may have been before this one: `republish` says that it must not be the last.
    """
    if row.lease_owner is not None:
        if not row.republish:
            drawn.changes.append((row.id, {"republish": True}))
        return Noted(same=1)
    if row.due_at is not None and row.due_at <= drawn.now + IMPATIENCE:
        return Noted(same=1)
    values = restart_values(row.fence, stamp, still_since=sighting.still_since, due_at=drawn.now)
    drawn.changes.append((row.id, values))
    drawn.folders.add((row.root, row.folder))
    return Noted(changed=1)


def _add(drawn: Plan, sighting: Sighting, stamp: Stamp, source: Record | None) -> Noted:
    values = _new_row(sighting, stamp, drawn.now)
    if source is not None:
        values |= _inherited(drawn, source)
    drawn.inserts.append(values)
    drawn.folders.add((sighting.place.root, sighting.place.folder))
    return Noted(new=1) if source is None else Noted(moved=1)


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
