"""What a file says of itself: the last link of the chain, asked when nobody else knows the file.

Anybody can write anything into a header, so its cards are claims. Paths of the trainer's machine stay there.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.card import Availability, Card, Confidence, License
from hashtagd.core.claimed import claimed_version
from hashtagd.core.harmless import line, prose, word, words
from hashtagd.core.header import Header
from hashtagd.core.training import training_of
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers.surroundings import Surroundings

__all__ = ["HeaderOptions", "HeaderProvider"]

#: what one word says exactly, and the families of tensors that do not contradict it; SDXL is not among them,
#: because its descendants say the same
_EXACT: Final[Mapping[str, frozenset[str]]] = {
    "SD 1.5": frozenset({"SD 1.x"}),
    "SD 2.1": frozenset({"SD 2.x"}),
    "SD 2.1 768": frozenset({"SD 2.x"}),
    "Flux.1 D": frozenset({"Flux.1", "Flux.1 D"}),
    "Flux.1 S": frozenset({"Flux.1", "Flux.1 S"}),
    # a LoRA for Chroma has the layers of one for Flux.1
    "Chroma": frozenset({"Flux.1", "Chroma"}),
    "Lumina": frozenset({"Lumina 2"}),
}
_KOHYA: Final[Mapping[str, str]] = {
    "sd_v1": "SD 1.5",
    "sd_v2": "SD 2.1",
    "sd_v2_v": "SD 2.1 768",
    "flux1": "Flux.1 D",
    "chroma": "Chroma",
    "lumina2": "Lumina",
}
_MODELSPEC: Final[Mapping[str, str]] = {
    "stable-diffusion-v1": "SD 1.5",
    "stable-diffusion-v2-512": "SD 2.1",
    "stable-diffusion-v2-768-v": "SD 2.1 768",
    "flux-1-dev": "Flux.1 D",
    "flux.1-dev": "Flux.1 D",
    "flux-1-schnell": "Flux.1 S",
    "flux.1-schnell": "Flux.1 S",
    "chroma": "Chroma",
    "lumina-2": "Lumina",
}
#: words that begin the names of a broad family; the first that fits wins
_BROAD: Final = (
    ("stable-diffusion-xl-v1-refiner", "SDXL Refiner"),
    *((start, "SDXL") for start in ("sdxl", "stable-diffusion-xl")),
    *((start, "SD 3") for start in ("sd3", "stable-diffusion-3", "stable-diffusion-v3")),
    *((start, "SD 1.x") for start in ("sd_v1", "stable-diffusion-v1")),
    *((start, "SD 2.x") for start in ("sd_v2", "stable-diffusion-v2")),
    *((start, "Flux.2") for start in ("flux2", "flux-2", "flux.2")),
    *((start, "Flux.1") for start in ("flux1", "flux-1", "flux.1")),
    *((start, "Hunyuan Image") for start in ("hunyuan-image", "hunyuan_image")),
    *((start, "Hunyuan Video") for start in ("hunyuan-video", "hunyuan_video")),
    *((start, "Qwen-Image") for start in ("qwen-image", "qwen_image")),
    *((start, "Wan") for start in ("wan2", "wan-2")),
    *((start, "Z-Image") for start in ("z-image", "z_image", "zimage")),
    ("lumina", "Lumina 2"),
    ("chroma", "Chroma"),
)
_KINDS: Final[Mapping[str, str]] = {
    "lora": "LORA",
    "textual-inversion": "TextualInversion",
    "controlnet": "Controlnet",
    "vae": "VAE",
}
_MOST_WORDS: Final = 24
_MOST_LOOKED_AT: Final = 1_000
#: longer texts are not kept of a header, so they do not come from one
_LONGEST_JSON: Final = 256 * 1024
_LONGEST_TITLE: Final = 200
_LONGEST_LICENSE: Final = 500
_LONGEST_DESCRIPTION: Final = 8_000
_TRAINED: Final = re.compile(r"lycoris|networks\.|lora", re.IGNORECASE)


class HeaderOptions(BaseModel):
    """There is nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HeaderProvider:
    """The provider; needs no network, so it has no origin."""

    Options = HeaderOptions

    def __init__(
        self, _options: HeaderOptions | None = None, _surroundings: Surroundings | None = None
    ) -> None:
        self.name = "header"
        self.slow = False
        self.reads_headers = True
        self.origin: str | None = None
        self.batch_limit = 500

    def close(self) -> None:
        """Let go of nothing: there is nothing."""

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every subject from its header alone."""
        for subject in {item.hash: item for item in subjects}.values():
            card = None if subject.header is None else card_of(subject.header)
            yield subject.hash, Absent() if card is None else Found(card=card)


def card_of(header: Header) -> Card | None:
    """Make the card of a header; None where it says nothing that helps anybody."""
    metadata = header.metadata
    title = _title(metadata)
    base_model = _base_model(metadata, header.family)
    trained_words = _trained_words(metadata)
    claimed = claimed_version(metadata)
    kind = header.kind or _kind(metadata)
    if not (title or kind or base_model or trained_words or claimed):
        return None
    return Card(
        provider="header",
        by="header",
        confidence=Confidence.CLAIMED,
        availability=Availability.UNKNOWN,
        model_id=claimed.model_id if claimed else None,
        version_id=claimed.version_id if claimed else None,
        air=claimed.air if claimed else None,
        model_name=title,
        kind=kind,
        base_model=base_model,
        trained_words=trained_words,
        tags=words(_first(metadata, "modelspec.tags", "ssmd_tags"), _MOST_WORDS),
        creator=line(_first(metadata, "modelspec.author", "ssmd_author"), _LONGEST_TITLE),
        license=License(text=line(metadata.get("modelspec.license"), _LONGEST_LICENSE)),
        description_html=_description(metadata),
        not_downloadable_because="nobody but the file itself knows it",
    )


def _first(metadata: Mapping[str, str], *keys: str) -> str | None:
    """Give the first that says anything at all."""
    return next((value for key in keys if (value := metadata.get(key, "")).strip()), None)


def _title(metadata: Mapping[str, str]) -> str | None:
    """Give the first proper title; an output name only when it is no path of the trainer's machine."""
    for name in ("modelspec.title", "ss_output_name"):
        text = line(metadata.get(name), _LONGEST_TITLE)
        if text and not ({"/", "\\"} & set(text)):
            return text
    return None


