"""Civitai's JSON of every year, turned into cards.

Pure. A field of a form nobody knows counts as not said; only a version without a number is no version.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from hashtagd.core.card import Availability, Card, Confidence, License, Preview
from hashtagd.providers.civitai.addresses import Addresses, plain
from hashtagd.providers.civitai.availability import access_of, why_no_address
from hashtagd.providers.civitai.fields import (
    flag,
    identity,
    listed,
    mapping,
    mappings,
    moment,
    prose,
    whole,
    words,
)
from hashtagd.providers.civitai.files import downloads
from hashtagd.providers.civitai.raw import enriched
from hashtagd.providers.civitai.updates import update_of

_PG, _PG13, _R, _X = 1, 2, 4, 8
#: ratings of pictures before numbers came
_OLD_RATINGS: Mapping[str, int] = {"none": _PG, "soft": _PG13, "mature": _R, "x": _X}
_VIDEO_ENDINGS = (".mp4", ".webm")


class UnknownShape(Exception):  # noqa: N818 - becomes a trouble one level up
    """A document without what makes it one; `path` says which field."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def card_of(
    version: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    *,
    sha256: str | None,
    addresses: Addresses,
    now: datetime,
    by: str = "sha256",
    confidence: Confidence = Confidence.EXACT,
) -> Card:
    """Make the card of a version.

    Args:
        version: the version's document.
        model: the document of its model, None where the site does not show it.
        sha256: whose file stands first, and for an exact match has to be there; None: the primary one does.
        addresses: where stored addresses point.
        now: decides whether early access has ended.
        by: by which hash the version was found.
        confidence: how sure the match is.

    Raises:
        UnknownShape: the version has no number.
    """
    version_id = identity(version.get("id"))
    if version_id is None:
        raise UnknownShape("id")
    about = {**mapping(version.get("model")), **(model or {})}
    model_id = identity(version.get("modelId")) or identity(mapping(model).get("id"))
    access = access_of(version, about, now)
    files = downloads(version, version_id=version_id, sha256=sha256, addresses=addresses, paid=access.paid)
    exactly = sha256 if confidence is Confidence.EXACT else None
    return Card(
        provider="civitai",
        by=by,
        confidence=confidence,
        availability=access.availability,
        model_id=model_id,
        version_id=version_id,
        air=words(version.get("air")),
        model_name=words(about.get("name")),
        version_name=words(version.get("name")),
        kind=words(about.get("type")),
        base_model=words(version.get("baseModel")),
        trained_words=listed(version.get("trainedWords")),
        tags=listed(about.get("tags")),
        nsfw_level=whole(version.get("nsfwLevel")) or None,
        creator=words(mapping(about.get("creator")).get("username")),
        license=_license(about),
        description_html=prose(about.get("description")),
        version_description_html=prose(version.get("description")),
        page_url=addresses.page(model_id, version_id) if model_id else None,
        published_at=_utc(moment(version.get("publishedAt"))),
        previews=tuple(_previews(version)),
        downloads=files,
        update=update_of(version, model),
        early_access_ends_at=_utc(access.ends_at),
        not_downloadable_because=access.because or why_no_address(files, exactly),
        raw=enriched(version, model, model_id=model_id, addresses=addresses),
    )


def bare_card(
    version_id: int, model_id: int | None, model: Mapping[str, Any] | None, addresses: Addresses
) -> Card:
    """Make the card of a version that the site knows by hash but shows nowhere."""
    about = mapping(model)
    return Card(
        provider="civitai",
        by="sha256",
        confidence=Confidence.EXACT,
        availability=Availability.UNKNOWN,
        model_id=model_id,
        version_id=version_id,
        model_name=words(about.get("name")),
        kind=words(about.get("type")),
        tags=listed(about.get("tags")),
        creator=words(mapping(about.get("creator")).get("username")),
        license=_license(about),
        description_html=prose(about.get("description")),
        page_url=addresses.page(model_id, version_id) if model_id else None,
        update=update_of({"id": version_id}, model),
        not_downloadable_because="the site knows the file but does not show its version",
    )


def _utc(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _license(about: Mapping[str, Any]) -> License:
    uses = about.get("allowCommercialUse")
    if isinstance(uses, str):  # one word, or a literal of the site's database: {Image,Rent}
        uses = uses.strip("{} ").replace('"', "").split(",")
    return License(
        allow_no_credit=flag(about.get("allowNoCredit")),
        allow_commercial_use=listed(uses) if isinstance(uses, list) else None,
        allow_derivatives=flag(about.get("allowDerivatives")),
        allow_different_license=flag(about.get("allowDifferentLicense")),
    )


def _previews(version: Mapping[str, Any]) -> Iterator[Preview]:
    for image in mappings(version.get("images")):
        url = plain(image.get("url"))
        media = _media(image, url or "")
        if url is None or media is None:
            continue
        yield Preview(
            url=url,
            media=media,
            width_px=identity(image.get("width")),
            height_px=identity(image.get("height")),
            nsfw_level=_rating(image),
        )


def _media(image: Mapping[str, Any], url: str) -> Literal["image", "video"] | None:
    kind = image.get("type")
    if kind in ("image", "video"):
        return "video" if kind == "video" else "image"
    if isinstance(kind, str):
        return None
    return "video" if url.lower().endswith(_VIDEO_ENDINGS) else "image"


def _rating(image: Mapping[str, Any]) -> int | None:
    level = whole(image.get("nsfwLevel"))
    if level is not None:
        return level or None
    old = image.get("nsfwLevel", image.get("nsfw"))
    old = image.get("nsfw") if not isinstance(old, str | bool) else old
    if isinstance(old, bool):  # early 2023: mature or not, and nothing finer
        return _X if old else _PG
    return _OLD_RATINGS.get(old.lower()) if isinstance(old, str) else None
