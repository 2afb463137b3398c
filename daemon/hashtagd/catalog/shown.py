"""Which card stands for a file: its answers joined, with what the owner locked in place of what sites say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from hashtagd.catalog.rows import HEADER_PROVIDER, Record, card_of, chunks
from hashtagd.catalog.tables import ignored_update, pin, question
from hashtagd.core.card import Card, Confidence
from hashtagd.core.joining import SITE, as_claim, as_of, joined
from hashtagd.core.pins import with_pins
from hashtagd.core.work import HashKind

#: what `shown` asks of a question's row
CARD_COLUMNS: Final = (
    question.c.id,
    question.c.provider,
    question.c.verdict,
    question.c.card,
    question.c.raw,
    question.c.answered_at,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The card that stands for a file, and when the one who told it was asked last."""

    #: None: nobody has told anything
    card: Card | None
    #: where nobody but the file itself told anything: when anybody was asked last; None: nobody has answered
    checked_at: datetime | None


def shown(rows: Sequence[Record], pins: Mapping[str, Any], now: datetime, *, is_read: bool = True) -> Shown:
    """Join the answers about one file.

    Args:
        now: an early access may have ended since the site was asked.
        rows: questions about its hashes, those asked first in front.
        pins: what the owner locked, by field.
        is_read: False while nobody has compared a hash of ours.
    """
    told = [(card, row) for row in rows if (card := card_of(row.card, row.raw)) is not None]
    card = joined([card for card, _ in told], is_denied=any(map(_denies, rows)))
    asked_at = max((row.answered_at for row in rows if row.answered_at is not None), default=None)
    if card is None:
        return Shown(None, asked_at)
    _, teller = min(told, key=lambda pair: (pair[0].confidence.rank, pair[0].model_name is None))
    checked_at = asked_at if teller.provider == HEADER_PROVIDER else teller.answered_at
    current = as_of(card, now)
    return Shown(with_pins(current if is_read else as_claim(current), pins), checked_at)


def _denies(row: Record) -> bool:
    """Tell whether a row is the site's own word that it knows nobody who has the whole file."""
    is_whole = row.hash_kind == HashKind.SHA256.value
    return bool(row.provider == SITE and is_whole and row.verdict == "absent")


def rivals(rows: Sequence[Record], card: Card | None) -> tuple[Card, ...]:
    """Give the cards that name another model, or another version of it, than the one that is shown."""
    if card is None or card.confidence is Confidence.OWNER:
        return ()  # what the owner decided is contradicted by nobody
    others = [other for row in rows if (other := card_of(row.card, None)) is not None]
    return tuple(
        other
        for other in others
        if _differs(other.model_id, card.model_id) or _differs(other.version_id, card.version_id)
    )


def _differs(one: int | None, two: int | None) -> bool:
    return one is not None and two is not None and one != two


def ignored_models(connection: Connection) -> frozenset[int]:
    """Fetch the models of whose newer versions the owner wants to hear nothing: a handful."""
    return frozenset(connection.execute(select(ignored_update.c.model_id)).scalars())


def pins_of(connection: Connection, hashes: Iterable[str | None]) -> dict[str, dict[str, Any]]:
    """Fetch what the owner locked, by SHA-256 and field; hashes without a lock are not in it."""
    found: dict[str, dict[str, Any]] = {}
    for some in chunks(sorted({value for value in hashes if value is not None})):
        rows = connection.execute(
            select(pin.c.sha256, pin.c.field, pin.c.value).where(pin.c.sha256.in_(some))
        )
        for row in rows:
            found.setdefault(row.sha256, {})[row.field] = row.value
    return found
