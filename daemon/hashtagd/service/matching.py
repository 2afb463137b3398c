"""The owner's word about a file: which version was named, and what its site says of it now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hashtagd.catalog.pages import FileRow
from hashtagd.core import schedule
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.digests import Digests
from hashtagd.core.naming import ModelRef, parse_model_name
from hashtagd.core.ports import AsksByVersion, Provider
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.service.randomness import chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What is kept of the owner's word."""

    version_id: int
    #: None: what the site says of it is not known yet; until then everything stays as it is
    card: Card | None
    #: when to ask the site about the version; 0: as soon as it answers
    again_in_s: float
    #: why the site could not be asked now; None: it was
    trouble: Trouble | None = None


def match_to(row: FileRow, named: str, providers: Sequence[Provider], *, anyway: bool) -> Matched:
    """Learn what the site says of the version that the owner named. A site that is away changes nothing.

    Args:
        row: a file whose hash is known.
        named: as `core.naming.parse_model_name` reads it.
        providers: the first that can be asked for versions is.
        anyway: also a version that the site does not know, or does not show.

    Raises:
        GiveUp: the name cannot be read, names no single version, or the site does not know or show it.
        AskOperator: no provider can be asked for versions.
    """
    asked = next((it.by_version() for it in providers if isinstance(it, AsksByVersion)), None)
    if asked is None:
        raise _nobody_to_ask()
    ref = named_version(named)
    number = ref.version_id or 0
    answer = _answer(asked, row, number)
    if isinstance(answer, Found):
        check_model(ref, answer.card)
        again_in_s = schedule.hit_again_s(chance())
        return Matched(version_id=number, card=answer.card, again_in_s=again_in_s)
    if isinstance(answer, Trouble) and not isinstance(answer, GiveUp):
        return Matched(version_id=number, card=None, again_in_s=0.0, trouble=answer)
    if not anyway:
        raise answer if isinstance(answer, GiveUp) else _unknown_version(ref)
    card = _told_before(row, number) or _bare(ref)
    return Matched(version_id=number, card=card, again_in_s=schedule.hit_again_s(chance()))


def _told_before(row: FileRow, version_id: int) -> Card | None:
    """Give what another answer about the file told of the version, under the owner's name."""
    told = (row.card, *row.rivals)
    known = next((card for card in told if card is not None and card.version_id == version_id), None)
    return None if known is None else replace(known, by="owner", confidence=Confidence.OWNER)


def _answer(asked: Provider, row: FileRow, version_id: int) -> Found | Absent | Trouble:
    subject = Subject(
        hash=row.sha256 or "",
        digests=Digests(sha256=row.sha256 or "", tensors_sha256=row.tensors_sha256),
        header=None,
        size_bytes=row.size_bytes,
        version_id=version_id,
    )
    try:
        return dict(asked.ask([subject])).get(subject.hash, Absent())
    except Trouble as trouble:
        return trouble


def check_model(ref: ModelRef, card: Card) -> None:
    """Compare a version with the model that was named along with it.

    Raises:
        GiveUp: it belongs to another one.
    """
    if ref.model_id is not None and card.model_id is not None and ref.model_id != card.model_id:
        raise GiveUp(
            f"version {ref.version_id} belongs to model {card.model_id}, not to model {ref.model_id}",
            does="nothing was changed",
            you="name the version alone if you mean it, or look at the model's page again",
            scope=Scope.FILE,
            kind="other_model",
        )


def named_version(named: str) -> ModelRef:
    """Read what the owner typed; a version has to be in it.

    Raises:
        GiveUp: it cannot be read, or names a model and none of its versions.
    """
    try:
        ref = parse_model_name(named)
    except ValueError as error:
        what, _, rest = str(error).partition("; ")
        does, _, you = rest.partition("; ")
        raise GiveUp(what, does=does, you=you, scope=Scope.FILE, kind="unreadable_name") from None
    if ref.version_id is None:
        raise GiveUp(
            f"that names model {ref.model_id}, and no version of it",
            does="nothing was changed",
            you="choose the version on the model's page: its address then ends in ?modelVersionId=NUMBER",
            scope=Scope.FILE,
            kind="no_version",
        )
    return ref


def _bare(ref: ModelRef) -> Card:
    """Make a card of nothing but the owner's word."""
    return Card(
        provider="owner",
        by="owner",
        confidence=Confidence.OWNER,
        availability=Availability.UNKNOWN,
        model_id=ref.model_id,
        version_id=ref.version_id,
        not_downloadable_because="the site does not show this version",
    )


def _nobody_to_ask() -> AskOperator:
    return AskOperator(
        "no provider of the settings can be asked for a version",
        does="nothing was changed",
        you="put `- kind: civitai` into `providers`",
        scope=Scope.PROVIDER,
        kind="no_versions",
    )


def _unknown_version(ref: ModelRef) -> GiveUp:
    return GiveUp(
        f"the site does not know version {ref.version_id}",
        does="nothing was changed",
        you="check the number; `--anyway` keeps it, for a version that was deleted",
        scope=Scope.FILE,
        kind="unknown_version",
    )
