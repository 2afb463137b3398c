"""What was written before, as a claim needs it: for the file, beside it, and elsewhere for the same bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, tuple_

from hashtagd.catalog.rows import Record, chunks, place_of
from hashtagd.catalog.tables import file, publication
from hashtagd.core.place import Place
from hashtagd.core.work import Claim, Publication, Stage

_KEY: Final = (publication.c.root, publication.c.relpath, publication.c.writer)
_MADE_FOR: Final = (publication.c.written_for, publication.c.intended_for)
_Read = list[tuple[Record, Publication]]


def with_written(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Fill claims with what was written before; a sweep asks only for what its own file left."""
    ids = [it.file_id for it in claims]
    own = _by(_read(connection, (publication.c.file_id.in_(some) for some in chunks(ids))), "file_id")
    publishing = [it for it in claims if it.stage is Stage.PUBLISH]
    names = sorted({(it.place.root, path_without_extension(it.place)) for it in publishing})
    beside = tuple_(publication.c.root, publication.c.beside)
    nearby = _by(_read(connection, (beside.in_(some) for some in chunks(names))), "root", "beside")
    hashes = sorted({it.digests.sha256 for it in publishing if it.digests is not None})
    # intentions count: a killed process, or one whose model was moved meanwhile, may have written them
    said = [_by(_read(connection, (it.in_(some) for some in chunks(hashes))), it.name) for it in _MADE_FOR]
    twins = {
        key: [record for by in said for record in by.get(key, ())] for key in said[0].keys() | said[1].keys()
    }
    return [_filled(it, own, nearby, twins) for it in claims]


def path_without_extension(place: Place) -> str:
    """Give what the names of everything that lies beside a model begin with."""
    return place.sibling(place.stem).relpath


def _read(connection: Connection, conditions: Iterable[ColumnElement[bool]]) -> _Read:
    """Read records; those that lead out of their root are another machine's nonsense."""
    wanted = select(publication, file.c.gone_at).join(file, file.c.id == publication.c.file_id)
    found: _Read = []
    for which in conditions:
        newest_first = publication.c.written_at.desc()
        for row in connection.execute(wanted.where(which).order_by(newest_first, *_KEY)):
            try:
                place = place_of(row)
            except ValueError:
                continue
            item = Publication(
                writer=row.writer,
                place=place,
                intended_sha256=row.intended_sha256,
                written_sha256=row.written_sha256,
                intended_for=row.intended_for,
                written_for=row.written_for,
                nsfw_level=row.nsfw_level,
                version_id=row.version_id,
            )
            found.append((row, item))
    return found


def _by(records: _Read, *columns: str) -> Mapping[tuple[object, ...], _Read]:
    grouped: dict[tuple[object, ...], _Read] = {}
    for row, item in records:
        grouped.setdefault(tuple(getattr(row, name) for name in columns), []).append((row, item))
    return grouped


def _filled(
    claim: Claim,
    own: Mapping[tuple[object, ...], _Read],
    nearby: Mapping[tuple[object, ...], _Read],
    twins: Mapping[tuple[object, ...], _Read],
) -> Claim:
    filled = replace(claim, publications=tuple(item for _, item in own.get((claim.file_id,), ())))
    if claim.stage is not Stage.PUBLISH:
        return filled
    name = (claim.place.root, path_without_extension(claim.place))
    sha256 = None if claim.digests is None else claim.digests.sha256
    others = [(row, item) for row, item in twins.get((sha256,), ()) if row.file_id != claim.file_id]
    # into another root nobody looks for a copy: its disk may hang; what was moved from there is worth a look
    near = [it for row, it in others if row.root == claim.place.root or row.gone_at is not None]
    far = [it for row, it in others if row.root != claim.place.root and row.gone_at is None]
    return replace(
        filled,
        nearby=tuple(item for row, item in nearby.get(name, ()) if row.file_id != claim.file_id),
        twins=tuple(near),
        far_twins=tuple(far),
    )
