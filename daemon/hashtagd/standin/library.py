"""What the stand-in knows: listings, and the documents it makes of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ACCOUNT = "xStandinAccountSegment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One file of one version of one model."""

    sha256: str
    model_id: int
    version_id: int
    file_id: int
    autov3: str | None = None
    size_bytes: int = 1_048_576
    name: str = "A model"
    version_name: str = "v1.0"
    file_name: str = "model.safetensors"
    file_type: str = "Model"
    kind: str = "LORA"
    base_model: str = "SDXL 1.0"
    trained_words: Sequence[str] = ()
    tags: Sequence[str] = ()
    creator: str | None = "a_creator"
    description: str | None = "<p>Made for tests.</p>"
    nsfw_level: int = 1
    published_at: str = "2025-06-01T12:00:00.000Z"
    #: bytes of its pictures; () for none
    previews: Sequence[bytes] = ()
    #: what a download gives; None: 404
    content: bytes | Path | None = None
    #: no files and no download address, downloads are 410; only `ids` tells whose hash it is
    archived: bool = False
    #: no pictures
    taken_down: bool = False
    #: `paidAccess` is set, downloads are 403
    paid: bool = False
    #: when paid access ends; None: nobody says
    paid_until: str | None = None
    #: `earlyAccessEndsAt`; downloads are 403 as long as it is set, because this site has no clock
    early_access_ends_at: str | None = None
    #: downloads are 401, whatever the key
    generation_only: bool = False
    #: `models?ids=` leaves the model out
    omitted_by_models_ids: bool = False
    #: the batch route leaves the hash out, `ids` knows it
    missing_from_by_hash: bool = False
    #: the batch route gives null ("Missing model file")
    null_entry: bool = False
    #: the batch route gives the version, but this file is not among its files
    hash_not_in_files: bool = False
    #: no rating yet: found by hash, 404 by id
    unrated: bool = False
    #: by its id: 404 "Missing model file"
    missing_by_id: bool = False
    #: a Training Data file stands before this one
    training_data_first: bool = False
    #: downloads need a key
    needs_key: bool = False


