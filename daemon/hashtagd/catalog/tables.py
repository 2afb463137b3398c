"""The tables. Constraints carry the invariants, so that no path through the code can break them unseen."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from hashtagd.catalog.types import CleanJson, CleanText, RowId, UtcDateTime, WideInteger

#: where file times may begin: 1901, as ext4 and XFS begin
_EARLIEST_NS: Final = -(2**31) * 10**9

metadata: Final = MetaData()

file = Table(
    "file",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("root", Text, nullable=False),
    Column("relpath", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("name", Text, nullable=False),
    #: the path as `search` compares it: case folded
    Column("folded", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", WideInteger(_EARLIEST_NS), nullable=False),
    Column("inode", WideInteger(0), nullable=False),
    Column("stage", Text, nullable=False),
    Column("due_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    #: an answer came while the file was being published: publish once more
    Column("republish", Boolean, nullable=False, default=False, server_default=false()),
    Column("parked_at", UtcDateTime),
    Column("trouble", CleanJson),
    Column("still_since", UtcDateTime, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("gone_at", UtcDateTime),
    Column("sha256", Text),
    Column("tensors_sha256", Text),
    Column("blake3", Text),
    Column("crc32", Text),
    Column("header", CleanJson),
    #: what the file says of its tensors: names it for the time until it is read, never after
    Column("claimed_tensors_sha256", Text),
    UniqueConstraint("root", "relpath", name="file_one_row_a_place"),
    CheckConstraint("stage in ('settle', 'digest', 'publish', 'sweep')", name="file_stage_is_known"),
    CheckConstraint("stage <> 'publish' or sha256 is not null", name="file_is_published_by_its_hash"),
    CheckConstraint("(lease_owner is null) = (lease_until is null)", name="file_lease_is_whole"),
    CheckConstraint(
        "gone_at is null or (parked_at is null and (due_at is null or stage = 'sweep'))",
        name="file_gone_is_only_swept",
    ),
    CheckConstraint("stage <> 'sweep' or gone_at is not null", name="file_swept_is_gone"),
    CheckConstraint(
        "parked_at is null or (due_at is null and trouble is not null)", name="file_parked_says_why"
    ),
    CheckConstraint("lease_owner is null or due_at is not null", name="file_leased_was_due"),
    CheckConstraint(
        "gone_at is not null or due_at is not null or parked_at is not null"
        " or (stage = 'publish' and published_at is not null)",
        name="file_is_never_lost",
    ),
    CheckConstraint("attempts >= 0 and fence >= 0 and size_bytes >= 0", name="file_counts"),
    sqlite_autoincrement=True,
)
Index(
    "file_due",
    file.c.stage,
    file.c.due_at,
    sqlite_where=file.c.due_at.is_not(None),
)
_IS_LIVE: Final = file.c.gone_at.is_(None)
Index("file_stamp", file.c.size_bytes, file.c.mtime_ns)
Index("file_sha256", file.c.sha256, sqlite_where=_IS_LIVE)
Index("file_tensors", file.c.tensors_sha256, sqlite_where=_IS_LIVE)
Index("file_claimed", file.c.claimed_tensors_sha256, sqlite_where=file.c.claimed_tensors_sha256.is_not(None))
Index("file_folder", file.c.root, file.c.folder, file.c.gone_at)
FILE_TROUBLED: Final = Index(
    "file_troubled", file.c.root, file.c.relpath, sqlite_where=file.c.trouble.is_not(None)
)

question = Table(
    "question",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("hash_kind", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("provider", Text, nullable=False),
    #: asked behind all first answers
    Column("background", Boolean, nullable=False),
    #: None while it is parked
    Column("due_at", UtcDateTime),
    #: from when on it may join a round that goes anyway
    Column("pull_at", UtcDateTime),
    Column("interval_s", Float, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("parked_at", UtcDateTime),
    Column("trouble", CleanJson),
    #: `found`, `absent`, or `vanished`: found before, absent now; None while nobody has answered
    Column("verdict", Text),
    Column("card", CleanJson),
    Column("raw", CleanJson),
    Column("answered_at", UtcDateTime),
    Column("times_answered", Integer, nullable=False, default=0),
    Column("times_absent", Integer, nullable=False, default=0),
    #: parts of the card that are searched for; `strength` 0 is the strongest
    Column("strength", Integer),
    Column("model_id", BigInteger),
    Column("version_id", BigInteger),
    Column("model_name", CleanText),
    Column("version_name", CleanText),
    Column("kind", CleanText),
    Column("base_model", CleanText),
    Column("availability", CleanText),
    Column("confidence", CleanText),
    Column("page_url", CleanText),
    #: the newer version that the card tells of
    Column("update_version_id", BigInteger),
    #: names, words, tags and creator as `search` compares them: case folded
    Column("folded", CleanText),
    UniqueConstraint("hash", "hash_kind", "provider", name="question_is_put_once"),
    CheckConstraint("hash_kind in ('sha256', 'tensors')", name="question_hash_is_known"),
    CheckConstraint("verdict in ('found', 'absent', 'vanished')", name="question_verdict_is_known"),
    CheckConstraint(
        "(card is not null) = (verdict is not null and verdict <> 'absent')", name="question_found_has_a_card"
    ),
    CheckConstraint("(strength is null) = (card is null)", name="question_card_has_a_strength"),
    CheckConstraint("(answered_at is null) = (verdict is null)", name="question_answer_has_a_time"),
    CheckConstraint("(lease_owner is null) = (lease_until is null)", name="question_lease_is_whole"),
    CheckConstraint("(due_at is null) = (pull_at is null)", name="question_due_times_go_together"),
    CheckConstraint("due_at is not null or parked_at is not null", name="question_is_never_lost"),
    CheckConstraint(
        "attempts >= 0 and fence >= 0 and times_answered >= 0 and times_absent >= 0", name="question_counts"
    ),
    sqlite_autoincrement=True,
)
Index(
    "question_due",
    question.c.provider,
    question.c.hash_kind,
    question.c.due_at,
    sqlite_where=question.c.due_at.is_not(None),
)
Index("question_model", question.c.model_id)
Index("question_version", question.c.version_id)
#: all that is counted over a whole library: the rows themselves lie among hundreds of megabytes of cards
QUESTION_TOLD: Final = Index(
    "question_told",
    question.c.hash,
    question.c.hash_kind,
    question.c.strength,
    question.c.provider,
    question.c.verdict,
    question.c.confidence,
    question.c.availability,
    question.c.model_id,
    question.c.background,
    question.c.due_at,
    question.c.answered_at,
)
#: few rows at any time: what is being asked
QUESTION_LEASED: Final = Index(
    "question_leased", question.c.lease_until, sqlite_where=question.c.lease_until.is_not(None)
)
QUESTION_TROUBLED: Final = Index(
    "question_troubled",
    question.c.provider,
    question.c.hash,
    sqlite_where=question.c.trouble.is_not(None),
)

#: parts of a card that the owner locked, with what they said then; it belongs to the bytes, as answers do
pin = Table(
    "pin",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("value", CleanJson),
    #: the value as `list` and `search` compare it: case folded
    Column("folded", CleanText, nullable=False),
    Column("pinned_at", UtcDateTime, nullable=False),
)

#: models whose newer versions the owner does not want to hear of
ignored_update = Table(
    "ignored_update",
    metadata,
    Column("model_id", BigInteger, primary_key=True, autoincrement=False),
    Column("ignored_at", UtcDateTime, nullable=False),
)

#: newer versions that were told of: each once, however many files it concerns
told_update = Table(
    "told_update",
    metadata,
    Column("model_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_id", BigInteger, primary_key=True, autoincrement=False),
    Column("told_at", UtcDateTime, nullable=False),
)

#: what writers put, or were about to put, on disk
publication = Table(
    "publication",
    metadata,
    Column("root", Text, primary_key=True),
    Column("relpath", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("file_id", RowId, ForeignKey("file.id", ondelete="CASCADE"), nullable=False),
    #: the path of the model it lies beside, without the extension; None for what is attached to the model
    Column("beside", Text),
    Column("intended_sha256", Text),
    Column("written_sha256", Text),
    Column("written_at", UtcDateTime),
    #: SHA-256 of the model that these bytes tell of
    Column("intended_for", Text),
    Column("written_for", Text),
    Column("nsfw_level", Integer),
    #: of which version of a model a picture is
    Column("version_id", BigInteger),
    CheckConstraint(
        "intended_sha256 is not null or written_sha256 is not null", name="publication_knows_its_bytes"
    ),
)
Index("publication_file", publication.c.file_id)
Index("publication_beside", publication.c.root, publication.c.beside)
Index("publication_made_for", publication.c.written_for)
#: few rows at any time: what is being written, and what a killed process may have written
INTENDED_FOR: Final = Index(
    "publication_intended_for",
    publication.c.intended_for,
    sqlite_where=publication.c.intended_for.is_not(None),
)

gate = Table(
    "gate",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("opens_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("trouble", CleanJson),
    #: until when the one request that tries an origin after an outage may take
    Column("probe_until", UtcDateTime),
    Column("tokens", Float, nullable=False),
    Column("refilled_at", UtcDateTime, nullable=False),
    CheckConstraint("failures >= 0 and tokens >= 0", name="gate_counts"),
)

event = Table(
    "event",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("file_id", RowId, ForeignKey("file.id", ondelete="CASCADE")),
    #: for what happened to a hash
    Column("hash", Text),
    Column("name", Text, nullable=False),
    Column("detail", CleanJson),
    sqlite_autoincrement=True,
)
Index("event_file", event.c.file_id)
Index("event_hash", event.c.hash)
Index("event_at", event.c.at)

#: what a scan saw of a folder, so that the next one reads file rows only where something differs
folder = Table(
    "folder",
    metadata,
    Column("root", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
)

root = Table(
    "root",
    metadata,
    Column("name", Text, primary_key=True),
    #: the token that also lies in a file at the root: tells different disks under one name apart
    Column("marker", Text),
    #: which writers the root is published with
    Column("fingerprint", Text),
)

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", UtcDateTime, nullable=False),
)
