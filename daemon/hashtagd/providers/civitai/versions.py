"""A version by its number: for an owner who knows better than any hash which model a file is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hashtagd.core.card import Card, Confidence
from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers import verdicts
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.client import Api, Unanswered, says_unknown
from hashtagd.providers.civitai.fields import identity, mapping
from hashtagd.providers.civitai.shapes import UnknownShape, card_of
from hashtagd.providers.civitai.updates import first_shown

_OK: Final = 200
_NOT_FOUND: Final = 404
_SERVER: Final = 500


class CivitaiVersions:
    """Looks versions up, two requests each; made by `Civitai.by_version`, whose connections it shares.

    As a provider it answers the questions that are put in the owner's name.
    """

    def __init__(self, api: Api, addresses: Addresses, now: Callable[[], datetime]) -> None:
        self.name = "owner"
        self.slow = False
        self.reads_headers = False
        self.batch_limit = 20
        self.origin: str | None = api.origin
        self._api = api
        self._addresses = addresses
        self._now = now
        #: the model that a page showed a moment ago: the next question is about one of its versions
        self._shown: Mapping[str, Any] | None = None

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every subject with the version that the owner named, as `core.ports.Provider` says."""
        for subject in subjects:
            if subject.version_id is None:
                continue  # only the model was named: there is nothing to look up by a number
            try:
                card = self.card(subject.version_id, subject.hash)
            except GiveUp as trouble:
                yield subject.hash, trouble
                continue
            yield subject.hash, Absent() if card is None else Found(card=card)

    def card(self, version_id: int, sha256: str | None = None) -> Card | None:
        """Get the card of a version that the owner named.

        Args:
            version_id: its number.
            sha256: whose file stands first where the version lists it; it does not have to.

        Returns None where the site does not know the version, which it also says of a version that is not
        published, not rated yet, or hidden from this region.

        Raises:
            Trouble: scope `provider` where the site did not answer properly (its gate is closed unless it
                fails for this version only); GiveUp with scope `file` where it has nothing to show.
            Stopping: a stop was requested.
        """
        with self._api.together():
            try:
                return self._card(version_id, sha256)
            except Unanswered as unanswered:
                raise unanswered.trouble from None

    def shown_first(self, model_id: int) -> int | None:
        """Give the number of the version that a model's page shows first; None where it shows none.

        Raises:
            Trouble: as `card`.
            Stopping: a stop was requested.
        """
        with self._api.together():
            try:
                model = self._api.model(model_id)
            except Unanswered as unanswered:
                raise unanswered.trouble from None
        self._shown = model
        return None if model is None else first_shown(model)

    def _card(self, version_id: int, sha256: str | None) -> Card | None:
        reply = self._api.by_id(version_id)
        if says_unknown(reply):
            return None
        if reply.status == _NOT_FOUND:
            raise _nothing_to_show()
        if reply.status >= _SERVER:
            raise verdicts.unreachable(self._api.origin, f"status {reply.status} for one version")
        version = mapping(reply.body)
        if reply.status != _OK or identity(version.get("id")) != version_id:
            raise verdicts.unknown_shape(self._api.origin, "id")
        return self._made(version, sha256)

    def _made(self, version: Mapping[str, Any], sha256: str | None) -> Card:
        model_id = identity(version.get("modelId"))
        shown, self._shown = self._shown, None
        if shown is not None and identity(shown.get("id")) == model_id:
            model: Mapping[str, Any] | None = shown
        else:
            model = self._api.model(model_id) if model_id else None
        try:
            return card_of(
                version,
                model,
                sha256=sha256,
                addresses=self._addresses,
                now=self._now(),
                by="owner",
                confidence=Confidence.OWNER,
            )
        except UnknownShape as shape:
            raise verdicts.unknown_shape(self._api.origin, shape.path) from None


def _nothing_to_show() -> Trouble:
    return GiveUp(
        "the site has this version but shows no file of it",
        does="what was known stays as it is",
        you="check the number on the model's page; `hashtagd match --anyway` keeps it all the same",
        scope=Scope.FILE,
        kind="version_hidden",
    )