class Library:
    """Listings by every key they are asked for."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.by_hash: dict[str, list[Listing]] = defaultdict(list)
        self.by_version: dict[int, list[Listing]] = defaultdict(list)
        self.by_model: dict[int, list[Listing]] = defaultdict(list)
        self.by_short: dict[str, list[Listing]] = defaultdict(list)

    def add(self, listing: Listing) -> None:
        """Publish a listing."""
        self.by_hash[listing.sha256.upper()].append(listing)
        self.by_version[listing.version_id].append(listing)
        self.by_model[listing.model_id].append(listing)
        for short in (listing.sha256[:10], listing.autov3 or ""):
            if short:
                self.by_short[short.upper()].append(listing)

    def remove(self, sha256: str) -> None:
        """Unpublish every listing of a hash."""
        for listing in self.by_hash.pop(sha256.upper(), []):
            for shelf in (self.by_version[listing.version_id], self.by_model[listing.model_id]):
                shelf.remove(listing)
            for short in (listing.sha256[:10], listing.autov3 or ""):
                if listing in self.by_short.get(short.upper(), []):
                    self.by_short[short.upper()].remove(listing)

    def first(self, any_hash: str) -> Listing | None:
        """Find by any recorded hash: the oldest published, then the lowest id."""
        wanted = any_hash.upper()
        rows = [*self.by_hash.get(wanted, ()), *self.by_short.get(wanted, ())]
        return min(rows, key=lambda row: (row.published_at, row.version_id), default=None)

    def picture(self, version_id: int, number: int) -> bytes | None:
        """Give the bytes of a preview."""
        for listing in self.by_version.get(version_id, ()):
            if number < len(listing.previews):
                return listing.previews[number]
        return None

    def version(self, version_id: int, *, base: str) -> dict[str, Any]:
        """Make the version document; `base` begins its download addresses."""
        rows = self.by_version[version_id]
        one = rows[0]
        document = _version_head(one)
        document["files"] = [] if one.archived else list(_files(rows, base))
        document["images"] = [] if one.taken_down else list(self._images(one))
        document["paidAccess"] = {"permanent": False, "endsAt": one.paid_until} if one.paid else None
        if one.early_access_ends_at:  # the site sends this key no more
            document["earlyAccessEndsAt"] = one.early_access_ends_at
        if not one.archived:
            document["downloadUrl"] = f"{base}/api/download/models/{one.version_id}"
        return document

    def model(self, model_id: int, *, in_list: bool = False) -> dict[str, Any]:
        """Make the model document: newest version first, nulls and empty lists dropped from versions.

        In the list of models its versions have no `status` and no `createdAt`.
        """
        one = self.by_model[model_id][0]
        ids = sorted({row.version_id for row in self.by_model[model_id]}, reverse=True)
        creator = {"creator": {"username": one.creator, "image": None}} if one.creator else {}
        return {
            "id": model_id,
            "name": one.name,
            "description": one.description,
            "type": one.kind,
            "nsfw": one.nsfw_level > 3,  # noqa: PLR2004 - the bits above PG-13
            "nsfwLevel": one.nsfw_level,
            "minor": False,
            "sfwOnly": False,
            "poi": False,
            **_mode(one),
            "availability": "Public",
            "allowNoCredit": True,
            "allowCommercialUse": ["Image", "RentCivit"],
            "allowDerivatives": True,
            "allowDifferentLicense": False,
            "stats": {"downloadCount": None, "thumbsUpCount": 3, "thumbsDownCount": 0},
            **creator,
            "tags": list(one.tags),
            "modelVersions": [
                self._sparse_version(version_id, index, in_list=in_list)
                for index, version_id in enumerate(ids)
            ],
        }

    def _sparse_version(self, version_id: int, index: int, *, in_list: bool) -> dict[str, Any]:
        document = self.version(version_id, base=self._origin)
        for name in ("modelId", "air", "model", *(("status", "createdAt") if in_list else ())):
            del document[name]
        kept = {name: value for name, value in document.items() if value is not None and value != []}
        for file in kept.get("files", ()):
            if not file["primary"]:
                del file["primary"]
        return {**kept, "index": index, "availability": "Public"}

    def _images(self, one: Listing) -> Iterable[dict[str, Any]]:
        for number, _ in enumerate(one.previews):
            picture = f"{one.version_id}-{number}/original=true/{number}.jpeg"
            yield {
                "url": f"{self._origin}/image/{_ACCOUNT}/{picture}",
                "nsfwLevel": one.nsfw_level,
                "width": 48,
                "height": 64,
                "hash": "UA$|~Q00",
                "type": "image",
                "meta": {"hashes": {"model": "0123456789"}, "prompt": "a test picture"},
            }


def _mode(one: Listing) -> dict[str, str]:
    if one.archived:
        return {"mode": "Archived"}
    return {"mode": "TakenDown"} if one.taken_down else {}


def _version_head(one: Listing) -> dict[str, Any]:
    family = one.base_model.split()[0].lower().replace(".", "")
    return {
        "id": one.version_id,
        "modelId": one.model_id,
        "name": one.version_name,
        "nsfwLevel": 0 if one.unrated else one.nsfw_level,
        "createdAt": one.published_at,
        "updatedAt": one.published_at,
        "publishedAt": one.published_at,
        "status": "Published",
        "trainedWords": list(one.trained_words),
        "trainingStatus": None,
        "trainingDetails": None,
        "baseModel": one.base_model,
        "baseModelType": "Standard",
        "description": None,
        "uploadType": "Created",
        "usageControl": "InternalGeneration" if one.generation_only else "Download",
        "air": f"urn:air:{family}:{one.kind.lower()}:civitai:{one.model_id}@{one.version_id}",
        "stats": {"downloadCount": None, "thumbsUpCount": 3},
        "model": {"name": one.name, "type": one.kind, "nsfw": False, "poi": False, **_mode(one)},
    }


def _files(rows: Sequence[Listing], base: str) -> Iterable[dict[str, Any]]:
    for index, row in enumerate(rows):
        if row.training_data_first:
            yield _file(row, base, primary=False, training=True)
        if not row.hash_not_in_files:
            yield _file(row, base, primary=index == 0, training=False)


def _file(row: Listing, base: str, *, primary: bool, training: bool) -> dict[str, Any]:
    file_id = row.file_id + 5_000_000 if training else row.file_id
    sha256 = f"{'0' * 24}{file_id:040x}" if training else row.sha256
    hashes = {"SHA256": sha256.upper(), "AutoV2": sha256[:10].upper()}
    if row.autov3 and not training:
        hashes["AutoV3"] = row.autov3.upper()
    return {
        "id": file_id,
        "sizeKB": row.size_bytes / 1024,
        "name": f"{row.version_id}_training_data.zip" if training else row.file_name,
        "type": "Training Data" if training else row.file_type,
        "pickleScanResult": "Success",
        "pickleScanMessage": None,
        "virusScanResult": "Success",
        "virusScanMessage": None,
        "scannedAt": row.published_at,
        "metadata": {"format": "Other" if training else "SafeTensor", "size": None, "fp": None},
        "hashes": hashes,
        "primary": primary,
        "downloadUrl": f"{base}/api/download/models/{row.version_id}?fileId={file_id}",
    }
