"""Rows and values: how a row reads as a value of `core`, and how changes are written in bulk."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection, Table, and_, bindparam, case, or_, select, update
from sqlalchemy.dialects import sqlite

from hashtagd.catalog.storable import storable_json
from hashtagd.catalog.tables import file, question
from hashtagd.core.card import Card
from hashtagd.core.declared import is_as_declared
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.work import HashKind

T = TypeVar("T")

#: one fetched row; its columns are attributes
Record: TypeAlias = Any

#: rows of one statement that names them one by one
CHUNK: Final = 500

#: the provider that only repeats what the file says of itself
HEADER_PROVIDER: Final = "header"
#: the provider under whose name the owner's word is kept
OWNER: Final = "owner"

#: what a file row holds when nothing is known of its bytes
NO_FACTS: Final[Mapping[str, Any]] = {
    "sha256": None,
    "tensors_sha256": None,
    "blake3": None,
    "crc32": None,
    "header": None,
    "claimed_tensors_sha256": None,
    "published_at": None,
}
NO_LEASE: Final[Mapping[str, Any]] = {"lease_owner": None, "lease_until": None}
#: a row that starts anew
NO_TROUBLE: Final[Mapping[str, Any]] = {"attempts": 0, "trouble": None, "parked_at": None}

#: the tensor hash by which a file is asked about: its own, and before it was read the one it claims
TENSORS_ASKED: Final = case(
    (file.c.sha256.is_(None), file.c.claimed_tensors_sha256), else_=file.c.tensors_sha256
)
#: a question whose hash is the file's, or its tensors': joins both tables
ABOUT_WHOLE: Final = and_(question.c.hash_kind == HashKind.SHA256.value, question.c.hash == file.c.sha256)
ABOUT_TENSORS: Final = and_(question.c.hash_kind == HashKind.TENSORS.value, question.c.hash == TENSORS_ASKED)
ABOUT_FILE: Final = or_(ABOUT_WHOLE, ABOUT_TENSORS)


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut into lists that one statement can name."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def place_of(row: Record) -> Place:
    """Read where the file is.

    Raises:
        ValueError: another machine wrote a path that leads out of the root.
    """
    return Place(root=row.root, relpath=row.relpath)


def stamp_of(row: Record) -> Stamp:
    """Read how the file looked."""
    return Stamp(size_bytes=row.size_bytes, mtime_ns=row.mtime_ns, inode=row.inode)


def stamp_values(stamp: Stamp) -> dict[str, Any]:
    """Give the columns of a stamp."""
    return {"size_bytes": stamp.size_bytes, "mtime_ns": stamp.mtime_ns, "inode": stamp.inode}


def digests_of(row: Record) -> Digests | None:
    """Read the hashes, None before there are any.

    Raises:
        ValueError: another machine wrote what is no hash.
    """
    if row.sha256 is None:
        return None
    return Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256, blake3=row.blake3, crc32=row.crc32)


def digests_values(digests: Digests) -> dict[str, Any]:
    """Give the columns of the hashes."""
    return {
        "sha256": digests.sha256,
        "tensors_sha256": digests.tensors_sha256,
        "blake3": digests.blake3,
        "crc32": digests.crc32,
    }


def header_of(row: Record) -> Header | None:
    """Read what is kept of the header."""
    return None if row.header is None else Header.from_json(row.header)


def card_of(card: Any, raw: Any) -> Card | None:  # noqa: ANN401 - JSON columns
    """Read a question's card with the provider's own document; what is no card of ours counts as none."""
    if card is None:
        return None
    try:
        read = Card.from_json({**card, "raw": raw or {}})
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # another machine wrote it
    return read if is_as_declared(read) and _is_moment(read.early_access_ends_at) else None


def _is_moment(text: str | None) -> bool:
    try:
        return text is None or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def card_values(card: Card) -> dict[str, Any]:
    """Give the columns of a card: the whole of it, and the parts that are searched for."""
    data = storable_json(card.to_json())
    raw = data.pop("raw")
    words = [data["model_name"], data["version_name"], data["creator"], *data["trained_words"], *data["tags"]]
    parts = ("model_id", "version_id", "model_name", "version_name", "kind", "base_model", "page_url")
    return {
        "card": data,
        "raw": raw,
        "strength": card.confidence.rank,
        "confidence": data["confidence"],
        "availability": data["availability"],
        "update_version_id": None if card.update is None else card.update.version_id,
        "folded": "\n".join(word for word in words if word).casefold(),
        **{part: data[part] for part in parts},
    }


def answers_by_hash(
    connection: Connection, hashes: Iterable[str], columns: Sequence[Any]
) -> dict[tuple[str, str], list[Record]]:
    """Fetch these columns of the questions about these hashes, by (hash kind, hash), the oldest first."""
    found: dict[tuple[str, str], list[Record]] = {}
    for some in chunks(sorted(set(hashes))):
        wanted = select(question.c.hash_kind, question.c.hash, *columns).where(question.c.hash.in_(some))
        for row in connection.execute(wanted.order_by(question.c.id)):
            found.setdefault((row.hash_kind, row.hash), []).append(row)
    return found


def keys_of(sha256: str | None, tensors_sha256: str | None) -> list[tuple[str, str]]:
    """List the keys of `answers_by_hash` that concern a file."""
    known = ((HashKind.SHA256.value, sha256), (HashKind.TENSORS.value, tensors_sha256))
    return [(kind, value) for kind, value in known if value is not None]


def write_rows(
    connection: Connection, table: Table, changes: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """Update rows by id; rows whose changes name the same columns share one statement."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row_id, values in changes:
        parameters = {f"new_{name}": value for name, value in values.items()}
        by_columns.setdefault(tuple(sorted(values)), []).append({"row_id": row_id, **parameters})
    for columns, rows in by_columns.items():
        statement = (
            update(table)
            .where(table.c.id == bindparam("row_id"))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        connection.execute(statement, rows)


def insert_absent(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose place in the table is taken are left as they are."""
    if rows:
        connection.execute(_insert(connection)(table).on_conflict_do_nothing(), list(rows))


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Insert rows as `insert_absent`; gives those that were not there, by their primary key."""
    made: list[Record] = []
    for some in chunks(rows):
        statement = _insert(connection)(table).values(some).on_conflict_do_nothing()
        made += connection.execute(statement.returning(*table.primary_key.columns)).all()
    return made


def insert_or_update(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], changed: Sequence[str]
) -> None:
    """Insert rows by their primary key; for those that are there, set the changed columns."""
    if rows:
        statement = _insert(connection)(table)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={name: statement.excluded[name] for name in changed},
            ),
            list(rows),
        )


def _insert(connection: Connection) -> Callable[[Table], Any]:
    """Both engines spell the same words, SQLAlchemy keeps them in two places."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - megabytes that SQLite has no use for

    return postgresql.insert
