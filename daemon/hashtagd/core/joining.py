"""Several answers about one file, joined into the card that is shown.

The strongest match tells what the model is. Where its site does not give the file out any more, the addresses
of those who still have the very same bytes stand in their place, and those of the site itself behind them.
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
#: the site whose numbers stand on cards; others know what is there, or was
SITE: Final = "civitai"


def joined(cards: Sequence[Card], *, is_denied: bool = False) -> Card | None:
    """Give the card to show; None without any.

    It is the strongest; of equals one that has a name, then the earliest in the given (chain) order. Only
    those who know the same whole file lend it their addresses, and their pictures where it has none.

    Args:
        cards: all that was told about one file.
        is_denied: the site itself was asked for the whole hash, and knows nobody who has it (any more).
    """
    card = strongest([card for card in cards if card.model_name is not None])
    nameless = strongest(cards)
    if nameless is not None and (card is None or nameless.confidence.rank < card.confidence.rank):
        card = nameless
    if card is None:
        return None
    others = [other for other in cards if other is not card and other.confidence is Confidence.EXACT]
    if is_denied:
        card = _only_kept(card)
    if card.availability not in GONE:
        return card
    keeper = next((other for other in others if other.downloadable and _is_kept_elsewhere(other)), None)
    if keeper is not None:
        card = replace(
            card, downloads=_merged(keeper.downloads, card.downloads), not_downloadable_because=None
        )
    previews = card.previews or next((other.previews for other in others if other.previews), ())
    return replace(card, previews=previews, downloads=tuple(map(_site_last, card.downloads)))


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
        downloads=tuple(map(_door_opened, card.downloads)),
    )


def _only_kept(card: Card) -> Card:
    """Mark the card of what only an archive knows any more, however the archive saw it last."""
    is_numbered = card.model_id is not None and card.provider != SITE
    if not is_numbered or card.confidence is not Confidence.EXACT or card.availability in GONE:
        return card
    nowhere = "its site does not know it any more, and nobody is known to have another copy"
    return replace(
        card,
        availability=Availability.DELETED,
        not_downloadable_because=card.not_downloadable_because if _is_kept_elsewhere(card) else nowhere,
        early_access_ends_at=None,
        update=None,
    )


def _is_kept_elsewhere(card: Card) -> bool:
    return any(url.source != SITE for item in card.downloads for url in item.urls)


def _site_last(item: Download) -> Download:
    """Let nobody knock first where the house is gone."""
    return replace(item, urls=tuple(sorted(item.urls, key=lambda url: url.source == SITE)))


def _door_opened(item: Download) -> Download:
    """Take the marks of paid access off the site's own addresses; the door may still ask for an account."""
    urls = (replace(url, gated=None, paid=None) if url.source == SITE else url for url in item.urls)
    return replace(item, urls=tuple(urls))


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
