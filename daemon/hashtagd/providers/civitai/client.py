"""Civitai's routes, one method each: who answers what, in which portions, and what a refusal of one means."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.civitai.fields import identity, mapping, mappings, words
from hashtagd.providers.http import PoliteClient, Reply

BY_HASH_LIMIT = 100
IDS_LIMIT = 10_000
MODELS_LIMIT = 100

_OK = 200
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER = 500
#: "one of these hashes is not to my liking", "this is too much at once"
_WHOLE_REFUSED = (400, 413)
#: more lone refusals in one round mean that the site dislikes the question, not the hashes
_MOST_REFUSALS = 5
_MOST_PAGES = 4
#: how the site says that nobody has it, or that it is not published
_UNKNOWN = "model not found"


class Unanswered(Exception):  # noqa: N818 - carries a trouble
    """The site fails for one thing only."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.kind)
        self.trouble = trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the `ids` route."""

    version_id: int
    model_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a batch route said, and the hashes it will not be asked about."""

    entries: Sequence[Any] = ()
    refused: Mapping[str, Trouble] = field(default_factory=dict)


class Api:
    """The routes. All look-ups are anonymous; see `LookupKey`."""

    def __init__(self, client: PoliteClient) -> None:
        self._client = client
        self.origin = client.origin

    def together(self) -> AbstractContextManager[None]:
        """Let the requests inside count as one for the gate; see `PoliteClient.together`."""
        return self._client.together()

    def by_hash(self, hashes: Sequence[str]) -> Spoken:
        """Ask for whole versions of at most `BY_HASH_LIMIT` hashes; entries may be null or come twice."""
        return self._batch("/api/v1/model-versions/by-hash", hashes)

    def ids(self, hashes: Sequence[str]) -> tuple[dict[str, list[Row]], Mapping[str, Trouble]]:
        """Ask which hashes are known; at most `IDS_LIMIT`. Returns rows by hash, and refusals."""
        spoken = self._batch("/api/v1/model-versions/by-hash/ids", hashes)
        asked = set(hashes)
        rows: dict[str, list[Row]] = {}
        for entry in mappings(list(spoken.entries)):
            text, version_id = entry.get("hash"), identity(entry.get("modelVersionId"))
            if not isinstance(text, str) or version_id is None or text.lower() not in asked:
                continue
            row = Row(version_id=version_id, model_id=identity(entry.get("modelId")))
            shelf = rows.setdefault(text.lower(), [])
            if row not in shelf:
                shelf.append(row)
        return rows, spoken.refused

    def version(self, version_id: int) -> Mapping[str, Any] | None:
        """Get one version; None where the site does not show it.

        Raises:
            Unanswered: the site fails for this version only.
        """
        return self._lone(f"/api/v1/model-versions/{version_id}")

    def by_any_hash(self, text: str) -> Reply:
        """Get the version of a short hash; the caller judges 404 by its words."""
        return self._client.get_json(f"/api/v1/model-versions/by-hash/{text.upper()}", lone=True)

    def by_id(self, version_id: int) -> Reply:
        """Get one version for a caller who judges by himself what a refusal means."""
        return self._client.get_json(f"/api/v1/model-versions/{version_id}", lone=True)

    def model(self, model_id: int) -> Mapping[str, Any] | None:
        """Get one model; None where the site does not show it.

        Raises:
            Unanswered: the site fails for this model only.
        """
        return self._lone(f"/api/v1/models/{model_id}")

    def models(self, model_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """Get at most `MODELS_LIMIT` models at once; the site leaves some out for reasons of its own."""
        wanted = set(model_ids)
        found: dict[int, Mapping[str, Any]] = {}
        for page in self._pages(model_ids):
            for item in mappings(page.get("items")):
                model_id = identity(item.get("id"))
                if model_id in wanted:
                    found[model_id] = item
            if wanted == found.keys():
                break
        return found

    def _pages(self, model_ids: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        params = {"ids": ",".join(map(str, model_ids)), "nsfw": "true", "limit": str(MODELS_LIMIT)}
        cursors: set[str] = set()
        for _ in range(_MOST_PAGES):
            reply = self._client.get_json("/api/v1/models", params)
            if reply.status in (_NOT_FOUND, _TOO_MANY):
                return
            if reply.status != _OK or not isinstance(reply.body.get("items"), list):
                raise self._client.shut(verdicts.unknown_shape(self.origin, "items"))
            yield reply.body
            cursor = mapping(reply.body.get("metadata")).get("nextCursor")
            if cursor is None or str(cursor) in cursors:
                return
            cursors.add(str(cursor))
            params["cursor"] = str(cursor)

    def _lone(self, path: str) -> Mapping[str, Any] | None:
        reply = self._client.get_json(path, lone=True)
        if reply.status == _OK:
            return mapping(reply.body)
        if reply.status >= _SERVER:
            raise Unanswered(verdicts.unreachable(self.origin, f"status {reply.status} for one question"))
        return None

    def _batch(self, path: str, hashes: Sequence[str]) -> Spoken:
        """Ask with halves, and halves of halves, where the site refuses a whole batch for a part of it."""
        entries: list[Any] = []
        refused: dict[str, Trouble] = {}
        waiting = deque([list(hashes)])
        while waiting:
            part = waiting.popleft()
            reply = self._client.post_json(path, [text.upper() for text in part])
            if reply.status == _OK:
                entries += reply.body
            elif reply.status not in _WHOLE_REFUSED or len(refused) >= _MOST_REFUSALS:
                raise self._client.shut(verdicts.unknown_shape(self.origin, f"status {reply.status}"))
            elif len(part) > 1:
                middle = len(part) // 2
                waiting.extendleft((part[middle:], part[:middle]))
            else:
                refused[part[0]] = refusal(self.origin)
        return Spoken(entries=entries, refused=refused)


def says_unknown(reply: Reply) -> bool:
    """Tell whether a refusal is the site's proper no: it also answers 404 where it only hides a file."""
    body = mapping(reply.body)
    said = (words(body.get("error")), words(body.get("message")))
    return reply.status == _NOT_FOUND and any((text or "").casefold() == _UNKNOWN for text in said)


def refusal(origin: str) -> GiveUp:
    """Name a hash that the site will not be asked about."""
    return GiveUp(
        f"{origin} refuses a question about this hash alone",
        does="hashtagd does not ask this site about it again; all others are asked as usual",
        you="`hashtagd retry` asks once more",
        scope=Scope.PROVIDER,
        kind="hash_refused",
    )
