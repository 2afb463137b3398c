"""What programs are told, and the shape of a program that can be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final, Protocol

from hashtagd.core.card import Card, Confidence
from hashtagd.nudges.plain import plain_text

#: a description longer than this is cut: it is kept in memory until it is told
_LONGEST_DESCRIPTION: Final = 4000
#: more words or tags than any site has for one model
_MOST_WORDS: Final = 200
#: what a file only claims of itself may turn out wrong, and a key that is filled once is never corrected
_SURE: Final = frozenset({Confidence.OWNER, Confidence.EXACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One file beside which something was written; small, because it waits in memory."""

    #: absolute, forward slashes, spelled as the root is spelled in the settings: programs compare text
    path: str
    size_bytes: int
    #: the site's word for the type of model: LORA, Checkpoint, ...
    kind: str | None
    #: what is known for sure, under the names of ComfyUI's `user_metadata`
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Give the name without folder and extension."""
        return PurePath(self.path).stem


class Unreachable(Exception):  # noqa: N818 - a condition of the server, not a bug
    """Nobody takes connections at the address: true for all programs there."""


class Unusable(Exception):  # noqa: N818 - a condition of an answer, not a bug
    """A program was asked and gave no answer, or none that can be used."""


class Program(Protocol):
    """Something that keeps a list of models of its own while it runs."""

    @property
    def name(self) -> str:
        """A short name for logs."""
        ...

    def present(self) -> bool:
        """Ask whether the program is there and wants to be told.

        Raises:
            Unreachable: nobody takes connections.
            Unusable: no answer in time, or none that can be used.
        """
        ...

    def tell(self, news: News) -> bool:
        """Tell of one file; takes two seconds at most. Returns False when the program has not met it yet.

        Raises:
            Unreachable: nobody takes connections.
            Unusable: no answer in time, or none that can be used.

        Repeats: changes nothing.
        """
        ...

    def look_around(self) -> None:
        """Let the program look for files it has not met; raises as `tell`."""
        ...


def news_of(path: PurePath, size_bytes: int, card: Card | None) -> News:
    """Take from a card what programs can be told."""
    sure = card is not None and card.confidence in _SURE
    return News(
        path=path.as_posix(),
        size_bytes=size_bytes,
        kind=None if card is None else card.kind,
        facts=_facts(card) if card is not None and sure else {},
    )


def _facts(card: Card) -> dict[str, Any]:
    """Name the facts as ComfyUI's asset browser reads them; absent ones are left out."""
    ids = (card.model_id, card.version_id)
    facts: dict[str, Any] = {
        "additional_tags": list(card.tags[:_MOST_WORDS]),
        "trained_words": list(card.trained_words[:_MOST_WORDS]),
        "base_model": [card.base_model] if card.base_model else [],
        "source_arn": "" if None in ids else f"civitai:model:{ids[0]}:version:{ids[1]}",
        "user_description": plain_text(card.description_html or "", _LONGEST_DESCRIPTION),
    }
    return {name: value for name, value in facts.items() if value}
