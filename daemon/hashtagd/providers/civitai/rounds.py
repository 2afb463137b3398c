"""One round of questions to Civitai: few requests, each hash its own answer, silence concludes nothing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers import verdicts
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.client import BY_HASH_LIMIT, MODELS_LIMIT, Api, Row, Unanswered
from hashtagd.providers.civitai.fields import identity, mappings, moment
from hashtagd.providers.civitai.files import hashes_of
from hashtagd.providers.civitai.raw import slim
from hashtagd.providers.civitai.shapes import UnknownShape, bare_card, card_of
from hashtagd.providers.civitai.updates import remembered

Spoke = tuple[str, Found | Absent | Trouble]
_Version = Mapping[str, Any]
#: None: the site does not show the model; a trouble: it fails for this one
_Model = Mapping[str, Any] | Trouble | None
#: how many versions of one hash are looked for when the batch shows none of them
_MOST_VERSIONS = 3


def is_sieve_worthwhile(hashes: int, share_known: float) -> bool:
    """Tell whether one `ids` request in front saves more than it costs.

    It sieves the unknown ones out, so that the hundreds that follow are full. Where nearly everything is
    known, or little is asked, the hundreds are as full without it.
    """
    without = 2 * math.ceil(hashes / BY_HASH_LIMIT)
    return 1 + 2 * math.ceil(hashes * share_known / BY_HASH_LIMIT) < without


class Round:
    """Remembers, for one round only, which models are known already.

    Args:
        api: the routes.
        addresses: where stored addresses point.
        now: the moment the round began.
        share_known: which part of the hashes the site knew so far, 0 to 1: decides about the cheaper way.
    """

    def __init__(self, api: Api, addresses: Addresses, now: datetime, share_known: float = 1.0) -> None:
        self._api = api
        self._addresses = addresses
        self._now = now
        self._share_known = share_known
        #: slim documents of one hundred hashes: those of ten thousand would fill the memory
        self._models: dict[int, _Model] = {}
        #: those that were asked for alone, kept to the end: each cost a request
        self._lone: dict[int, _Model] = {}
        #: versions found inside model documents, for hashes that the batch routes do not show
        self._sparse: dict[int, _Version] = {}

    def ask(self, hashes: Sequence[str]) -> Iterator[Spoke]:
        """Answer every hash, each once; at most `IDS_LIMIT` of them.

        Raises:
            Trouble: scope `provider`; answers already given stay good.
            Stopping: a stop was requested.
        """
        with self._api.together():
            yield from self._portions(hashes)

    def _portions(self, hashes: Sequence[str]) -> Iterator[Spoke]:
        if not is_sieve_worthwhile(len(hashes), self._share_known):
            for start in range(0, len(hashes), BY_HASH_LIMIT):
                yield from self._hundred(hashes[start : start + BY_HASH_LIMIT], None)
            return
        rows, refused = self._api.ids(hashes)
        yield from refused.items()
        yield from ((text, Absent()) for text in hashes if text not in rows and text not in refused)
        # models of several files stay together, so that each is asked for once
        known = sorted(rows, key=lambda text: (rows[text][0].model_id or 0, rows[text][0].version_id))
        for start in range(0, len(known), BY_HASH_LIMIT):
            yield from self._hundred(known[start : start + BY_HASH_LIMIT], rows)

    def _hundred(self, hashes: Sequence[str], rows: Mapping[str, list[Row]] | None) -> Iterator[Spoke]:
        spoken = self._api.by_hash(hashes)
        yield from spoken.refused.items()
        versions = list(mappings(list(spoken.entries)))
        chosen = _chosen(versions, set(hashes))
        missing = [text for text in hashes if text not in chosen and text not in spoken.refused]
        strays = {
            version_id: version
            for version in versions
            if (version_id := identity(version.get("id"))) and not hashes_of(version) & chosen.keys()
        }
        unclear = bool(strays) or len(versions) < len(spoken.entries)
        if rows is None and missing and unclear:
            # a null, or a version without our file: only `ids` can tell an archived file from an unknown one
            rows, refused = self._api.ids(missing)
            yield from refused.items()
            missing = [text for text in missing if text not in refused]
        hidden = [text for text in missing if rows is not None and text in rows]
        yield from ((text, Absent()) for text in missing if text not in hidden)
        yield from self._cards(chosen, hidden, rows or {}, strays)

    def _cards(
        self,
        chosen: Mapping[str, _Version],
        hidden: Sequence[str],
        rows: Mapping[str, list[Row]],
        strays: Mapping[int, _Version],
    ) -> Iterator[Spoke]:
        versions = dict(chosen)
        model_ids = {text: _model_id(version, rows.get(text)) for text, version in chosen.items()}
        for text in hidden:
            try:
                version = self._hidden_version(rows[text], strays)
            except Unanswered as unanswered:
                yield text, unanswered.trouble
                continue
            model_ids[text] = _model_id(version or {}, rows[text])
            if version is not None:
                versions[text] = version
        self._learn_models([number for number in model_ids.values() if number])
        for text, model_id in model_ids.items():
            yield text, self._found(text, versions.get(text), model_id, rows.get(text))

    def _hidden_version(self, rows: Sequence[Row], strays: Mapping[int, _Version]) -> _Version | None:
        """Find the version of a hash that the batch does not show with it: in the batch, or by its id."""
        candidates = sorted({row.version_id for row in rows})
        shown = [strays[version_id] for version_id in candidates if version_id in strays]
        if shown:
            return min(shown, key=_age)
        for version_id in candidates[:_MOST_VERSIONS]:
            version = self._api.version(version_id)
            if version is not None:
                return version
        return None

    def _learn_models(self, model_ids: Sequence[int]) -> None:
        wanted = list(dict.fromkeys(model_ids))
        self._models = {number: self._models[number] for number in wanted if number in self._models}
        unknown = [number for number in wanted if number not in self._models and number not in self._lone]
        for start in range(0, len(unknown), MODELS_LIMIT):
            part = unknown[start : start + MODELS_LIMIT]
            shown = self._api.models(part)
            for number in part:
                if number in shown:
                    self._models[number] = self._kept(number, shown[number])
                else:
                    self._lone[number] = self._kept(number, self._lone_model(number))

    def _lone_model(self, model_id: int) -> _Model:
        try:
            return self._api.model(model_id)
        except Unanswered as unanswered:
            return unanswered.trouble

    def _kept(self, model_id: int, model: _Model) -> _Model:
        """Give what is remembered of a model."""
        if not isinstance(model, Mapping):
            return model
        if model.get("mode") is not None:
            # hidden versions of archived models stand nowhere else
            for version in mappings(model.get("modelVersions")):
                self._sparse[identity(version.get("id")) or 0] = version
        return {"id": model_id, **slim(model), "modelVersions": remembered(model)}

    def _found(
        self, text: str, version: _Version | None, model_id: int | None, rows: Sequence[Row] | None
    ) -> Found | Trouble:
        model = self._models.get(model_id, self._lone.get(model_id)) if model_id else None
        if isinstance(model, Trouble):
            return model
        if version is None:
            sparse = (self._sparse[row.version_id] for row in rows or () if row.version_id in self._sparse)
            version = min(sparse, key=_age, default=None)
        if version is None:
            lowest = min(row.version_id for row in rows or ())
            return Found(card=bare_card(lowest, model_id, model, self._addresses))
        try:
            card = card_of(version, model, sha256=text, addresses=self._addresses, now=self._now)
        except UnknownShape as shape:
            return verdicts.unknown_shape(self._api.origin, shape.path)
        return Found(card=card)


def _chosen(versions: Sequence[_Version], hashes: set[str]) -> dict[str, _Version]:
    """Give each hash the version that shows a file with it: the oldest published, then the lowest id."""
    chosen: dict[str, _Version] = {}
    for version in versions:
        for text in hashes_of(version) & hashes:
            if text not in chosen or _age(version) < _age(chosen[text]):
                chosen[text] = version
    return chosen


def _age(version: _Version) -> tuple[bool, float, int]:
    published_at = moment(version.get("publishedAt"))
    return (
        published_at is None,
        published_at.timestamp() if published_at else 0.0,
        identity(version.get("id")) or 0,
    )


def _model_id(version: _Version, rows: Sequence[Row] | None) -> int | None:
    return identity(version.get("modelId")) or next(
        (row.model_id for row in rows or () if row.model_id), None
    )
