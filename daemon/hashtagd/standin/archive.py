"""A stand-in for CivArchive: the listings of a stand-in, in every dress the real site was seen in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hashtagd.standin.library import Library, Listing
from hashtagd.standin.routes import Asked, Reply, Routes, as_json
from hashtagd.standin.server import Standin

_DELETED_AT = "2025-11-05T08:00:00.000Z"
_FOREIGN_ID = 100_000_000
#: in camelCase documents these names stay as they are
_ALWAYS_SNAKE = frozenset(
    {
        *("is_nsfw", "nsfw_level", "is_primary", "is_gated", "is_paid", "allow_download", "platform_url"),
        *("creator_username", "civitai_model_id", "civitai_model_version_id", "model_version_id"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How the archive keeps one file."""

    #: further copies: `url`, `source` and whatever else is said of them
    mirrors: Sequence[Mapping[str, Any]] = ()
    #: what is marked as deleted: of `model`, `version`, `file`, `mirror` (Civitai's own copy)
    deleted: frozenset[str] = frozenset()


class ArchiveStandin(Standin):
    """CivArchive on 127.0.0.1, as a context manager; listings are added as to `Standin`."""

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.archive = self.routes = ArchiveRoutes(self.library, self.url)

    def keep(
        self, listing: Listing, *, mirrors: Sequence[Mapping[str, Any]] = (), deleted: Sequence[str] = ()
    ) -> None:
        """Say how a listing is kept; without this it is there, with no copy but Civitai's.

        `mirrors` are further copies (see `copy_at`); `deleted` names what is marked as deleted, of `model`,
        `version`, `file` and `mirror` (Civitai's own copy).
        """
        self.archive.keepings[listing.sha256] = Keeping(mirrors=mirrors, deleted=frozenset(deleted))

    def adopt(
        self, listing: Listing, *, mirrors: Sequence[Mapping[str, Any]] = (), deleted: Sequence[str] = ()
    ) -> None:
        """Keep what another stand-in listed, perhaps before it deleted it there."""
        self.library.add(listing)
        self.keep(listing, mirrors=mirrors, deleted=deleted)


def copy_at(
    url: str, source: str, *, dead: bool = False, gated: bool = False, paid: bool = False
) -> dict[str, Any]:
    """Make a mirror for `ArchiveStandin.keep`: a copy on another platform, which has no ids of Civitai."""
    return {
        "filename": "model.safetensors",
        "url": url,
        "source": source,
        "deleted_at": _DELETED_AT if dead else None,
        "is_gated": gated,
        "is_paid": paid,
    }


class ArchiveRoutes(Routes):
    """The archive's table of paths."""

    def __init__(self, library: Library, origin: str) -> None:
        super().__init__(library, origin)
        self.keepings: dict[str, Keeping] = {}
        #: what a document stands in; `files`: the hash route only points to the other one
        self.wrapping: Literal["data", "model", "files"] | None = None
        self.snake_case = False
        self._table = [
            ("sha256", re.compile(r"/api/sha256/([^/]+)"), self._by_sha256),
            ("archived-model", re.compile(r"/api/models/([^/]+)"), self._archived_model),
        ]

    def _by_sha256(self, _asked: Asked, text: str) -> Reply:
        # the site knows hashes in lower case only
        listing = self._library.first(text) if re.fullmatch(r"[0-9a-f]{64}", text) else None
        if listing is None:
            return as_json({"error": "Model not found"}, 404)
        if self.wrapping == "files":
            pointer = {"model_id": listing.model_id, "model_version_id": listing.version_id}
            return as_json({"files": [pointer]})
        return self._document(listing)

    def _archived_model(self, asked: Asked, text: str) -> Reply:
        if not text.isdigit() or int(text) >= _FOREIGN_ID:
            return as_json({"error": "Internal Server Error"}, 500)
        wanted = asked.query.get("modelVersionId", "")
        if wanted:  # the number of the model does not matter then
            rows = self._library.by_version.get(int(wanted) if wanted.isdigit() else 0)
        else:
            rows = self._library.by_model.get(int(text))
        return self._document(rows[-1]) if rows else as_json({"error": "Model not found"}, 404)

    def _document(self, listing: Listing) -> Reply:
        keeping = self.keepings.get(listing.sha256, Keeping())
        document = _model(listing, keeping)
        dressed = document if self.snake_case else _camel(document)
        return as_json({self.wrapping: dressed} if self.wrapping in ("data", "model") else dressed)


def _model(one: Listing, keeping: Keeping) -> dict[str, Any]:
    return {
        "id": str(one.model_id),
        "name": one.name,
        "type": one.kind,
        "description": one.description,
        "is_nsfw": False,
        "nsfw_level": one.nsfw_level,
        "created_at": one.published_at,
        "deleted_at": _mark(keeping, "model"),
        "tags": list(one.tags),
        "creator_username": one.creator,
        "platform": "civitai",
        "version": _version(one, keeping),
    }


def _version(one: Listing, keeping: Keeping) -> dict[str, Any]:
    return {
        "id": str(one.version_id),
        "model_id": one.model_id,
        "name": one.version_name,
        "base_model": one.base_model,
        "description": None,
        "nsfw_level": one.nsfw_level,
        "created_at": one.published_at,
        "deleted_at": _mark(keeping, "version"),
        "trigger": list(one.trained_words),
        "allow_download": True,
        "files": [_file(one, keeping)],
        "images": [],
        "civitai_model_id": one.model_id,
        "civitai_model_version_id": one.version_id,
        # pages of other platforms, no files
        "mirrors": [],
    }


def _file(one: Listing, keeping: Keeping) -> dict[str, Any]:
    address = f"https://civitai.com/api/download/models/{one.version_id}"
    return {
        "id": str(one.file_id),
        "name": one.file_name,
        "type": one.file_type,
        "size_kb": one.size_bytes / 1024,
        "download_url": address,
        "sha256": one.sha256.lower(),
        "is_primary": False,
        "deleted_at": _mark(keeping, "file"),
        "mirrors": [
            {
                "filename": one.file_name,
                "url": address,
                "source": "civitai",
                "model_id": str(one.model_id),
                "model_version_id": str(one.version_id),
                "deleted_at": _mark(keeping, "mirror"),
                "is_gated": False,
                "is_paid": False,
            },
            *({"model_id": None, "model_version_id": None, **mirror} for mirror in keeping.mirrors),
        ],
    }


def _mark(keeping: Keeping, what: str) -> str | None:
    return _DELETED_AT if what in keeping.deleted else None


def _camel(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {_camel_name(name): _camel(item) for name, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _camel_name(name: str) -> str:
    if name == "size_kb":
        return "sizeKB"
    return name if name in _ALWAYS_SNAKE else re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
