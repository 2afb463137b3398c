"""`STEM.metadata.json`, which LoRA Manager reads: name, base model, words, tags, description, picture.

With it LoRA Manager never hashes the file itself. A missing required key would hide the model there, so all
eight are always written. What a person edits there (notes, favourites, names) is never touched.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import JsonMerge, OtherBytes, Target
from hashtagd.core.card import Availability, Card
from hashtagd.core.claimed import claimed_tensors_sha256
from hashtagd.core.digests import AUTOV3_DIGITS, SHA256_OF_NOTHING
from hashtagd.core.harmless import line, words
from hashtagd.writers.version_object import (
    clean_text,
    names_sha256,
    trusted,
    version_object,
    with_mirrors,
)

SUFFIX: Final = ".metadata.json"
_AUTOV3: Final = re.compile(r"[0-9a-f]{12,64}", re.ASCII)
_LORA_KINDS: Final = frozenset({"lora", "locon", "dora", "lycoris"})
#: where the Civitai object of a model says what the other keys repeat
_ECHOES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "model_name": (("civitai", "model", "name"),),
    "base_model": (("civitai", "baseModel"),),
    "tags": (("civitai", "model", "tags"),),
    "modelDescription": (("civitai", "model", "description"), ("civitai", "description")),
    "trainedWords": (("civitai", "trainedWords"),),
}
#: what is taken of a header
_LONGEST_TITLE: Final = 200
_MOST_WORDS: Final = 24
_DIFFUSION_FOLDERS: Final = frozenset({"diffusion_models", "unet"})
_DELETED: Final = Availability.DELETED
#: what can be locked of the facts, by its name for people
_LOCKED: Final[Mapping[str, str]] = {
    "model_name": "model_name",
    "base_model": "base_model",
    "description": "description_html",
    "tags": "tags",
    "trained_words": "trained_words",
}
#: the provider that repeats what the file says of itself
_HEADER: Final = "header"
#: LoRA Manager's words for who answered; everybody else speaks for Civitai
_SOURCES: Final[Mapping[str, str]] = {"civarchive": "civarchive", "archive-db": "archive_db"}
#: what LoRA Manager itself puts where it knows nothing; its user's keys, so set only where they are absent
_DEFAULTS: Final[Mapping[str, Any]] = {
    "notes": "",
    "db_checked": False,
    "skip_metadata_refresh": False,
    "favorite": False,
    "exclude": False,
}


class LoraManagerOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is shown of a model, wherever it comes from."""

    model_name: str
    base_model: str | None = None
    description_html: str | None = None
    tags: tuple[str, ...] = ()
    trained_words: tuple[str, ...] = ()
    kind: str | None = None


class LoraManager:
    """Renders one merge into the sidecar of LoRA Manager."""

    name = "lora-manager"
    Options = LoraManagerOptions

    def __init__(self, options: LoraManagerOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[JsonMerge]:
        """Make the merge; a card that is only claimed by the header fills names, never the Civitai object."""
        facts = _facts(card, target)
        known = trusted(card)
        asked = _asked(known, target)
        base = {"sha256": target.digests.sha256, "hash_status": "completed", "autov3": _autov3(known, target)}
        # LoRA Manager rewrites a file that says another stem than its own name does, and believes any size
        file = {"file_name": target.place.stem, "size": target.stamp.size_bytes}
        words = tuple(clean_text(word) for word in facts.trained_words)
        return [
            JsonMerge(
                suffix=SUFFIX,
                # before anyone was asked, another program's answers stay what they are
                owned={**base, **asked, **file} if target.answered else {**base, **file},
                fill={**_identity(facts, target), **_shown(facts, target)},
                absent={**({} if target.answered else asked), **_absent(facts, target)},
                union={"trainedWords": words},
                update={"civitai": {} if known is None else with_mirrors(version_object(known), known)},
                union_in=frozenset({("civitai", "trainedWords")}),
                keep_in=frozenset({("civitai", "customImages")}),
                empty={
                    "base_model": ("Unknown",),
                    "model_name": (target.place.stem,),
                    "preview_nsfw_level": (0,),
                },
                paths=frozenset({"file_path", "preview_url"}),
                names={"file_path": target.place.name},
                other_bytes=OtherBytes(
                    key="sha256",
                    sha256=target.digests.sha256,
                    drop=frozenset({"civitai"}),
                    echoes=_ECHOES,
                    outdated=_outdated(target),
                ),
            )
        ]


def _identity(facts: _Facts, target: Target) -> dict[str, Any]:
    return {
        "model_name": clean_text(facts.model_name),
        "file_path": target.path.as_posix(),
        "base_model": clean_text(facts.base_model or "Unknown"),
        "preview_url": "" if target.picture is None else target.picture.as_posix(),
    }


def _shown(facts: _Facts, target: Target) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "tags": list(_tags(facts.tags)),
        "modelDescription": clean_text(facts.description_html or ""),
    }
    if target.picture is None or target.picture_nsfw_level is not None:
        shown["preview_nsfw_level"] = target.picture_nsfw_level or 0
    return shown


