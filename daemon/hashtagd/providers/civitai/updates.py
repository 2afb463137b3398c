"""Which newer version could take a matched one's place.

It comes out of the model's document, which is fetched anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hashtagd.core.card import Update
from hashtagd.providers.civitai.fields import identity, mappings, moment, whole, words

#: of each version only this and whether it has files is remembered
_FACTS: Final = ("id", "name", "baseModel", "publishedAt", "status", "availability", "index")
_GONE: Final = ("archived", "takendown")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What the rule looks at."""

    number: int
    name: str | None
    base: str | None
    published_at: datetime | None
    #: its place on the page, 0 is what the creator shows first
    index: int | None
    published: bool
    #: None where the document does not say
    has_files: bool | None


def remembered(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give what `update_of` needs of a model's versions: small enough to remember thousands of models.

    A model's document with its `modelVersions` replaced by this gives the same update.
    """
    return [_small(version) for version in mappings(model.get("modelVersions"))]


def update_of(version: Mapping[str, Any], model: Mapping[str, Any] | None) -> Update | None:
    """Find the newest version of the model that was published after this one, for the same base model.

    `publishedAt` decides. Where one of two has none, the other is newer only if its id is higher and, where
    both have an `index`, its index is smaller, too. A version does not count when its `status` is there and
    not Published, when its `availability` is Private, or when it has no file: an empty list, or no list where
    others of the model have theirs (some routes leave empty lists out). No version of an archived model
    counts, nor of one that was taken down: none of them can be had.
    """
    if model is None or (words(model.get("mode")) or "").casefold() in _GONE:
        return None
    documents = {identity(item.get("id")): item for item in mappings(model.get("modelVersions"))}
    # the hash routes do not tell the index, and a version that is shown nowhere tells nothing at all
    listed = documents.pop(identity(version.get("id")), {})
    ours = _read({**listed, **_small(version)}) if documents else None
    if ours is None or ours.base is None:
        return None
    others = [found for item in documents.values() if (found := _read(item))]
    stated = ours.has_files or any(item.has_files for item in others)
    newest = ours
    for item in sorted(others, key=lambda item: item.number):
        counts = item.published and item.base == ours.base and _has_files(item, stated=stated is True)
        if counts and _is_newer(item, ours) and (newest is ours or not _is_newer(newest, item)):
            newest = item
    return None if newest is ours else _update(newest)


def first_shown(model: Mapping[str, Any]) -> int | None:
    """Find the version that a model's page shows first: published, with files, of the smallest `index`."""
    found = [_read(version) for version in mappings(model.get("modelVersions"))]
    shown = [item for item in found if item is not None and item.published and item.has_files is not False]
    # without an index they stand in the order of the page
    return min(shown, key=lambda item: item.index or 0).number if shown else None


def _small(version: Mapping[str, Any]) -> dict[str, Any]:
    small = {name: version[name] for name in _FACTS if version.get(name) is not None}
    files = version.get("files")
    return {**small, "files": [{}] if files else []} if isinstance(files, list) else small


def _read(version: Mapping[str, Any]) -> _Version | None:
    number, files = identity(version.get("id")), version.get("files")
    status, availability = words(version.get("status")), words(version.get("availability"))
    if number is None:
        return None
    return _Version(
        number=number,
        name=words(version.get("name")),
        base=(words(version.get("baseModel")) or "").casefold() or None,
        published_at=moment(version.get("publishedAt")),
        index=whole(version.get("index")),
        published=(status or "Published") == "Published" and availability != "Private",
        has_files=bool(files) if isinstance(files, list) else None,
    )


def _has_files(version: _Version, *, stated: bool) -> bool:
    return not stated if version.has_files is None else version.has_files


def _is_newer(one: _Version, other: _Version) -> bool:
    if one.published_at is not None and other.published_at is not None:
        return one.published_at > other.published_at
    if one.index is not None and other.index is not None and one.index >= other.index:
        return False
    return one.number > other.number


def _update(version: _Version) -> Update:
    at = version.published_at
    return Update(
        version_id=version.number,
        name=version.name,
        published_at=at.isoformat().replace("+00:00", "Z") if at else None,
    )
