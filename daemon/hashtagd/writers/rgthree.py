"""`MODEL.rgthree-info.json` for rgthree's nodes: words, links and pictures without hashing or a request.

It asks nobody while `raw.civitai` is there, and reads no file while `raw.metadata` is. Strengths, notes, tags
and words that a person put there are never touched.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import JsonMerge, Target
from hashtagd.core.card import Card
from hashtagd.core.destinations import folder_names
from hashtagd.core.harmless import is_private, visible
from hashtagd.writers.plain_text import title_of, words_of
from hashtagd.writers.version_object import clean_text, trusted, version_object

SUFFIX: Final = ".rgthree-info.json"
_VERSION_API: Final = "https://civitai.com/api/v1/model-versions/"
#: pictures in base64, which nobody looks for in a sidecar
_PICTURE: Final = re.compile(r"ssmd_cover_images|modelspec\.(thumbnail|preview_image)")
_NS_PER_MS: Final = 1_000_000
#: of the kinds that rgthree's nodes know
_FOLDERS: Final = frozenset({*folder_names("loras"), *folder_names("checkpoints")})


class RgthreeOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rgthree:
    """Renders one merge that fills what is empty."""

    name = "rgthree"
    Options = RgthreeOptions

    def __init__(self, options: RgthreeOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[JsonMerge]:
        """Make the merge of a trusted card."""
        known = trusted(card)
        if known is None:
            return []
        place = target.place
        raw = {"civitai": version_object(known), "metadata": _metadata(target)}
        return [
            JsonMerge(
                # by the model's full name: two files of one stem have one each
                suffix=place.name.removeprefix(place.stem) + SUFFIX,
                owned={},
                fill={
                    "file": _within_its_folder(target),
                    "path": target.path.as_posix(),
                    "sha256": target.digests.sha256,
                    **_facts(known, target),
                },
                renewed={"modified": target.stamp.mtime_ns // _NS_PER_MS},
                update={"raw": {key: value for key, value in raw.items() if value or key == "metadata"}},
                keep_in=frozenset({("raw", "civitai"), ("raw", "metadata")}),
                names={"file": place.name, "path": place.name},
                agrees={"sha256": target.digests.sha256},
            )
        ]


def _within_its_folder(target: Target) -> str:
    """Give the path below ComfyUI's folder of the kind: a root may be that, or hold it."""
    relpath = target.place.relpath
    folder, _, rest = relpath.partition("/")
    root = target.path.parents[relpath.count("/")].name
    return rest if folder in _FOLDERS and root not in _FOLDERS else relpath


def _facts(card: Card, target: Target) -> dict[str, Any]:
    page = [] if card.page_url is None else [clean_text(card.page_url)]
    api = [] if card.version_id is None else [f"{_VERSION_API}{card.version_id}"]
    facts: dict[str, Any] = {
        "name": title_of(card, target.place.stem),
        "type": clean_text(card.kind or ""),
        "baseModel": clean_text(card.base_model or ""),
        "trainedWords": [{"word": word, "civitai": True} for word in words_of(card)],
        "links": [*page, *api],
        "images": [
            {
                "url": clean_text(item.url),
                "type": item.media,
                "width": item.width_px,
                "height": item.height_px,
                "nsfwLevel": item.nsfw_level,
            }
            for item in card.previews
        ],
    }
    return {key: value for key, value in facts.items() if value}


def _metadata(target: Target) -> Mapping[str, str]:
    """Give what the header says, without what its trainer's machine left there."""
    said = target.header.metadata if target.header is not None else {}
    return {
        visible(key): visible(value)
        for key, value in said.items()
        if _PICTURE.fullmatch(key) is None and not is_private(key) and not is_private(value)
    }
