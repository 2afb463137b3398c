"""What a file says of itself: the last link of the chain, asked when nobody else knows the file.

Anybody can write anything into a header, so its cards are claims. Paths of the trainer's machine stay there.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.header import Header
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers.bodies import clean_text
from hashtagd.providers.surroundings import Surroundings

__all__ = ["HeaderOptions", "HeaderProvider"]

#: kohya's words that name one family exactly; SDXL is not among them, because its descendants say the same
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
    "flux-1-schnell": "Flux.1 S",
    "chroma": "Chroma",
}
#: words that begin the names of a broad family
_BROAD: Final = (
    ("sdxl", "SDXL"),
    ("stable-diffusion-xl", "SDXL"),
    ("sd3", "SD 3"),
    ("stable-diffusion-3", "SD 3"),
    ("hunyuan-image", "Hunyuan Image"),
    ("sd_v1", "SD 1.x"),
    ("sd_v2", "SD 2.x"),
    ("flux", "Flux.1"),
)
_MOST_WORDS: Final = 24
_LONGEST_WORD: Final = 100
_LONGEST_TITLE: Final = 200
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
        self.origin: str | None = None
        self.batch_limit = 10_000

    def close(self) -> None:
        """Let go of nothing: there is nothing."""

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every subject from its header alone."""
        for subject in {item.hash: item for item in subjects}.values():
            card = None if subject.header is None else card_of(subject.header)
            yield subject.hash, Absent() if card is None else Found(card=card)


def card_of(header: Header) -> Card | None:
    """Make the card of a header; None where it says nothing that helps anybody."""
    metadata = {name: clean_text(value) for name, value in header.metadata.items()}
    title = _title(metadata)
    base_model = _base_model(metadata, header.family)
    trained_words = _trained_words(metadata)
    if not (title or base_model or trained_words):
        return None
    return Card(
        provider="header",
        by="header",
        confidence=Confidence.CLAIMED,
        availability=Availability.UNKNOWN,
        model_name=title,
        kind=header.kind or _kind(metadata),
        base_model=base_model,
        trained_words=trained_words,
        tags=_commas(metadata.get("modelspec.tags", "")),
        creator=_line(metadata.get("modelspec.author")),
        not_downloadable_because="nobody but the file itself knows it",
    )


def _title(metadata: Mapping[str, str]) -> str | None:
    """Give the first proper title; an output name only when it is no path of the trainer's machine."""
    for name in ("modelspec.title", "ss_output_name"):
        text = _line(metadata.get(name))
        if text and not ({"/", "\\"} & set(text)):
            return text
    return None


def _base_model(metadata: Mapping[str, str], family: str | None) -> str | None:
    """Name the family: exactly where the words are exact, else openly as a guess from the file."""
    kohya = metadata.get("ss_base_model_version", "").strip().lower()
    architecture = metadata.get("modelspec.architecture", "").strip().lower().partition("/")[0]
    exact = _KOHYA.get(kohya) or _MODELSPEC.get(architecture)
    if exact:
        return exact
    said = (broad for text in (kohya, architecture) for start, broad in _BROAD if text.startswith(start))
    broad = family or next(said, None) or _old_kohya(metadata)
    return f"{broad} (from the file)" if broad else None


def _old_kohya(metadata: Mapping[str, str]) -> str | None:
    """Read `ss_v2` of old files, which had no better word."""
    return {"true": "SD 2.x", "false": "SD 1.x"}.get(metadata.get("ss_v2", "").strip().lower())


def _kind(metadata: Mapping[str, str]) -> str | None:
    architecture = metadata.get("modelspec.architecture", "").strip().lower()
    _, _, part = architecture.partition("/")
    kinds = {
        "lora": "LORA",
        "textual-inversion": "TextualInversion",
        "controlnet": "Controlnet",
        "vae": "VAE",
    }
    if part in kinds:
        return kinds[part]
    return "LORA" if _TRAINED.search(metadata.get("ss_network_module", "")) else None


def _trained_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Give the stated trigger phrase; without one, the tags that stood on nearly every picture."""
    stated = _commas(metadata.get("modelspec.trigger_phrase", "")) or _stated_words(metadata)
    return stated or _frequent_words(metadata)


def _stated_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    text = metadata.get("trained_words", "")
    value = _json(text)
    if isinstance(value, list):
        return tuple(dict.fromkeys(word for item in value if (word := _word(item))))[:_MOST_WORDS]
    return _commas(text)


def _frequent_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    folders = _json(metadata.get("ss_tag_frequency", ""))
    counts: Counter[str] = Counter()
    for folder in (folders if isinstance(folders, dict) else {}).values():
        for tag, count in (folder if isinstance(folder, dict) else {}).items():
            word = _word(tag)
            if word and isinstance(count, int) and count > 0:
                counts[word] += count
    most = max(counts.values(), default=0)
    # what is on (nearly) every picture is what the training was about; the rest describes single pictures
    return tuple(word for word, count in counts.most_common(_MOST_WORDS) if count * 10 >= most * 9)


def _commas(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for part in text.split(",") if (word := _word(part))))[:_MOST_WORDS]


def _word(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    # a path of the trainer's machine is nobody's trigger word
    return (
        text
        if text and len(text) <= _LONGEST_WORD and not re.search(r"[\n\r]|^[/~]|^\w:[\\/]", text)
        else None
    )


def _line(value: str | None) -> str | None:
    return " ".join(value.split())[:_LONGEST_TITLE].rstrip() or None if value else None


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
