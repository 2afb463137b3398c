"""Several answers about one file, joined into the card that is shown.

The strongest match tells what the model is. Where its site does not give the file out any more, the addresses
of those who still have the very same bytes stand in their place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from hashtagd.core.card import Availability, Card, Confidence, Download, strongest

#: what a site knows and does not give out, or not any more
GONE: Final = frozenset(
    {Availability.ARCHIVED, Availability.TAKEN_DOWN, Availability.DELETED, Availability.UNKNOWN}
)


def joined(cards: Sequence[Card]) -> Card | None:
    """Give the card to show; None without any.

    It is the strongest; of equals one that has a name, then the earliest in the given (chain) order. Only
    those who know the same whole file lend it their addresses, and their pictures where it has none.
    """
    card = strongest([card for card in cards if card.model_name is not None])
    nameless = strongest(cards)
    if nameless is not None and (card is None or nameless.confidence.rank < card.confidence.rank):
        card = nameless
    if card is None or card.availability not in GONE:
        return card
    others = [other for other in cards if other is not card and other.confidence is Confidence.EXACT]
    keeper = next((other for other in others if other.downloadable), None)
    if keeper is not None:
        card = replace(
            card, downloads=_merged(keeper.downloads, card.downloads), not_downloadable_because=None
        )
    previews = card.previews or next((other.previews for other in others if other.previews), ())
    return replace(card, previews=previews)


def vanished(card: Card, at: datetime) -> Card:
    """Mark the card of a model that its site knew and does not know any more; all else stays as it was.

    Args:
        card: as it was told last.
        at: when the site was first heard to say no.
    """
    if card.availability is Availability.DELETED:
        return card
    because = f"its site does not show it any more, first noticed {at:%Y-%m-%d}"
    return replace(
        card,
        availability=Availability.DELETED,
        not_downloadable_because=because,
        early_access_ends_at=None,
        update=None,
    )


def as_of(card: Card, now: datetime) -> Card:
    """Let an early access be over whose end has passed since the site was asked."""
    ends_at = card.early_access_ends_at
    if ends_at is None or datetime.fromisoformat(ends_at) > now:
        return card
    there = any(item.urls for item in card.downloads)
    return replace(
        card,
        availability=Availability.PUBLIC,
        early_access_ends_at=None,
        not_downloadable_because=None if there else "no address is known",
    )


def as_claim(card: Card) -> Card:
    """Weaken a card to what it is before the file was read: nobody has compared a hash yet."""
    return replace(card, confidence=Confidence.CLAIMED)


def _merged(live: Sequence[Download], known: Sequence[Download]) -> tuple[Download, ...]:
    """Give the files of both; of one file the live addresses stand first."""
    by_hash: Mapping[str, Download] = {item.sha256: item for item in known if item.sha256}
    met = [
        replace(item, urls=tuple(dict.fromkeys((*item.urls, *twin.urls))))
        if item.sha256 and (twin := by_hash.get(item.sha256))
        else item
        for item in live
    ]
    hashes = {item.sha256 for item in live if item.sha256}
    return (*met, *(item for item in known if item.sha256 not in hashes))