def _description(metadata: Mapping[str, str]) -> str | None:
    """Give the description as HTML that has no marks but line breaks: what was text stays text."""
    text = prose(_first(metadata, "modelspec.description", "ssmd_description"), _LONGEST_DESCRIPTION)
    return "<br>".join(html.escape(text, quote=False).splitlines()) if text else None


def _base_model(metadata: Mapping[str, str], family: str | None) -> str | None:
    """Name the family: exactly where the words are exact, else openly as a guess from the file.

    Words are copied from file to file; where the tensors contradict them, the tensors are right.
    """
    kohya = metadata.get("ss_base_model_version", "").strip().lower()
    architecture = metadata.get("modelspec.architecture", "").strip().lower().partition("/")[0]
    for exact in (_KOHYA.get(kohya), _MODELSPEC.get(architecture)):
        if exact and (family is None or family in _EXACT[exact]):
            return exact
    said = (broad for text in (kohya, architecture) for start, broad in _BROAD if text.startswith(start))
    broad = family or next(said, None) or _old_kohya(metadata)
    return f"{broad} (from the file)" if broad else None


def _old_kohya(metadata: Mapping[str, str]) -> str | None:
    """Read `ss_v2` of old files, which had no better word."""
    return {"true": "SD 2.x", "false": "SD 1.x"}.get(metadata.get("ss_v2", "").strip().lower())


def _kind(metadata: Mapping[str, str]) -> str | None:
    _, _, part = metadata.get("modelspec.architecture", "").strip().lower().partition("/")
    return _KINDS.get(part) or ("LORA" if _TRAINED.search(metadata.get("ss_network_module", "")) else None)


def _trained_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Give the stated trigger phrase; without one, the tags that stood on nearly every picture."""
    stated = words(metadata.get("modelspec.trigger_phrase"), _MOST_WORDS) or _stated_words(metadata)
    return stated or _frequent_words(metadata)


def _stated_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    text = metadata.get("trained_words", "")
    value = _json(text)
    if isinstance(value, list):
        return tuple(dict.fromkeys(found for item in value[:_MOST_LOOKED_AT] if (found := word(item))))[
            :_MOST_WORDS
        ]
    return words(text, _MOST_WORDS)


def _frequent_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    training = training_of(metadata)
    candidates = training.trigger_candidates if training else ()
    most = max((count for _, count in candidates), default=0)
    # what is on (nearly) every picture is what the training was about; the rest describes single pictures
    return tuple(found for found, count in candidates if count * 10 >= most * 9)


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text) if len(text) <= _LONGEST_JSON else None
    except (ValueError, RecursionError):
        return None
