"""`STEM.json`, the card of A1111 and Forge: trigger words, description, and hashes for Civitai Browser+.

Several programs keep different things under this very name, so only keys are added that are absent, the notes
are never touched, and SD.Next's document, which is another one altogether, stays as it is.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import JsonMerge, Target
from hashtagd.core.card import Card
from hashtagd.writers.plain_text import text_of, words_of
from hashtagd.writers.version_object import trusted

SUFFIX: Final = ".json"
#: how Civitai's names of base models begin, in lower case, and what A1111 and Forge call the family; for all
#: others they look into the file
_FAMILIES: Final = (
    ("sd 1", "SD1"),
    ("sd 2", "SD2"),
    ("sd 3", "SD3"),
    *((start, "SDXL") for start in ("sdxl", "pony", "illustrious", "noobai")),
    ("flux.1", "Flux"),
)
#: families whose names begin like those above and that are none of them
_OTHERS: Final = ("pony v7",)
#: the `.json` of `x.swarm` is the SwarmUI file of `x`
_TAKEN: Final = (".metadata", ".swarm", ".cm-info", ".rgthree-info")
#: what Civitai Browser+ writes in place of a number it did not find
_NOT_FOUND: Final = "Model not found"


class A1111Options(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class A1111:
    """Renders one merge of keys that are set where they are absent."""

    name = "a1111"
    Options = A1111Options

    def __init__(self, options: A1111Options) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[JsonMerge]:
        """Make the merge of a trusted card, unless the file is another model's in another format."""
        known = trusted(card)
        if known is None or target.place.stem.endswith(_TAKEN):
            return []
        numbers = {"modelId": known.model_id, "modelVersionId": known.version_id}
        identity: dict[str, Any] = {
            "sha256": target.digests.sha256.upper(),
            **{key: value for key, value in numbers.items() if value is not None},
        }
        return [
            JsonMerge(
                suffix=SUFFIX,
                owned={},
                fill={},
                renewed={**_facts(known), **identity},
                empty=dict.fromkeys(numbers, (_NOT_FOUND,)),
                refuse_if=frozenset({"modelVersions"}),
                agrees=identity,
                indent=4,
            )
        ]


def _facts(card: Card) -> dict[str, str]:
    facts = {
        "description": text_of(card.description_html) or text_of(card.version_description_html),
        "sd version": _family(card.base_model),
        "activation text": ", ".join(words_of(card)),
    }
    return {key: value for key, value in facts.items() if value}


def _family(base_model: str | None) -> str:
    name = (base_model or "").casefold()
    if name.startswith(_OTHERS):
        return ""
    return next((family for start, family in _FAMILIES if name.startswith(start)), "")
