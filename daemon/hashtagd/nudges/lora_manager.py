"""LoRA Manager: keeps a cache of all models, and does not read sidecars again by itself.

Source: `GET /api/lm/{loras|checkpoints|embeddings}/metadata?file_path=ABS` reads one sidecar, updates the
cache in place and takes a file in that it did not know, wherever it lies: so it is asked for its roots first.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from hashtagd.nudges.line import Line
from hashtagd.nudges.news import News, Unusable

#: one call takes milliseconds; a server that hashes in its event loop is not waited for
_ANSWER_WITHIN_S: Final = 2.0
_COLLECTIONS: Final = ("loras", "checkpoints", "embeddings")
#: names of folders, for a LoRA Manager that does not tell its roots
_FOLDERS: Final[Mapping[str, str]] = {
    "loras": "loras",
    "lora": "loras",
    "lycoris": "loras",
    "checkpoints": "checkpoints",
    "stable-diffusion": "checkpoints",
    "diffusion_models": "checkpoints",
    "unet": "checkpoints",
    "embeddings": "embeddings",
}
#: kinds of models as Civitai calls them, in lower case
_KINDS: Final[Mapping[str, str]] = {
    "lora": "loras",
    "locon": "loras",
    "dora": "loras",
    "checkpoint": "checkpoints",
    "textualinversion": "embeddings",
}
_SERVER_ERROR: Final = 500


class LoraManager:
    """LoRA Manager, as a plugin of ComfyUI or by itself."""

    name = "lora-manager"

    def __init__(self, line: Line) -> None:
        self._line = line
        #: folder -> collection; None: it was not told
        self._roots: dict[str, str] | None = None

    def present(self) -> bool:
        """See `Program`; learns the roots of all collections."""
        until_s = self._line.until_s(_ANSWER_WITHIN_S)
        health = self._line.get("/api/lm/health-check", until_s=until_s)
        if not health.good or b"status" not in health.body:
            return False
        told = {name: self._roots_of(name, until_s) for name in _COLLECTIONS}
        self._roots = (
            None
            if None in told.values()
            else {root: name for name, roots in told.items() for root in roots or ()}
        )
        return True

    def tell(self, news: News) -> bool:
        """See `Program`; a file outside all its folders is none of its business."""
        collection = self._collection(news)
        if collection is not None:
            answer = self._line.get(
                f"/api/lm/{collection}/metadata",
                {"file_path": news.path},
                until_s=self._line.until_s(_ANSWER_WITHIN_S),
            )
            if answer.status >= _SERVER_ERROR:
                raise Unusable(f"it answers with status {answer.status}")
        return True

    def look_around(self) -> None:
        """See `Program`; not needed: what it is told of, it takes in."""

    def _roots_of(self, collection: str, until_s: float) -> list[str] | None:
        answer = self._line.get(f"/api/lm/{collection}/roots", until_s=until_s)
        roots = answer.document().get("roots") if answer.good else None
        if not isinstance(roots, list):
            return None
        return [root.rstrip("/") for root in roots if isinstance(root, str)]

    def _collection(self, news: News) -> str | None:
        parents = PurePosixPath(news.path).parents
        if self._roots is not None:
            # the innermost root has the file
            return next((self._roots[str(it)] for it in parents if str(it) in self._roots), None)
        folders = (_FOLDERS.get(it.name.lower()) for it in parents)
        return next(filter(None, folders), _KINDS.get((news.kind or "").lower()))
