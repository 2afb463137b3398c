"""What can be said of a file before anybody knows it: its own header has the first word, and only a claim."""

from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card
from hashtagd.providers.header import card_of


def card_to_show(row: FileRow) -> Card | None:
    """Give the card of a file; where nobody has told anything (yet), it speaks for itself."""
    return row.card if row.card is not None or row.header is None else card_of(row.header)
