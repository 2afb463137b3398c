"""Which request gets which answer, in the words and with the habits of the real site."""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hashtagd.standin.library import Library, Listing

_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_BATCH_LIMIT = 100
_IDS_LIMIT = 10_000
#: the base that the batch route puts before its download addresses
_BROKEN_BASE = "https://undefined"

_NOT_HERE = "Access to this service is not available in your region due to legal restrictions."
_HTML_404 = (
    b"<!DOCTYPE html><html><head><title>404</title></head><body>This page could not be found</body></html>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it is put on the wire."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The parts of a request that answers depend on."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def parse(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Asked":
        """Take a request line's target apart."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return cls(method=method, path=parts.path, query=query, headers=headers, body=body)


def as_json(value: object, status: int = 200) -> Reply:
    """Answer with a JSON document."""
    # half a surrogate pair, which a title may hold, has no UTF-8; the way Python escapes it is JSON's own
    body = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
    return Reply(status=status, body=body)


class Routes:
    """The site: a table of paths over a library."""

    def __init__(self, library: Library, origin: str) -> None:
        self._library = library
        self._origin = origin
        #: the one key that downloads of `needs_key` listings accept
        self.key: str | None = None
        #: a hash that spoils every batch it is in, upper-case
        self.disliked: str | None = None
        #: the whole API answers 451, as it does to some countries; downloads and pictures go on
        self.region_blocked = False
        #: who is not logged in is led to a login page, as browsers are, instead of being told so in JSON
        self.login_page = False
        self._signed: dict[str, int] = {}
        self._table: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = [
            ("by-hash", re.compile(r"/api/v1/model-versions/by-hash"), self._by_hash),
            ("ids", re.compile(r"/api/v1/model-versions/by-hash/ids"), self._ids),
            ("by-hash-one", re.compile(r"/api/v1/model-versions/by-hash/([^/]+)"), self._by_hash_one),
            ("version", re.compile(r"/api/v1/model-versions/([^/]+)"), self._version),
            ("models", re.compile(r"/api/v1/models"), self._models),
            ("model", re.compile(r"/api/v1/models/([^/]+)"), self._model),
            ("image", re.compile(r"/image/[^/]+/(\d+)-(\d+)/[^/]+/[^/]+"), self._image),
            ("download", re.compile(r"/api/download/models/(\d+)"), self._download),
            ("storage", re.compile(r"/storage/(\w+)"), self._storage),
        ]

    def name_of(self, path: str) -> str:
        """Name the route of a path; `other` for none."""
        return next((name for name, pattern, _ in self._table if pattern.fullmatch(path)), "other")

    def answer(self, asked: Asked) -> Reply:
        """Answer one request."""
        if self.region_blocked and asked.path.startswith("/api/v1/"):
            return as_json({"error": _NOT_HERE, "code": "REGION_BLOCKED"}, 451)
        for _, pattern, handler in self._table:
            match = pattern.fullmatch(asked.path)
            if match:
                return handler(asked, *match.groups())
        return Reply(status=404, body=_HTML_404, content_type="text/html; charset=utf-8")

    def _by_hash(self, asked: Asked) -> Reply:
        hashes = _hashes(asked.body, _BATCH_LIMIT)
        if hashes is None or self.disliked in hashes:
            return as_json({"error": "Request must include an array of SHA256 Hashes. too_big\ninvalid"}, 400)
        rows = [row for text in dict.fromkeys(hashes) for row in self._library.by_hash.get(text, ())]
        entries = [
            None if row.null_entry else self._library.version(row.version_id, base=_BROKEN_BASE)
            for row in rows
            if not row.missing_from_by_hash
        ]
        entries.reverse()  # the order is not that of the question
        return as_json(entries)

    def _ids(self, asked: Asked) -> Reply:
        hashes = _hashes(asked.body, _IDS_LIMIT)
        if hashes is None or self.disliked in hashes:
            return as_json({"error": "Request must include an array of SHA256 Hashes. too_big\ninvalid"}, 400)
        rows = [row for text in dict.fromkeys(hashes) for row in self._library.by_hash.get(text, ())]
        return as_json(
            [
                {"modelVersionId": row.version_id, "modelId": row.model_id, "hash": row.sha256.upper()}
                for row in reversed(rows)
            ]
        )

    def _by_hash_one(self, _asked: Asked, text: str) -> Reply:
        row = self._library.first(text)
        if row is None:
            return as_json({"error": "Model not found"}, 404)
        if row.null_entry:
            return as_json({"error": "Missing model file"}, 404)
        return as_json(self._library.version(row.version_id, base=self._origin))

    def _version(self, _asked: Asked, text: str) -> Reply:
        if not text.isdigit():
            return as_json({"error": {"issues": [{"path": ["id"]}]}}, 400)
        rows = self._library.by_version.get(int(text))
        if not rows or rows[0].unrated:
            return as_json({"error": "Model not found"}, 404)
        if rows[0].missing_by_id:
            return as_json({"error": "Missing model file"}, 404)
        return as_json(self._library.version(int(text), base=self._origin))

    def _models(self, asked: Asked) -> Reply:
        wanted = [int(text) for text in asked.query.get("ids", "").split(",") if text.isdigit()]
        limit = min(int(asked.query.get("limit", _BATCH_LIMIT)), _BATCH_LIMIT)
        start = int(asked.query.get("cursor", 0))
        shown = [number for number in dict.fromkeys(wanted) if self._listed(number, asked.query)]
        items = [self._library.model(number, in_list=True) for number in shown[start : start + limit]]
        metadata = {"pageSize": limit}
        if start + limit < len(shown):
            metadata["nextCursor"] = start + limit
        return as_json({"items": items, "metadata": metadata})

    def _listed(self, model_id: int, query: Mapping[str, str]) -> bool:
        rows = self._library.by_model.get(model_id)
        if not rows or rows[0].omitted_by_models_ids or rows[0].archived:
            return False
        return query.get("nsfw") == "true" or bool(rows[0].nsfw_level & 1)

    def _model(self, _asked: Asked, text: str) -> Reply:
        if not text.isdigit():
            return as_json({"error": {"issues": [{"path": ["id"]}]}}, 400)
        if not self._library.by_model.get(int(text)):
            return as_json({"error": f"No model with id {text}"}, 404)
        return as_json(self._library.model(int(text)))

    def _image(self, _asked: Asked, version_id: str, number: str) -> Reply:
        picture = self._library.picture(int(version_id), int(number))
        if picture is None:
            return Reply(status=404, body=b"not found", content_type="text/plain")
        return Reply(
            status=200, body=picture, content_type="image/jpeg"
        )  # the type lies, as on the real host

    def _download(self, asked: Asked, text: str) -> Reply:
        rows = self._library.by_version.get(int(text), [])
        wanted = asked.query.get("fileId")
        row = next((row for row in rows if wanted in (None, str(row.file_id))), None)
        refusal = _refusal(row, asked, self.key)
        if refusal is not None and refusal.status == 401 and self.login_page:  # noqa: PLR2004
            place = f"/login?returnUrl={asked.path}&reason=download-auth"
            return Reply(status=307, body=b"", headers={"Location": place})
        if refusal is not None or row is None:
            return refusal or as_json({"error": "File not found"}, 404)
        token = secrets.token_hex(8)
        self._signed[token] = row.file_id
        place = f"{self._origin}/storage/{token}?X-Amz-Signature={secrets.token_hex(16)}"
        return Reply(status=307, body=b"", headers={"Location": place, "Cache-Control": "no-store"})

    def _storage(self, asked: Asked, token: str) -> Reply:
        if "authorization" in asked.headers:
            return Reply(status=403, body=b"<Error>two proofs</Error>", content_type="application/xml")
        file_id = self._signed.get(token)
        rows = (row for shelf in self._library.by_version.values() for row in shelf)
        row = next((row for row in rows if row.file_id == file_id), None)
        if row is None or row.content is None:
            return Reply(status=403, body=b"<Error>expired</Error>", content_type="application/xml")
        content = row.content.read_bytes() if isinstance(row.content, Path) else row.content
        return _ranged(content, asked.headers.get("range"), f'"{row.file_id}"')


def _hashes(body: bytes, limit: int) -> list[str] | None:
    """Give the upper-cased hashes of a proper question; None: one bad apple spoils it."""
    try:
        items = json.loads(body)
    except ValueError:
        return None
    if not isinstance(items, list) or len(items) > limit:
        return None
    if not all(isinstance(item, str) and _HASH.fullmatch(item) for item in items):
        return None
    return [item.upper() for item in items]


def _refusal(row: Listing | None, asked: Asked, key: str | None) -> Reply | None:
    if row is None or row.content is None:
        return as_json({"error": "File not found"}, 404)
    if row.archived:
        return as_json({"error": "Model archived, not available for download"}, 410)
    if row.paid or row.early_access_ends_at:
        deadline = row.paid_until if row.paid else row.early_access_ends_at
        message = "This asset is in Early Access."
        return as_json({"error": "Early Access", "deadline": deadline, "message": message}, 403)
    if row.generation_only:
        message = "The creator of this asset has disabled downloads on this file"
        return as_json({"error": "Unauthorized", "message": message}, 401)
    if row.needs_key and (key is None or asked.headers.get("authorization") != f"Bearer {key}"):
        message = "The creator of this asset requires you to be logged in to download it"
        return as_json({"error": "Unauthorized", "message": message}, 401)
    return None


def _ranged(content: bytes, wanted: str | None, etag: str) -> Reply:
    kind = "application/octet-stream"
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if not match:
        return Reply(status=200, body=content, content_type=kind, headers=headers)
    start, end = int(match[1]), min(int(match[2] or len(content) - 1), len(content) - 1)
    if start >= len(content):
        return Reply(status=416, body=b"", headers={**headers, "Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Reply(status=206, body=content[start : end + 1], content_type=kind, headers=headers)
