"""`STEM.swarm.json` for SwarmUI, in the words of ModelSpec.

SwarmUI lays it over what the file's own header says, so only that is written which Civitai knows better:
never the architecture, and never a resolution, which in a form other than WxH would stop the model's loading.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import JsonMerge, Target
from hashtagd.core.card import Card
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.writers.plain_text import one_line, tags_of, text_of, title_of, words_of
from hashtagd.writers.version_object import trusted

SUFFIX: Final = ".swarm.json"
#: what SwarmUI takes
_MOST_TAGS: Final = 128
#: all but the tags may stand there without it, too, and then count less than with it
_PREFIX: Final = "modelspec."
_TAGS: Final = "modelspec.tags"
_HASH: Final = "modelspec.hash_sha256"


class SwarmOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Swarm:
    """Renders one merge that fills what is empty."""

    name = "swarm"
    Options = SwarmOptions

    def __init__(self, options: SwarmOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[JsonMerge]:
        """Make the merge of a trusted card; a key without a fact is left to the header."""
        known = trusted(card)
        if known is None:
            return []
        facts = {f"{_PREFIX}{key}": value for key, value in _facts(known, target).items() if value}
        # only the tensors': that of the whole file would change with every edit of its header
        proof = {_HASH: facts[_HASH]} if _HASH in facts else {}
        aliases = {key: (key.removeprefix(_PREFIX),) for key in facts if key != _TAGS}
        return [JsonMerge(suffix=SUFFIX, owned={}, fill=facts, aliases=aliases, agrees=proof)]


def _facts(card: Card, target: Target) -> dict[str, Any]:
    texts = [text_of(html) for html in (card.version_description_html, card.description_html)]
    tensors = target.digests.tensors_sha256
    return {
        "title": title_of(card, target.place.stem),
        "description": "\n\n".join(text for text in texts if text),
        "author": one_line(card.creator),
        "date": one_line(card.published_at),
        "trigger_phrase": ", ".join(words_of(card)),
        "tags": list(tags_of(card)[:_MOST_TAGS]),
        "hash_sha256": f"0x{tensors}" if tensors not in (None, SHA256_OF_NOTHING) else None,
    }
