"""Extended attributes that file managers and search programs know: tags, comment, origin, and the hash.

They are the only thing of ours that is attached to a model itself; its bytes and times stay as they are. All
of them have to fit into the little that some file systems give (4 KB a file).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import Target, Xattr
from hashtagd.core.card import Card
from hashtagd.writers.plain_text import one_line, tags_of, title_of, words_of
from hashtagd.writers.version_object import trusted

TAGS: Final = "user.xdg.tags"
COMMENT: Final = "user.xdg.comment"
ORIGIN: Final = "user.xdg.origin.url"
CHECKSUM: Final = "user.checksum.sha256"
#: of each value, so that all four fit together with what others attach
_MOST_BYTES: Final = 768


class XattrsOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Xattrs:
    """Renders up to four attributes."""

    name = "xattrs"
    Options = XattrsOptions

    def __init__(self, options: XattrsOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[Xattr]:
        """Make the attributes: of a card that is not trusted, or none, only the hash."""
        known = trusted(card)
        values = {} if known is None else _facts(known, target)
        values[CHECKSUM] = target.digests.sha256
        return [Xattr(key=key, value=value.encode("utf-8")) for key, value in values.items() if value]


def _facts(card: Card, target: Target) -> dict[str, str]:
    origin = one_line(card.page_url, _MOST_BYTES + 1)
    words = ", ".join(words_of(card))
    comment = title_of(card, target.place.stem) + (f" ({words})" if words else "")
    return {
        TAGS: _joined(tags_of(card)),
        COMMENT: _cut(comment),
        # half an address leads nowhere
        ORIGIN: origin if len(origin.encode("utf-8")) <= _MOST_BYTES else "",
    }


def _joined(tags: Iterable[str]) -> str:
    """Put commas between as many whole tags as fit."""
    kept, room = [], _MOST_BYTES
    for tag in tags:
        room -= len(tag.encode("utf-8")) + 1
        if room < 0:
            break
        kept.append(tag)
    return ",".join(kept)


def _cut(text: str) -> str:
    """Cut a text at a whole character."""
    return text.encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip()
