"""The second chance: files whose header somebody edited, found by the hash of their tensors.

One request a file, so it runs behind all first answers. The hash asked for is short: a match is confirmed by
whatever else both sides know, and never called exact.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hashtagd.core.card import Confidence
from hashtagd.core.digests import AUTOV3_DIGITS, SHA256_OF_NOTHING
from hashtagd.core.header import LENGTH_BYTES, LONGEST_HEADER_BYTES
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers import verdicts
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.client import Api, Unanswered, refusal, says_unknown
from hashtagd.providers.civitai.fields import identity, mapping, mappings
from hashtagd.providers.civitai.files import autov3_of, sha256_of, size_bytes_of
from hashtagd.providers.civitai.shapes import UnknownShape, card_of

_OK: Final = 200
_NOT_FOUND: Final = 404


class CivitaiTensors:
    """A provider for questions of kind `tensors`; answers are keyed by the tensor hash."""

    def __init__(self, api: Api, addresses: Addresses, now: Callable[[], datetime]) -> None:
        self.name = "civitai"
        self.slow = False
        self.reads_headers = True
        self.batch_limit = 20
        self.origin: str | None = api.origin
        self._api = api
        self._addresses = addresses
        self._now = now

    def close(self) -> None:
        """Do nothing: the connections belong to the provider that made this one."""

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every tensor hash of the subjects once, as `core.ports.Provider` says."""
        for text, subject in {item.hash: item for item in subjects}.items():
            if text == SHA256_OF_NOTHING:
                continue  # nothing to tell files apart by: it must not be asked
            yield text, self._answered(text, subject)

    def _answered(self, text: str, subject: Subject) -> Found | Absent | Trouble:
        with self._api.together():
            try:
                return self._answer(text, subject)
            except Unanswered as unanswered:
                return unanswered.trouble

    def _answer(self, text: str, subject: Subject) -> Found | Absent | Trouble:
        reply = self._api.by_any_hash(text[:AUTOV3_DIGITS])
        if says_unknown(reply):
            return Absent()
        if reply.status == _NOT_FOUND:
            # "Missing model file": the hash is known, the file is not shown; that is no no
            return _not_shown()
        if reply.status != _OK:
            return refusal(self._api.origin)
        version = mapping(reply.body)
        file = next((item for item in mappings(version.get("files")) if _fits(item, text, subject)), None)
        return Absent() if file is None else self._found(version, file)

    def _found(self, version: Mapping[str, Any], file: Mapping[str, Any]) -> Found | Trouble:
        model_id = identity(version.get("modelId"))
        model = self._api.model(model_id) if model_id else None
        try:
            card = card_of(
                version,
                model,
                sha256=sha256_of(file),
                addresses=self._addresses,
                now=self._now(),
                by="tensors",
                confidence=Confidence.TENSORS,
            )
        except UnknownShape as shape:
            return verdicts.unknown_shape(self._api.origin, shape.path)
        return Found(card=card)


def _fits(file: Mapping[str, Any], text: str, subject: Subject) -> bool:
    """Tell whether a file has our tensors: by all stated digits, and a size that an edited header allows."""
    stated = mapping(file.get("hashes")).get("AutoV3")
    if autov3_of(file) != text[:AUTOV3_DIGITS] or not text.startswith(str(stated).strip().lower()):
        return False
    size_bytes = size_bytes_of(file)
    if size_bytes is None or subject.header is None:
        return True
    least_bytes = subject.size_bytes - LENGTH_BYTES - subject.header.length_bytes
    return least_bytes <= size_bytes <= least_bytes + LENGTH_BYTES + LONGEST_HEADER_BYTES


def _not_shown() -> TryLater:
    return TryLater(
        "the site knows these tensors but does not show their file",
        does="hashtagd asks again in a month",
        you="nothing; `hashtagd match FILE VERSION` names the model if you know it",
        scope=Scope.FILE,
        kind="not_shown",
    )
