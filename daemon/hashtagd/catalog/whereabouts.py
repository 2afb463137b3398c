"""Which bytes lie where: asked by those who want to have a file without fetching it."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, select, tuple_

from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import chunks, place_of, stamp_of
from hashtagd.catalog.tables import file
from hashtagd.core.place import Place
from hashtagd.core.restoring import Lying

_COLUMNS = (file.c.root, file.c.relpath, file.c.size_bytes, file.c.mtime_ns, file.c.inode, file.c.sha256)


class Whereabouts:
    """Finds files by their bytes, and bytes by their places. Read only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, hashes: Iterable[str]) -> dict[str, list[Lying]]:
        """Find the live files with these SHA-256, by root and path; hashes without a file are not in it."""
        found: dict[str, list[Lying]] = {}
        for some in chunks(sorted(set(hashes))):
            for it in self._read(file.c.sha256.in_(some)):
                found.setdefault(it.sha256 or "", []).append(it)
        return found

    def at(self, places: Iterable[Place]) -> dict[Place, Lying]:
        """Find the live files at these places; where nothing is known to lie, nothing is in it."""
        found: dict[Place, Lying] = {}
        key = tuple_(file.c.root, file.c.relpath)
        for some in chunks(sorted({(it.root, it.relpath) for it in places})):
            found |= {it.place: it for it in self._read(key.in_(some))}
        return found

    def _read(self, which: ColumnElement[bool]) -> list[Lying]:
        wanted = select(*_COLUMNS).where(which, file.c.gone_at.is_(None))

        def body(connection: Connection, _now: object) -> list[Lying]:
            found = []
            for row in connection.execute(wanted.order_by(file.c.root, file.c.relpath)):
                try:
                    place = place_of(row)
                except ValueError:
                    continue  # a path that leads out of its root is another machine's nonsense
                found.append(Lying(place=place, stamp=stamp_of(row), sha256=row.sha256))
            return found

        return self._database.read(body)
