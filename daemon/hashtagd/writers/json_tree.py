"""The card as JSON in a tree elsewhere: for libraries that are read-only, or meant to stay tidy.

`TREE/ROOT/FOLDER/MODEL.json` mirrors the roots, and says what `hashtagd show --json` says. Each model has a
file there, also where nobody knows it; a match by its tensors or a claim of its header says what it is.
"""

import json
from collections.abc import Sequence
from datetime import UTC
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

from hashtagd.core.artifacts import Target, TreeFile
from hashtagd.core.card import Card, Confidence
from hashtagd.core.card_json import hashes_json, model_json
from hashtagd.core.whole_paths import whole_path
from hashtagd.writers.version_object import plain

_INDENT: Final = 2


class JsonTreeOptions(BaseModel):
    """Where the tree is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: its folder; made if the folder that it lies in exists
    path: Annotated[str, AfterValidator(whole_path)]


class JsonTree:
    """Renders the card."""

    name = "json-tree"
    Options = JsonTreeOptions

    def __init__(self, options: JsonTreeOptions) -> None:
        self.tree = PurePosixPath(options.path)

    def render(self, card: Card | None, target: Target) -> Sequence[TreeFile]:
        """Make the file; what changes without any news of the model (the next check) is left out."""
        text = json.dumps(plain(_card(card, target)), indent=_INDENT, ensure_ascii=False)
        return [TreeFile(tree=self.tree, content=f"{text}\n".encode())]


def _card(card: Card | None, target: Target) -> dict[str, Any]:
    document: dict[str, Any] = {
        "root": target.place.root,
        "path": target.place.relpath,
        "absolute_path": target.path.as_posix(),
        "size_bytes": target.stamp.size_bytes,
        "state": _state(card, target),
        "hashes": hashes_json(target.digests),
        **model_json(card, checked_at=None),
    }
    if document["match"] is not None and target.checked_at is not None:
        checked_at = target.checked_at.astimezone(UTC).isoformat(timespec="seconds")
        document["match"]["checked_at"] = checked_at.replace("+00:00", "Z")
    return document


def _state(card: Card | None, target: Target) -> str:
    """Say it as `show` does: what only the file itself tells of is not known."""
    if card is not None and card.confidence is not Confidence.CLAIMED:
        return "published"
    return "unknown" if target.answered else "asking"
