"""What can be said of a file before it was read: its own header has the first word, and only a claim."""

from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card
from hashtagd.providers.header import card_of


def card_to_show(row: FileRow) -> Card | None:
    """Give the card of a file; one that is not read yet and that nobody knows speaks for itself."""
    if row.card is not None or row.sha256 is not None or row.header is None:
        return row.card
    return card_of(row.header)
