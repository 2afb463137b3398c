"""`STEM.md`, the page that hayden-fr's Model Manager shows for a model.

People write their own pages, so ours is made only where there is none, and none beside a `STEM.txt`, which
the reader would no longer show. Titles and words of strangers are quoted: no one of them can end the front
matter, begin a heading, or bring marks of HTML along.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import SidecarFile, Target
from hashtagd.core.card import Card
from hashtagd.writers.plain_text import one_line, text_of, words_of
from hashtagd.writers.version_object import entry_of, trusted, version_object

SUFFIX: Final = ".md"
_NOTES: Final = ".txt"
_WEBSITES: Final[Mapping[str, str]] = {"civarchive": "CivArchive"}
_METADATA: Final = ("fp", "size", "format")
#: no line of the front matter is folded
_NO_LIMIT: Final = 1_000_000
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|~=:$^])")
_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class ModelManagerOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelManager:
    """Renders the page."""

    name = "model-manager"
    Options = ModelManagerOptions

    def __init__(self, options: ModelManagerOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[SidecarFile]:
        """Make the page of a trusted card."""
        known = trusted(card)
        if known is None:
            return []
        front = yaml.safe_dump(
            _front(known, target), allow_unicode=True, sort_keys=False, width=_NO_LIMIT, line_break="\n"
        )
        text = f"---\n{front}---\n\n{_body(known, target)}\n"
        content, notes = text.encode("utf-8"), frozenset({_NOTES})
        return [SidecarFile(suffix=SUFFIX, content=content, gives_way_to=notes, is_prose=True)]


def _front(card: Card, target: Target) -> dict[str, Any]:
    entry = entry_of(version_object(card), target.digests.sha256)
    said = entry.get("hashes", {})
    details = entry.get("metadata")
    front = {
        "website": _WEBSITES.get(card.provider, "Civitai"),
        "modelPage": one_line(card.page_url),
        "author": one_line(card.creator),
        "baseModel": one_line(card.base_model),
        "hashes": {**_texts(said, sorted(said)), "SHA256": target.digests.sha256.upper()},
        "metadata": _texts(details, _METADATA) if isinstance(details, Mapping) else {},
        "preview": [one_line(item.url, _NO_LIMIT) for item in card.previews],
    }
    return {key: value for key, value in front.items() if value}


def _texts(said: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    found = {one_line(name): said[name] for name in names if isinstance(said.get(name), str)}
    return {name: one_line(value) for name, value in found.items()}


def _body(card: Card, target: Target) -> str:
    name = one_line(card.model_name) or one_line(target.place.stem)
    sections = (
        ("Trigger Words", [f"- {_quoted(word)}" for word in words_of(card)]),
        ("About this version", _paragraphs(card.version_description_html)),
        (_quoted(name), _paragraphs(card.description_html)),
    )
    told = [(heading, lines) for heading, lines in sections if lines]
    return "\n\n".join("\n".join([f"# {heading}", "", *lines]).rstrip() for heading, lines in told)


def _paragraphs(html: str | None) -> list[str]:
    # two spaces at the end of a line break it
    return [_quoted(line) + "  " for line in text_of(html).splitlines()]


def _quoted(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text).translate(_HTML)
