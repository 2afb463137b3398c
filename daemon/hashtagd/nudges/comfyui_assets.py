"""ComfyUI's own asset browser: fills the keys it shows where the user has none.

Source: ComfyUI's asset API, on with `--enable-assets` only. `PUT /api/assets/{id}` replaces the whole
`user_metadata`, so it is read, merged and written; a key that is there is never touched. After a rename the
file has a new record with none of the keys, and is told like any other.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from hashtagd.nudges.line import Answer, Line
from hashtagd.nudges.news import News, Unusable

_ANSWER_WITHIN_S: Final = 2.0
_PAGE: Final = 100
#: a name that is part of so many others is not looked for any further
_MOST_PAGES: Final = 20
_TYPE_TAG: Final = "model_type:"
#: folders that ComfyUI knows under a newer name
_RENAMED: Final[Mapping[str, str]] = {"unet": "diffusion_models", "clip": "text_encoders"}
#: an asset that is gone between two requests, a scan that runs already
_NO_MATTER: Final = frozenset({404, 409})


class ComfyuiAssets:
    """The asset browser of a ComfyUI."""

    name = "comfyui-assets"

    def __init__(self, line: Line) -> None:
        self._line = line

    def present(self) -> bool:
        """See `Program`; off by default in ComfyUI."""
        answer = self._line.get("/features", until_s=self._line.until_s(_ANSWER_WITHIN_S))
        return answer.good and answer.document().get("assets") is True

    def tell(self, news: News) -> bool:
        """See `Program`; what is known of the file goes into keys that are absent."""
        if not news.facts:
            return True
        until_s = self._line.until_s(_ANSWER_WITHIN_S)
        asset = self._find(news, until_s)
        if asset is None:
            return False
        present = asset.get("user_metadata")
        if not isinstance(present, Mapping | None):
            return True
        merged = {**news.facts, **(present or {})}
        if merged != present:
            path = f"/api/assets/{quote(str(asset['id']), safe='')}"
            _checked(self._line.send("PUT", path, {"user_metadata": merged}, until_s=until_s))
        return True

    def look_around(self) -> None:
        """See `Program`; a scan of a library it knows takes it a fraction of a second."""
        until_s = self._line.until_s(_ANSWER_WITHIN_S)
        _checked(self._line.send("POST", "/api/assets/seed", {"roots": ["models"]}, until_s=until_s))

    def _find(self, news: News, until_s: float) -> Mapping[str, Any] | None:
        """Find the record of the file: the one that names its path, else the only one that may mean it."""
        likely = []
        for asset in self._named_like(news.stem, until_s):
            metadata = asset.get("metadata")
            path = metadata.get("file_path") if isinstance(metadata, Mapping) else None
            if path == news.path:
                return asset
            if path is None and _may_mean(asset, news):
                likely.append(asset)
        return likely[0] if len(likely) == 1 else None

    def _named_like(self, stem: str, until_s: float) -> Iterator[Mapping[str, Any]]:
        query = {"tags_all": "models", "name_contains": stem, "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            page = _checked(self._line.get("/api/assets", query, until_s=until_s)).document()
            assets = page.get("assets")
            if not isinstance(assets, list):
                raise Unusable("the answer has no list of assets")
            yield from (it for it in assets if isinstance(it, Mapping) and it.get("id"))
            cursor = page.get("next_cursor")
            if not isinstance(cursor, str) or not cursor:
                return
            query["after"] = cursor


def _may_mean(asset: Mapping[str, Any], news: News) -> bool:
    """Judge a record without a path by its type, its path within the type's folder, and its size."""
    loader_path, tags, size = asset.get("loader_path"), asset.get("tags"), asset.get("size")
    if not isinstance(loader_path, str) or not loader_path or not isinstance(tags, list):
        return False
    end = "/" + loader_path.replace("\\", "/")
    type_ = PurePosixPath(news.path.removesuffix(end)).name
    types = (f"{_TYPE_TAG}{type_}", f"{_TYPE_TAG}{_RENAMED.get(type_, type_)}")
    return news.path.endswith(end) and any(it in tags for it in types) and size in (None, news.size_bytes)


def _checked(answer: Answer) -> Answer:
    if not answer.good and answer.status not in _NO_MATTER:
        raise Unusable(f"it answers with status {answer.status}")
    return answer
