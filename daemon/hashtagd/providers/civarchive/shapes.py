"""What CivArchive says of a version, turned into a card.

Pure. A field of a form nobody knows counts as not said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from hashtagd.core.card import Availability, Card, Confidence, Download, Preview
from hashtagd.providers.civarchive.answers import Said, civitai_id, is_foreign, is_gone, sha256_of
from hashtagd.providers.civarchive.mirrors import (
    CIVITAI,
    Places,
    downloads,
    is_civitai_copy_gone,
)
from hashtagd.providers.civarchive.raw import version_document
from hashtagd.providers.civitai.fields import identity, listed, mappings, moment, prose, whole, words

_VIDEO_ENDINGS: Final = (".mp4", ".webm")


def card_of(said: Said, *, sha256: str, places: Places) -> Card | None:
    """Make the card of an answer about one file.

    Returns None when every file of the answer states another hash: then it is not about ours. A card is
    `exact` only when a file states our whole hash; otherwise it is the archive's word alone.
    """
    ours = next((file for file in said.files if sha256_of(file) == sha256), None)
    if ours is None and said.files and all(sha256_of(file) for file in said.files):
        return None
    file = ours or _main(said)
    gone = any(is_gone(item) for item in (said.about, said.version, file)) or is_civitai_copy_gone(file)
    model_id, version_id = _ids(said, file)
    found = downloads(said.files, sha256=sha256, places=places, gone=gone, foreign=is_foreign(said.about))
    published_at = moment(said.version.get("published_at"))
    card = Card(
        provider="civarchive",
        by="sha256",
        confidence=Confidence.CLAIMED if ours is None else Confidence.EXACT,
        availability=Availability.DELETED if gone else Availability.PUBLIC,
        model_id=model_id,
        version_id=version_id,
        model_name=words(said.about.get("name")) or words(file.get("model_name")),
        version_name=words(said.version.get("name")),
        kind=words(said.about.get("type")),
        base_model=words(said.version.get("base_model")),
        trained_words=listed(said.version.get("trigger")) or listed(said.version.get("trained_words")),
        tags=listed(said.about.get("tags")),
        nsfw_level=whole(said.version.get("nsfw_level")) or whole(said.about.get("nsfw_level")) or None,
        creator=_creator(said.about),
        description_html=prose(said.about.get("description")),
        version_description_html=prose(said.version.get("description")),
        page_url=places.page(model_id, version_id) if model_id and version_id else None,
        published_at=published_at.isoformat().replace("+00:00", "Z") if published_at else None,
        previews=tuple(_previews(said.version, places)),
        downloads=found,
        not_downloadable_because=_obstacle(said, found, gone=gone),
    )
    return replace(card, raw=version_document(card, said, places))


def _main(said: Said) -> Mapping[str, Any]:
    """Pick the file that the version is about where none states our hash."""
    marked = [file for file in said.files if file.get("is_primary") is True]
    models = [file for file in said.files if words(file.get("type")) == "Model"]
    return next(iter([*marked, *models, *said.files]), {})


def _ids(said: Said, file: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Give Civitai's numbers of model and version; what another platform calls its ids is none."""
    mirrors = [
        mirror
        for mirror in mappings(file.get("mirrors"))
        if (words(mirror.get("source")) or "").casefold() == CIVITAI
    ]
    models = [said.version.get("civitai_model_id")]
    versions = [said.version.get("civitai_model_version_id")]
    if not is_foreign(said.about):
        models += [said.version.get("model_id"), said.about.get("id"), file.get("model_id")]
        versions += [said.version.get("id"), file.get("model_version_id")]
    models += [mirror.get("model_id") for mirror in mirrors]
    versions += [mirror.get("model_version_id") for mirror in mirrors]
    return _first_id(models), _first_id(versions)


def _first_id(values: list[object]) -> int | None:
    return next((number for value in values if (number := civitai_id(value))), None)


def _creator(about: Mapping[str, Any]) -> str | None:
    names = (words(about.get(name)) for name in ("creator_username", "username", "creator_name"))
    return next((name for name in names if name), None)


def _obstacle(said: Said, found: tuple[Download, ...], *, gone: bool) -> str | None:
    """Say in words why the file cannot be had; None when it can."""
    urls = found[0].urls if found else ()
    if said.version.get("allow_download") is False:
        return "the archive does not offer it for download"
    if gone and all(url.source == CIVITAI for url in urls):
        return "it was deleted, and the archive knows no other copy"
    if not urls:
        return "the archive knows no address of this file"
    if all(url.paid for url in urls):
        return "every copy that the archive knows has to be paid for"
    return None


def _previews(version: Mapping[str, Any], places: Places) -> Iterator[Preview]:
    for image in mappings(version.get("images")):
        url, still = places.stored(image.get("url")), places.stored(image.get("image_url"))
        kind = image.get("type")
        if (url or still) is None or (isinstance(kind, str) and kind not in ("image", "video")):
            continue
        is_video = kind == "video" or _is_video_name(url or "")
        shown = url or still or ""
        if is_video and still and not _makes_stills(shown) and not _is_video_name(still):
            shown, is_video = still, False
        yield Preview(
            url=shown,
            media="video" if is_video else "image",
            width_px=identity(image.get("width")),
            height_px=identity(image.get("height")),
            nsfw_level=whole(image.get("nsfw_level")) or None,
        )


def _makes_stills(url: str) -> bool:
    """Tell whether the host of a video makes stills of it; elsewhere the stated one has to serve."""
    return f".{urlsplit(url).hostname}".endswith(".civitai.com")


def _is_video_name(url: str) -> bool:
    return url.lower().endswith(_VIDEO_ENDINGS)
