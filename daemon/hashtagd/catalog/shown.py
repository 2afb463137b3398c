"""Which card stands for a file: its answers joined, with what the owner locked in place of what sites say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from hashtagd.catalog.rows import Record, card_of, chunks
from hashtagd.catalog.tables import pin, question
from hashtagd.core.card import Card
from hashtagd.core.joining import as_claim, joined
from hashtagd.core.pins import with_pins

#: what `shown_card` asks of a question's row
CARD_COLUMNS: Final = (
    question.c.id,
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
    #: without a card: when anybody was asked last; None: nobody has answered
    checked_at: datetime | None


def shown(rows: Sequence[Record], pins: Mapping[str, Any], *, is_read: bool = True) -> Shown:
    """Join the answers about one file.

    Args:
        rows: questions about its hashes, those asked first in front.
        pins: what the owner locked, by field.
        is_read: False while nobody has compared a hash of ours.
    """
    told = [(card, row) for row in rows if (card := card_of(row.card, row.raw)) is not None]
    card = joined([card for card, _ in told])
    if card is None:
        times = [row.answered_at for row in rows if row.answered_at is not None]
        return Shown(None, max(times, default=None))
    _, teller = min(told, key=lambda pair: pair[0].confidence.rank)
    return Shown(with_pins(card if is_read else as_claim(card), pins), teller.answered_at)


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
