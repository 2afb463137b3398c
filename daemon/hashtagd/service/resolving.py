"""What sites say of the entries of a list: which file is meant, and where it can be fetched now."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeVar

from hashtagd.core.card import Card, Download, DownloadUrl
from hashtagd.core.digests import Digests
from hashtagd.core.manifest import Entry
from hashtagd.core.ports import Provider
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.service.lookup import by_version, no_answer

T = TypeVar("T")

_TRAINING: Final = "Training Data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of an entry after sites were asked."""

    #: as the list has it
    listed: Entry
    #: with what they said filled in; what the list says itself stays
    entry: Entry
    #: what they said, those first that give the file out; none: nobody knows it, or nobody could say
    cards: tuple[Card, ...] = ()
    #: why somebody could not say; those after that one were not asked
    trouble: Trouble | None = None

    @property
    def download(self) -> Download | None:
        """The file that is meant; None where no card shows it."""
        return next((it for card in self.cards if (it := meant_download(card, self.entry))), None)

    @property
    def urls(self) -> tuple[DownloadUrl, ...]:
        """The addresses to try, in order: those told now, then those of the list."""
        meant = (meant_download(card, self.entry) for card in self.cards)
        found: dict[str, DownloadUrl] = {}
        for url in (*(url for it in meant if it is not None for url in it.urls), *self.entry.urls):
            found.setdefault(url.url, url)
        return tuple(found.values())

    @property
    def why_not(self) -> str | None:
        """Why the sites do not give the file out, in words; None where one does, or nobody spoke."""
        reasons = [card.not_downloadable_because for card in self.cards]
        return None if None in reasons else next(iter(reasons), None)


def resolve(entries: Iterable[Entry], providers: Sequence[Provider]) -> Iterator[Told]:
    """Ask about entries by their hash, about those without one by their version; quick answers come first.

    A provider that knows the hash but gives nothing out leaves it to the next; silence ends the chain.
    """
    by_hash: dict[str, list[Entry]] = {}
    by_number: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.sha256 is not None:
            by_hash.setdefault(entry.sha256, []).append(entry)
        elif entry.version_id is not None:
            by_number.setdefault(entry.version_id, []).append(entry)
        else:
            yield Told(listed=entry, entry=entry)
    yield from _by_number(by_number, by_version(providers))
    yield from _by_hash(by_hash, [it for it in providers if it.origin is not None])


def meant_download(card: Card, entry: Entry) -> Download | None:
    """Choose the file of a version: by its hash, else by its number, else the one that is shown first."""
    if entry.sha256 is not None:
        return next((it for it in card.downloads if it.sha256 == entry.sha256), None)
    if entry.file_id is not None:
        return next((it for it in card.downloads if it.file_id == entry.file_id), None)
    return next((it for it in card.downloads if it.type != _TRAINING), None)


def filled(entry: Entry, card: Card) -> Entry:
    """Fill what the list does not say; its own words stay, its place too."""
    download = meant_download(card, entry)
    said: dict[str, Any] = {
        "model_id": card.model_id,
        "version_id": card.version_id,
        "model_name": card.model_name,
        "version_name": card.version_name,
        "kind": card.kind,
        "base_model": card.base_model,
    }
    if download is not None:
        said |= {"sha256": download.sha256, "file_id": download.file_id, "size_bytes": download.size_bytes}
    return replace(entry, **{name: value for name, value in said.items() if getattr(entry, name) is None})


def _by_number(wanted: Mapping[int, Sequence[Entry]], providers: Sequence[Provider]) -> Iterator[Told]:
    subjects = [
        Subject(hash=str(number), digests=None, header=None, size_bytes=0, version_id=number)
        for number in wanted
    ]
    for number, cards, trouble in _asked(subjects, providers, lambda card, _number: card.downloadable):
        for entry in wanted[int(number)]:
            yield _told(entry, cards, trouble)


def _by_hash(wanted: Mapping[str, Sequence[Entry]], providers: Sequence[Provider]) -> Iterator[Told]:
    subjects = [
        Subject(hash=it, digests=Digests(sha256=it), header=None, size_bytes=wanted[it][0].size_bytes or 0)
        for it in wanted
    ]
    for sha256, cards, trouble in _asked(subjects, providers, _gives_out):
        for entry in wanted[sha256]:
            yield _told(entry, cards, trouble)


def _gives_out(card: Card, sha256: str) -> bool:
    return card.downloadable and any(it.sha256 == sha256 and it.urls for it in card.downloads)


def _asked(
    subjects: Sequence[Subject], providers: Sequence[Provider], gives_out: Callable[[Card, str], bool]
) -> Iterator[tuple[str, tuple[Card, ...], Trouble | None]]:
    """Put subjects to each provider in turn, until one gives them out."""
    left = {subject.hash: subject for subject in subjects}
    kept: dict[str, tuple[Card, ...]] = {}
    for provider in providers:
        following: dict[str, Subject] = {}
        for key, answer in _answers(provider, list(left.values())):
            before = kept.get(key, ())
            if isinstance(answer, Trouble):
                yield key, before, answer
            elif isinstance(answer, Found) and gives_out(answer.card, key):
                yield key, (answer.card, *before), None
            else:
                if isinstance(answer, Found):
                    kept[key] = (*before, answer.card)
                following[key] = left[key]
        left = following
    for key in left:
        yield key, kept.get(key, ()), None


def _answers(
    provider: Provider, subjects: Sequence[Subject]
) -> Iterator[tuple[str, Found | Absent | Trouble]]:
    """Ask in portions; what got no answer has the reason for one, so that each subject is there once."""
    left = dict.fromkeys(subject.hash for subject in subjects)
    silent: Trouble | None = None
    for some in _portions(subjects, provider.batch_limit):
        try:
            for key, answer in provider.ask(some):
                if key in left:
                    del left[key]
                    yield key, answer
        except Trouble as trouble:
            silent = trouble
            break
    for key in left:
        yield key, silent or no_answer(provider.name)


def _portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _told(entry: Entry, cards: tuple[Card, ...], trouble: Trouble | None) -> Told:
    known = entry
    for card in cards:
        known = filled(known, card)
    return Told(listed=entry, entry=known, cards=cards, trouble=trouble)
