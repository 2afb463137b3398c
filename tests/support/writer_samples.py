"""Cards that every writer has to cope with, and what a writer's artifacts would put on the disk."""

import json
from pathlib import Path
from typing import Any

from hashtagd.core.artifacts import Artifact, JsonMerge, PreviewFile, SidecarFile, TreeFile, Xattr
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.header import Header
from hashtagd.core.ports import Writer
from hashtagd.stages.merge import Merged, merge
from hashtagd.writers import make_writer
from support.publish_fakes import card, header, preview, raw_version

#: every writer that is built in, with the options it cannot do without
WRITERS: dict[str, dict[str, Any]] = {
    "lora-manager": {},
    "civitai-info": {},
    "preview": {},
    "stability-matrix": {},
    "swarm": {},
    "a1111": {},
    "rgthree": {},
    "sha256-line": {},
    "model-manager": {},
    "xattrs": {},
    "json-tree": {"path": "/srv/cards"},
}
HOSTILE_TITLES = (
    "\"quoted\" 'title' \\ back",
    "two\nlines\r\n\tand a tab",
    "\u202etfel ot thgir\u202c אבג",
    "🦊👩‍👩‍👧 \u0000\u001b[31m",
    "x" * 10_240,
    "</script><script>alert(1)</script>",
    "half a pair \ud83d",
    "",
)


def writer(name: str) -> Writer:
    """Make a built-in writer."""
    return make_writer(name, WRITERS[name])


def hostile_header(title: str) -> Header:
    """Make a header that says the same odd thing everywhere."""
    keys = ("modelspec.title", "modelspec.tags", "modelspec.trigger_phrase", "ss_output_name", title)
    return header(**dict.fromkeys(keys, title))


def shared_cards() -> list[Card]:
    """Read real answers if they lie beside the repository, as the raw document of a card."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "shared" / "fixtures" / "civitai" / "by-hash"
        if folder.is_dir():
            raws = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
            return [card(raw=raw, version_id=raw.get("id")) for raw in raws if isinstance(raw, dict)]
    return []


def sample_cards() -> list[Card | None]:
    """Make ordinary cards, weak ones, broken ones, hostile ones, and real ones where they are at hand."""
    hostile = [
        card(
            model_name=title,
            version_name=title,
            description_html=title,
            trained_words=(title, title),
            tags=(title,),
            base_model=title,
            creator=title,
            kind=title,
            page_url=f"https://civitai.com/models/101?{title}",
            version_description_html=title,
            published_at=title,
            previews=(preview(), preview(url=title)),
            raw={**raw_version(name=title, deep=_nested(title)), title: [title, float("nan")]},
        )
        for title in HOSTILE_TITLES
    ]
    others: list[Card | None] = [
        None,
        card(),
        card(confidence=Confidence.OWNER, provider="owner"),
        card(confidence=Confidence.TENSORS),
        card(provider="civarchive", availability=Availability.DELETED, raw={}),
        card(raw={}, version_id=None),
        card(previews=(preview(url="http://[broken"), preview(url=""), preview(nsfw_level=None))),
        Card(
            provider="header", by="header", confidence=Confidence.CLAIMED, availability=Availability.UNKNOWN
        ),
    ]
    return [*others, *hostile, *shared_cards()]


def _nested(leaf: str) -> Any:
    value: Any = leaf
    for _ in range(200):
        value = {"inner": [value]}
    return value


def content_of(artifact: Artifact) -> bytes:
    """Give what would be written where nothing lies yet."""
    if isinstance(artifact, SidecarFile):
        return artifact.content
    if isinstance(artifact, JsonMerge):
        merged = merge(None, artifact)
        assert isinstance(merged, Merged)
        return merged.content
    if isinstance(artifact, TreeFile):
        return artifact.content
    if isinstance(artifact, Xattr):
        return artifact.key.encode() + b"=" + artifact.value
    assert isinstance(artifact, PreviewFile)
    return "\n".join(artifact.urls).encode("utf-8", "replace")
