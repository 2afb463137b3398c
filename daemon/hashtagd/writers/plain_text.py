"""Words of a card for formats that hold plain text: no marks of HTML, no controls, no reversed writing."""

import re
from typing import Final

from hashtagd.core.card import Card
from hashtagd.core.harmless import plain, visible

#: no title is longer than this in a place made for titles
LONGEST_TITLE: Final = 200
_LONGEST_TEXT: Final = 8_000
#: so much HTML is looked at to find that much text
_MARKS: Final = 4
#: ends of what stands in a line, or in lines, of its own
_BREAK: Final = re.compile(
    r"<(?:br|hr|/(?:p|li|div|tr|ul|ol|pre|blockquote|h[1-6]))\b[^<>]{0,200}>", re.IGNORECASE | re.ASCII
)

#: a mark that was cut through
_HALF_MARK: Final = re.compile(r"<[^<>]{0,1000}\Z")


def one_line(text: str | None, longest: int = LONGEST_TITLE) -> str:
    """Give a text as one line of at most so many characters."""
    return " ".join(visible(text or "").split())[:longest].rstrip()


def title_of(card: Card, stem: str) -> str:
    """Give "Model - Version" in one line; the file's own stem where the model has no name."""
    names = [one_line(card.model_name) or one_line(stem), one_line(card.version_name)]
    return " - ".join(name for name in names if name)


def words_of(card: Card) -> tuple[str, ...]:
    """Give the trigger words, each in one line, none twice."""
    words = (one_line(word, _LONGEST_TEXT) for word in card.trained_words)
    return tuple(dict.fromkeys(word for word in words if word))


def tags_of(card: Card) -> tuple[str, ...]:
    """Give the tags in lower case and without commas, which stand between them in some formats."""
    tags = (one_line(tag.replace(",", " ")).lower() for tag in card.tags)
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def text_of(html: str | None) -> str:
    """Give the text of a description, its paragraphs kept apart by line breaks."""
    looked_at = (html or "")[: _LONGEST_TEXT * _MARKS]
    if len(looked_at) < len(html or ""):
        looked_at = _HALF_MARK.sub("", looked_at)
    text = plain(_BREAK.sub("\n", looked_at))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)[:_LONGEST_TEXT].rstrip()
