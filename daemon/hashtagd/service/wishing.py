"""From what the owner named to files that can be fetched: ask the site, pick the file, choose the place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hashtagd.core.card import Card, Confidence, Download
from hashtagd.core.filenames import numbered
from hashtagd.core.naming import parse_model_name
from hashtagd.core.picking import Choice, choice_in, pick_file, with_first
from hashtagd.core.place import Place
from hashtagd.core.ports import AsksByVersion, Provider, Versions
from hashtagd.core.transfer import Wanted
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.service.placing import Ground
from hashtagd.service.vacancies import Vacancies


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What became of one name."""

    named: str
    #: what shall be fetched; None: nothing has to be, or can be
    wanted: Wanted | None = None
    card: Card | None = None
    file: Download | None = None
    #: where the bytes lie already
    there: Place | None = None
    #: why it cannot be fetched
    trouble: Trouble | None = None


class Resolver:
    """Resolves names.

    Args:
        providers: the first that can be asked for versions is.
        vacancies: what is here already, or waited for.
        ground: where files may go.
    """

    def __init__(self, providers: Sequence[Provider], vacancies: Vacancies, ground: Ground) -> None:
        self._asked: Versions | None = next(
            (it.by_version() for it in providers if isinstance(it, AsksByVersion)), None
        )
        self._vacancies = vacancies
        self._ground = ground
        #: what names resolved before made, by what tells files apart
        self._wanted: dict[object, Wanted] = {}

    def resolve(self, named: str, choice: Choice) -> Resolved:
        """Resolve one name; troubles of this name stand in the result.

        Raises:
            Stopping: a stop was requested.
        """
        try:
            return self._resolved(named, choice)
        except Trouble as trouble:
            return Resolved(named=named, trouble=trouble)

    def _resolved(self, named: str, choice: Choice) -> Resolved:
        version_id = self._version(named)
        card = self._card(version_id)
        file = pick_file(card, choice.or_else(choice_in(named)))
        known = Resolved(named=named, card=card, file=file)
        here = None if file.sha256 is None else self._vacancies.lying(file.sha256)
        if here is not None:
            return replace(known, there=here)
        # the same bytes under two names are one file
        key = file.sha256 or (version_id, file.file_id)
        if key not in self._wanted:
            self._wanted[key] = wanted_of(self._free_place(card, file), card, file)
        return replace(known, wanted=self._wanted[key])

    def _version(self, named: str) -> int:
        try:
            ref = parse_model_name(named)
        except ValueError as error:
            raise _unreadable(error) from None
        if ref.version_id is not None:
            return ref.version_id
        asked = self._asked
        if asked is None:
            raise _nobody_to_ask()
        shown = asked.shown_first(ref.model_id or 0)
        if shown is None:
            raise _unknown(f"the site shows no version of model {ref.model_id}")
        return shown

    def _card(self, version_id: int) -> Card:
        if self._asked is None:
            raise _nobody_to_ask()
        subject = Subject(
            hash=str(version_id), digests=None, header=None, size_bytes=0, version_id=version_id
        )
        answer = dict(self._asked.ask([subject])).get(subject.hash, Absent())
        if isinstance(answer, Trouble):
            raise answer
        if not isinstance(answer, Found):
            raise _unknown(f"the site does not know version {version_id}, or does not show it")
        return answer.card

    def _free_place(self, card: Card, file: Download) -> Place:
        """Choose a place for a file; a name that is taken gets the version's number behind it."""
        place = self._ground.place_for(card, file)
        awaited = None if file.sha256 is None else self._vacancies.awaited(file.sha256)
        if awaited is not None and self._ground.to is None:
            return awaited
        marked = place.sibling(numbered(place.name, card.version_id or 0))
        apart = place.sibling(numbered(place.name, f"{card.version_id}-{file.file_id}"))
        free = next((it for it in (place, marked, apart) if self._is_free(it, file)), None)
        if free is None:
            raise _no_name_free(place)
        return free

    def _is_free(self, place: Place, file: Download) -> bool:
        return all(it.place != place for it in self._wanted.values()) and self._vacancies.is_free(place, file)


def wanted_of(place: Place, card: Card, file: Download) -> Wanted:
    """Make the wish for a file of a card; what is known of the version is known of its bytes."""
    known = None
    if file.sha256 is not None:
        known = replace(with_first(card, file), by="sha256", confidence=Confidence.EXACT)
    return Wanted(place=place, sha256=file.sha256, size_bytes=file.size_bytes, sources=file.urls, card=known)


def _unreadable(error: ValueError) -> GiveUp:
    what, _, rest = str(error).partition("; ")
    return GiveUp(
        what,
        does="nothing is fetched",
        you=rest.partition("; ")[2] or "name it otherwise",
        scope=Scope.FILE,
        kind="unreadable_name",
    )


def _unknown(what: str) -> GiveUp:
    return GiveUp(
        what,
        does="nothing is fetched",
        you="check the number on the model's page; `hashtagd restore` finds deleted models by their hash",
        scope=Scope.FILE,
        kind="unknown_version",
    )


def _no_name_free(place: Place) -> AskOperator:
    return AskOperator(
        f"other files lie, or are waited for, at {place.root}/{place.relpath} and at the names beside it",
        does="nothing is fetched, and nothing is replaced",
        you="move one of them away, or choose another folder with `--to`",
        scope=Scope.FILE,
        kind="place_taken",
    )


def _nobody_to_ask() -> AskOperator:
    return AskOperator(
        "no provider of the settings can be asked for versions",
        does="nothing is fetched",
        you="name `civitai` among `providers`",
        scope=Scope.PROVIDER,
        kind="no_versions",
    )
