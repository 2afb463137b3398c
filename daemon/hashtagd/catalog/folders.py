"""What the scan keeps: digests of folders, markers of roots, and what is known of a folder's files."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, tuple_

from hashtagd.catalog.engine import Database
from hashtagd.catalog.rows import chunks, insert_or_update, stamp_of
from hashtagd.catalog.storable import is_storable
from hashtagd.catalog.tables import file, folder, root
from hashtagd.core.place import Place, Stamp


class ScanMemory:
    """What scans keep of folders and roots, so that the next one reads only what differs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def folder_digests(self, root: str) -> dict[str, bytes]:
        """Give what the last scan saw of each folder; `b""` for folders of live files that no scan saw."""
        return self._database.read(lambda it, _now: folder_digests(it, root))

    def keep_folders(self, root: str, digests: Mapping[str, bytes | None]) -> None:
        """Keep what a scan saw; None forgets a folder."""
        if digests:
            self._database.write(lambda it, _now: keep_folders(it, root, digests))

    def files_in(self, root: str, folder: str) -> dict[str, Stamp]:
        """Give the stamps of the live files directly in a folder, by their names."""
        return self._database.read(lambda it, _now: files_in(it, root, folder))

    def count_files(self, root: str) -> int:
        """Count the live files of a root."""
        return self._database.read(lambda it, _now: count_files(it, root))

    def root_marker(self, name: str) -> str | None:
        """Give the marker under which a root is known; None when it was never kept."""
        return self._database.read(lambda it, _now: root_row(it, name))[0]

    def root_fingerprint(self, name: str) -> str | None:
        """Give the fingerprint of the writers a root is published with; None when it was never kept."""
        return self._database.read(lambda it, _now: root_row(it, name))[1]

    def keep_root(self, name: str, marker: str | None, fingerprint: str | None) -> None:
        """Keep the marker and the fingerprint of a root."""
        values = {"marker": marker, "fingerprint": fingerprint}
        self._database.write(lambda it, _now: keep_root(it, name, values))


def folder_digests(connection: Connection, root_name: str) -> dict[str, bytes]:
    """Give what the last scan saw of each folder; `b""` for folders of live files that no scan has seen."""
    lived_in = connection.execute(select(file.c.folder).where(_live(root_name)).distinct()).scalars()
    digests = dict.fromkeys(lived_in, b"")
    rows = connection.execute(select(folder.c.folder, folder.c.digest).where(folder.c.root == root_name))
    return digests | {row.folder: bytes(row.digest) for row in rows}


def distrust_folders(connection: Connection, folders: Collection[tuple[str, str]]) -> None:
    """Forget what scans saw of (root, folder): rows differ now, and a file may yet go back to what it was."""
    for some in chunks(sorted(folders)):
        connection.execute(delete(folder).where(tuple_(folder.c.root, folder.c.folder).in_(some)))


def keep_folders(connection: Connection, root_name: str, folders: Mapping[str, bytes | None]) -> None:
    """Keep new digests; None forgets a folder."""
    storable = {name: digest for name, digest in folders.items() if _can_be_kept(root_name, name)}
    for names in chunks(sorted(name for name, digest in storable.items() if digest is None)):
        connection.execute(delete(folder).where(folder.c.root == root_name, folder.c.folder.in_(names)))
    rows = [
        {"root": root_name, "folder": name, "digest": digest}
        for name, digest in sorted(storable.items())
        if digest is not None
    ]
    insert_or_update(connection, folder, rows, ("digest",))


def files_in(connection: Connection, root_name: str, folder_name: str) -> dict[str, Stamp]:
    """Give the stamps of the live files directly in one folder, by their names."""
    rows = connection.execute(
        select(file.c.name, file.c.size_bytes, file.c.mtime_ns, file.c.inode).where(
            _live(root_name), file.c.folder == folder_name
        )
    )
    return {row.name: stamp_of(row) for row in rows}


def count_files(connection: Connection, root_name: str) -> int:
    """Count the live files of a root."""
    return connection.execute(select(func.count()).select_from(file).where(_live(root_name))).scalar_one()


def root_row(connection: Connection, name: str) -> tuple[str | None, str | None]:
    """Give (marker, fingerprint) of a root; None for what was never kept."""
    row = connection.execute(select(root.c.marker, root.c.fingerprint).where(root.c.name == name)).first()
    return (None, None) if row is None else (row.marker, row.fingerprint)


def keep_root(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Keep the marker and the fingerprint of a root."""
    insert_or_update(connection, root, [{"name": name, **values}], ("marker", "fingerprint"))


def _live(root_name: str) -> ColumnElement[bool]:
    return and_(file.c.root == root_name, file.c.gone_at.is_(None))


def _can_be_kept(root_name: str, name: str) -> bool:
    return not name or is_storable(Place(root=root_name, relpath=name))
