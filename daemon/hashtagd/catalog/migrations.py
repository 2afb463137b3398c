"""The shape of the store, step by step. Steps are only ever appended; one that was released is never changed.

Each step and its number are one transaction, and all steps of a new store are one: a kill leaves them done or
not done, and the next start goes on.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, Table, func, insert, inspect, select, text

from hashtagd.catalog.engine import Database
from hashtagd.catalog.tables import (
    FILE_TROUBLED,
    INTENDED_FOR,
    QUESTION_LEASED,
    QUESTION_TOLD,
    QUESTION_TROUBLED,
    file,
    metadata,
    publication,
    question,
    schema_version,
    told_update,
)
from hashtagd.catalog.transfer_table import transfer
from hashtagd.core.troubles import AskOperator, Scope

Step = Callable[[Connection], None]

#: PostgreSQL's lock number under which machines that start together take turns
_LOCK: Final = 0x68746764

#: the documented view for owners' own queries: a row for each live file, with its strongest card's fields
_MODEL_VIEW: Final = """
create view model as
select
  f.id as file_id, f.root, f.relpath as path, f.size_bytes, f.sha256, f.tensors_sha256, f.blake3, f.crc32,
  substr(f.sha256, 1, 10) as autov2, substr(f.tensors_sha256, 1, 12) as autov3,
  f.first_seen_at, f.published_at,
  q.provider, q.hash_kind as matched_by, q.confidence, q.availability, q.answered_at,
  q.model_id, q.version_id, q.model_name, q.version_name, q.kind, q.base_model, q.page_url
from file f
left join question q on q.id = (
  select s.id from question s
  where s.strength is not null
    and ((s.hash_kind = 'sha256' and s.hash = f.sha256)
      or (s.hash_kind = 'tensors' and s.hash = f.tensors_sha256))
  order by s.strength, s.id limit 1
)
where f.gone_at is null
"""


def _tables(connection: Connection) -> None:
    later = (schema_version, transfer)
    _make(connection, [table for table in metadata.sorted_tables if table not in later])


def _transfers(connection: Connection) -> None:
    _make(connection, [transfer])


def _make(connection: Connection, tables: Sequence[Table]) -> None:
    if connection.dialect.name == "postgresql":
        _share_conditions(tables)
    metadata.create_all(connection, tables)


def _share_conditions(tables: Sequence[Table]) -> None:
    """Let PostgreSQL's indexes have the conditions of SQLite's.

    They are not in `tables`: SQLAlchemy would load every PostgreSQL driver it knows, megabytes of them, for
    catalogs that lie in a file.
    """
    for table in tables:
        for index in table.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


def _model_view(connection: Connection) -> None:
    connection.execute(text(_MODEL_VIEW))


def _intended_for(connection: Connection) -> None:
    """Add an index; a store that was made since has it already."""
    if connection.dialect.name == "postgresql":
        _share_conditions([publication])
    INTENDED_FOR.create(connection, checkfirst=True)


def _told_updates(connection: Connection) -> None:
    """Remember of which newer versions was told so far, in stores from before this was remembered."""
    told_update.create(connection, checkfirst=True)
    known = select(question.c.model_id, question.c.update_version_id, func.max(question.c.answered_at))
    known = known.where(question.c.model_id.is_not(None), question.c.update_version_id.is_not(None))
    known = known.group_by(question.c.model_id, question.c.update_version_id)
    connection.execute(insert(told_update).from_select(list(told_update.c), known))


def _unended(connection: Connection) -> None:
    _add_column(connection, transfer, "unended", "integer not null default 0")


def _picture_versions(connection: Connection) -> None:
    _add_column(connection, publication, "version_id", "bigint")


def _add_column(connection: Connection, table: Table, name: str, kind: str) -> None:
    """Add a column; a store that was made since has it already."""
    if all(column["name"] != name for column in inspect(connection).get_columns(table.name)):
        connection.execute(text(f"alter table {table.name} add column {name} {kind}"))


def _narrow_indexes(connection: Connection) -> None:
    """Add indexes by which nobody has to walk over all cards; a store that was made since has them."""
    if connection.dialect.name == "postgresql":
        _share_conditions([file, question])
    for index in (FILE_TROUBLED, QUESTION_LEASED, QUESTION_TOLD, QUESTION_TROUBLED):
        index.create(connection, checkfirst=True)


STEPS: Final[tuple[Step, ...]] = (
    *(_tables, _model_view, _transfers, _intended_for, _told_updates),
    *(_unended, _narrow_indexes, _picture_versions),
)


def migrate(database: Database, steps: Sequence[Step] = STEPS) -> None:
    """Bring the store to the shape this code knows. Repeats: nothing is written.

    Raises:
        AskOperator: scope `daemon`: the store was made by a newer hashtagd; nothing was written.
    """
    done = database.read(lambda connection, _now: _version(connection))
    _refuse_newer(done, len(steps))
    # nobody who looks at a store that is being made finds half of it
    turns = [range(1, len(steps) + 1)] if done == 0 else [[it] for it in range(done + 1, len(steps) + 1)]
    for numbers in turns:
        database.write(partial(_take, numbers=numbers, steps=steps))


def is_made(database: Database, steps: Sequence[Step] = STEPS) -> bool:
    """Tell whether the store has the shape this code knows, or none at all yet; changes nothing.

    Raises:
        AskOperator: scope `daemon`: it was made by a newer or an older hashtagd.
    """
    done = database.read(lambda connection, _now: _version(connection))
    _refuse_newer(done, len(steps))
    if 0 < done < len(steps):
        raise AskOperator(
            f"the catalog has shape {done}, this hashtagd knows shape {len(steps)}",
            does="nothing was read and nothing was changed",
            you="start the daemon once (`hashtagd run`): it brings the catalog up to date",
            scope=Scope.DAEMON,
            kind="catalog_older",
        )
    return done > 0


def _take(connection: Connection, now: datetime, *, numbers: Sequence[int], steps: Sequence[Step]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    done = _version(connection)
    _refuse_newer(done, len(steps))
    for number in numbers:
        if done >= number:
            continue  # another process was faster
        schema_version.create(connection, checkfirst=True)
        steps[number - 1](connection)
        connection.execute(schema_version.insert().values(version=number, applied_at=now))


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        return 0
    newest = connection.execute(select(func.max(schema_version.c.version))).scalar_one()
    return newest or 0


def _refuse_newer(found: int, known: int) -> None:
    if found > known:
        raise AskOperator(
            f"the catalog has shape {found}, this hashtagd knows shapes up to {known}",
            does="hashtagd does not start and writes nothing",
            you="install the newer hashtagd again, or set `catalog.url` to another place",
            scope=Scope.DAEMON,
            kind="catalog_newer",
        )