def _outdated(target: Target) -> dict[str, tuple[Any, ...]]:
    """List what was said of a picture that shows another model."""
    if target.former_picture is None:
        return {}
    level = target.former_nsfw_level
    return {
        "preview_url": (target.former_picture.as_posix(),),
        "preview_nsfw_level": () if level is None else (level,),
    }


def _absent(facts: _Facts, target: Target) -> dict[str, Any]:
    kind = (facts.kind or "").casefold()
    absent: dict[str, Any] = {
        "modified": target.first_seen_at.timestamp(),
        "preview_nsfw_level": 0,
        **_DEFAULTS,
    }
    if kind in _LORA_KINDS:
        absent["usage_tips"] = "{}"
    elif kind == "checkpoint":
        parts = set(target.path.parent.parts)
        absent["sub_type"] = "diffusion_model" if parts & _DIFFUSION_FOLDERS else "checkpoint"
    elif kind == "textualinversion":
        absent["sub_type"] = "embedding"
    return absent


def _asked(known: Card | None, target: Target) -> dict[str, Any]:
    """Say what LoRA Manager decides by whether to ask Civitai itself: never asked, known, or not there."""
    deleted = known is not None and (known.provider == "civarchive" or known.availability is _DELETED)
    checked_at = target.checked_at if target.answered else None
    return {
        "from_civitai": known is not None or not target.answered,
        "civitai_deleted": deleted or (known is None and target.answered),
        "metadata_source": None if known is None else _SOURCES.get(known.provider, "civitai_api"),
        "last_checked_at": 0 if checked_at is None else checked_at.timestamp(),
    }


def _autov3(known: Card | None, target: Target) -> str | None:
    """Give the short tensor hash LoRA Manager expects; None means "looked for, there is none".

    Source: LoRA Manager: the Civitai file with our SHA-256 decides, else two keys of the header.
    """
    for value in _civitai_autov3(known, target.digests.sha256):
        text = value.lower().removeprefix("0x")
        if _AUTOV3.fullmatch(text) and not text.startswith(SHA256_OF_NOTHING[:AUTOV3_DIGITS]):
            return text[:AUTOV3_DIGITS]
    claimed = claimed_tensors_sha256(target.header) if target.header is not None else None
    return claimed[:AUTOV3_DIGITS] if claimed is not None else None


def _civitai_autov3(known: Card | None, sha256: str) -> list[str]:
    if known is None:
        return []
    files = [file for file in version_object(known).get("files", []) if isinstance(file, dict)]
    values = [file["hashes"].get("AutoV3") for file in files if names_sha256(file, sha256)]
    values += [item.autov3 for item in known.downloads if (item.sha256 or "").lower() == sha256]
    return [value for value in values if isinstance(value, str)]


def _facts(card: Card | None, target: Target) -> _Facts:
    stem = target.place.stem
    # what a site claims without our hash is not written, what the file says of itself is
    if card is None or (trusted(card) is None and card.provider != _HEADER):
        said = _header_facts(target, stem)
        return said if card is None else _with_locked(said, _card_facts(card, target, stem), target.locked)
    return _card_facts(card, target, stem)


def _card_facts(card: Card, target: Target, stem: str) -> _Facts:
    return _Facts(
        model_name=card.model_name or stem,
        base_model=card.base_model,
        description_html=card.description_html,
        tags=card.tags,
        trained_words=card.trained_words,
        kind=card.kind or (target.header.kind if target.header is not None else None),
    )


def _with_locked(said: _Facts, shown: _Facts, locked: Sequence[str]) -> _Facts:
    """Take what the owner locked, and so vouches for, from a card that nobody vouches for as a whole."""
    names = (_LOCKED.get(name) for name in locked)
    return replace(said, **{name: getattr(shown, name) for name in names if name})


def _header_facts(target: Target, stem: str) -> _Facts:
    """Take what the file says of itself, for the time before anyone could be asked; nothing private."""
    header = target.header
    if header is None:
        return _Facts(model_name=stem)
    spec = header.metadata
    return _Facts(
        model_name=line(spec.get("modelspec.title"), _LONGEST_TITLE) or stem,
        base_model=header.family,
        description_html=None,
        tags=words(spec.get("modelspec.tags"), _MOST_WORDS),
        trained_words=words(spec.get("modelspec.trigger_phrase"), _MOST_WORDS),
        kind=header.kind,
    )


def _tags(tags: Sequence[str]) -> dict[str, None]:
    """Trim, lower-case and dedupe as LoRA Manager's own editor does; order kept."""
    return {tag: None for tag in (clean_text(raw).strip().lower() for raw in tags) if tag}
