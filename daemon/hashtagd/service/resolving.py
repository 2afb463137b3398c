"""From what the owner named to files that can be fetched: ask the site, pick the file, choose the place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.card import Card, Confidence, Download
from hashtagd.core.filenames import numbered
from hashtagd.core.naming import parse_model_name
from hashtagd.core.picking import Choice, pick_file, with_first
from hashtagd.core.place import Place
from hashtagd.core.ports import AsksByVersion, Provider, Versions
from hashtagd.core.transfer import Wanted
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.service.placing import Ground


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
        catalog: what is here already.
        ground: where files may go.
    """

    def __init__(self, providers: Sequence[Provider], catalog: Catalog, ground: Ground) -> None:
        self._asked: Versions | None = next(
            (it.by_version() for it in providers if isinstance(it, AsksByVersion)), None
        )
        self._catalog = catalog
        self._ground = ground
        #: places that names resolved before go to
        self._taken: set[Place] = set()

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
        file = pick_file(card, choice)
        known = Resolved(named=named, card=card, file=file)
        here = None if file.sha256 is None else self._here(file.sha256)
        if here is not None:
            return replace(known, there=here)
        place = self._free_place(card, file)
        self._taken.add(place)
        return replace(known, wanted=wanted_of(place, card, file))

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

    def _here(self, sha256: str) -> Place | None:
        rows = self._catalog.reports.show(sha256)
        roots = {folder.name for folder in self._ground.plan.folders}
        return next(
            (
                Place(root=row.root, relpath=row.relpath)
                for row in rows
                if row.sha256 == sha256 and row.root in roots and row.state != "gone"
            ),
            None,
        )

    def _free_place(self, card: Card, file: Download) -> Place:
        """Choose a place where nothing lies; a name that is taken gets the version's number behind it."""
        place = self._ground.place_for(card, file)
        marked = place.sibling(numbered(place.name, card.version_id or 0))
        apart = place.sibling(numbered(place.name, f"{card.version_id}-{file.file_id}"))
        return next((it for it in (place, marked, apart) if not self._is_taken(it)), place)

    def _is_taken(self, place: Place) -> bool:
        path = self._ground.plan.path_of(place.root, place.relpath)
        return place in self._taken or (path is not None and (path.is_symlink() or path.exists()))


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


def _nobody_to_ask() -> AskOperator:
    return AskOperator(
        "no provider of the settings can be asked for versions",
        does="nothing is fetched",
        you="name `civitai` among `providers`",
        scope=Scope.PROVIDER,
        kind="no_versions",
    )
