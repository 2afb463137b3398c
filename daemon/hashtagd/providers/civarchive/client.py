"""CivArchive's two routes, and what each status means for one question."""

from typing import Final

from hashtagd.core.troubles import AskOperator, Scope, Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.civarchive.answers import Pointer, Said, unwrapped
from hashtagd.providers.civitai.client import refusal
from hashtagd.providers.civitai.fields import mapping
from hashtagd.providers.http import PoliteClient, Reply

_OK: Final = 200
_NOT_FOUND: Final = 404
#: the site fails so over single ids; the statuses above it speak of the site
_FAILED: Final = 500
_REFUSED: Final = (400, 422)
_DAY_S: Final = 86_400.0


class Unanswered(Exception):  # noqa: N818 - carries a trouble
    """No answer to this question; others may get theirs."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.kind)
        self.trouble = trouble


class ArchiveApi:
    """The routes; all look-ups are anonymous."""

    def __init__(self, client: PoliteClient) -> None:
        self._client = client

    def by_sha256(self, sha256: str) -> Said | None:
        """Ask for the model of a file; None where the archive does not know it.

        Raises:
            Unanswered: no answer to this question.
            Trouble: scope `provider`; the gate is closed already.
        """
        return self._said(f"/api/sha256/{sha256.lower()}")

    def version(self, pointer: Pointer) -> Said | None:
        """Ask for one version of a model; returns and raises as `by_sha256`.

        The answer may name another model: the number of the version decides.
        """
        query = f"?modelVersionId={pointer.version_id}" if pointer.version_id else ""
        return self._said(f"/api/models/{pointer.model_id}{query}")

    def _said(self, path: str) -> Said | None:
        reply = self._get(path)
        if reply.status == _NOT_FOUND:
            return None
        if reply.status != _OK:
            raise self._unanswered(reply)
        said = unwrapped(mapping(reply.body))
        if said is None:
            raise Unanswered(verdicts.unknown_shape(self._client.origin, "version"))
        return said

    def _get(self, path: str) -> Reply:
        try:
            return self._client.get_json(path, lone=True)
        except AskOperator as trouble:
            if trouble.kind == "key_refused":
                raise self._client.shut(_wants_a_key(self._client.origin), _DAY_S) from None
            raise

    def _unanswered(self, reply: Reply) -> Exception:
        """Tell who is concerned: this question alone, or everybody."""
        origin = self._client.origin
        if reply.status in _REFUSED:
            return Unanswered(refusal(origin))
        trouble = verdicts.unreachable(origin, f"status {reply.status} for one question")
        if reply.status <= _FAILED:
            return Unanswered(trouble)
        return self._client.shut(verdicts.unreachable(origin, f"status {reply.status}"))


def _wants_a_key(origin: str) -> AskOperator:
    return AskOperator(
        f"{origin} does not answer without a key any more",
        does="hashtagd asks it nothing for a day; it has no key for this site and shows it no other",
        you="look for a newer hashtagd, or take `civarchive` out of `providers`",
        scope=Scope.PROVIDER,
        kind="key_refused",
    )
