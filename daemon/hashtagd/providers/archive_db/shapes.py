"""Rows of the archive database, put together to the documents of Civitai's API, and made into cards.

Pure. The columns repeat some of what the documents in `data` say; what is broken in one is taken from the
other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from hashtagd.core.card import Availability, Card
from hashtagd.core.digests import is_sha256
from hashtagd.providers.bodies import SpoiledBody, parse_json
from hashtagd.providers.civitai import shapes
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.fields import identity, mapping, mappings, moment, whole, words

_CIVITAI: Final = "https://civitai.com"
#: what LoRA Manager calls this source in documents that it makes of the same rows
_SOURCE: Final = "archive_db"
#: the end of the year 9999, in seconds
_END_OF_TIME_S: Final = 253_402_300_799


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the database holds about one file: rows, by the names of their columns."""

    file: Mapping[str, Any]
    #: all files of its version, this one among them
    files: Sequence[Mapping[str, Any]]
    #: None where the database has lost it
    version: Mapping[str, Any] | None
    model: Mapping[str, Any] | None
    #: the file is in the table of archived ones
    archived: bool
    made_at: datetime


def card_of(held: Held, *, sha256: str, now: datetime) -> Card:
    """Make the card of a file whose row states our hash and the number of a version.

    What it says of availability was so on the day the row was written. Addresses stay on a card that says why
    they may lead nowhere.
    """
    version = _version_document(held)
    model = _model_document(held)
    card = replace(
        shapes.card_of(version, model, sha256=sha256, addresses=Addresses(_CIVITAI), now=now),
        provider="archive-db",
    )
    documents = (version, model, _document(held.file))
    day = f"{_seen_at(held):%Y-%m-%d}"
    if any(_moment(item.get("deletedAt") or item.get("deleted_at")) for item in documents):
        return replace(
            card,
            availability=Availability.DELETED,
            not_downloadable_because=f"the archive database of {day} says that it was deleted",
        )
    if held.archived and card.availability is Availability.PUBLIC:
        return replace(
            card,
            availability=Availability.ARCHIVED,
            not_downloadable_because=f"the archive database of {day} lists the file as archived",
        )
    because = card.not_downloadable_because
    return replace(card, not_downloadable_because=f"{because} (as of {day})") if because else card


def published_at(version: Mapping[str, Any]) -> datetime | None:
    """Tell when a version was published: its column counts seconds since 1970, its document has a text."""
    return _moment(version["published_at"]) or moment(_document(version).get("publishedAt"))


def sha256_of(file: Mapping[str, Any]) -> str | None:
    """Give the hash of a row of `model_files`, lower-case."""
    text = (words(file["sha256"]) or "").lower()
    return text if is_sha256(text) else None


def _version_document(held: Held) -> dict[str, Any]:
    row = held.version or {}
    document = {**_document(row), "id": identity(held.file["version_id"]), "source": _SOURCE}
    document["modelId"] = identity(held.file["model_id"]) or identity(row.get("model_id"))
    for name, column in (("name", "name"), ("baseModel", "base_model")):
        document[name] = words(row.get(column)) or document.get(name)
    if moment(document.get("publishedAt")) is None:
        published = _moment(row.get("published_at"))
        document["publishedAt"] = published.isoformat().replace("+00:00", "Z") if published else None
    files = [_file_document(file) for file in held.files]
    known = {file["id"] for file in files}
    kept = [file for file in mappings(document.get("files")) if identity(file.get("id")) not in known]
    return {**document, "files": [*files, *kept]}


def _model_document(held: Held) -> dict[str, Any]:
    row = held.model or {}
    document = dict(_document(row))
    model_id = identity(held.file["model_id"])
    if model_id is not None:
        document["id"] = model_id
    for name in ("name", "type"):
        document[name] = words(row.get(name)) or document.get(name)
    creator = words(row.get("username"))
    if creator is not None:
        document["creator"] = {**mapping(document.get("creator")), "username": creator}
    return {name: value for name, value in document.items() if value is not None}


def _file_document(row: Mapping[str, Any]) -> dict[str, Any]:
    said = _document(row)
    document = {name: value for name, value in said.items() if name not in ("modelId", "modelVersionId")}
    sha256 = sha256_of(row)
    hashes = {**mapping(said.get("hashes")), **({"SHA256": sha256.upper()} if sha256 else {})}
    return {
        **document,
        "id": identity(row["id"]),
        "type": words(row["type"]) or said.get("type"),
        "hashes": hashes,
    }


def _document(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the JSON of a row; empty where it is none."""
    data = row.get("data")
    body = data.encode("utf-8") if isinstance(data, str) else data
    if not isinstance(body, bytes):
        return {}
    try:
        return mapping(parse_json(body))
    except SpoiledBody:
        return {}


def _seen_at(held: Held) -> datetime:
    """Tell when the rows were written last; the file itself is at least as young."""
    rows = (held.version or {}, held.model or {})
    seen = [found for row in rows if (found := _moment(row.get("updated_at")))]
    return max(seen, default=held.made_at)


def _moment(value: object) -> datetime | None:
    """Read a time, as text or in seconds since 1970."""
    seconds = whole(value)
    if seconds is not None:
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= _END_OF_TIME_S else None
    return moment(value)
