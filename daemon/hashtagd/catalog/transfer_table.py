"""The table of transfers: files that shall be fetched, and for a while those that were."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from hashtagd.catalog.tables import metadata
from hashtagd.catalog.types import CleanJson, RowId, UtcDateTime

transfer: Final = Table(
    "transfer",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("root", Text, nullable=False),
    Column("relpath", Text, nullable=False),
    #: None where no site states one
    Column("sha256", Text),
    Column("size_bytes", BigInteger),
    #: addresses that may be kept, in the order in which they are tried
    Column("sources", CleanJson, nullable=False),
    #: what is known of the bytes, until they are here
    Column("card", CleanJson),
    Column("raw", CleanJson),
    Column("due_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, default=0),
    #: claims since the last that came to an outcome: whoever held them died
    Column("unended", Integer, nullable=False, default=0, server_default="0"),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("parked_at", UtcDateTime),
    Column("trouble", CleanJson),
    #: where the bytes that are here came from
    Column("begun", CleanJson),
    Column("bytes_done", BigInteger, nullable=False, default=0),
    Column("wanted_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    CheckConstraint("(lease_owner is null) = (lease_until is null)", name="transfer_lease_is_whole"),
    CheckConstraint("lease_owner is null or due_at is not null", name="transfer_leased_was_due"),
    CheckConstraint(
        "parked_at is null or (due_at is null and trouble is not null)", name="transfer_parked_says_why"
    ),
    CheckConstraint("done_at is null or (due_at is null and parked_at is null)", name="transfer_done_rests"),
    CheckConstraint(
        "due_at is not null or parked_at is not null or done_at is not null", name="transfer_is_never_lost"
    ),
    CheckConstraint("attempts >= 0 and fence >= 0 and bytes_done >= 0", name="transfer_counts"),
    sqlite_autoincrement=True,
)
Index(
    "transfer_one_a_place",
    transfer.c.root,
    transfer.c.relpath,
    unique=True,
    sqlite_where=transfer.c.done_at.is_(None),
)
Index("transfer_due", transfer.c.due_at, sqlite_where=transfer.c.due_at.is_not(None))
