"""Ask now, write nothing: what `hashtagd lookup` does. Gates and their budget are respected all the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hashtagd.core.card import Card
from hashtagd.core.chain import Chain
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.header import Header, Incomplete, NotAModel, Whole
from hashtagd.core.joining import SITE, joined
from hashtagd.core.place import Place, Stamp
from hashtagd.core.ports import AsksByTensors, AsksByVersion, Clock, Pause, Provider
from hashtagd.core.troubles import GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Absent, Advance, Claim, Digested, Found, Outcome, Park, Stage, Subject
from hashtagd.service.randomness import chance
from hashtagd.stages.digest import DigestOptions, DigestStage
from hashtagd.stages.opening import HEADERED_EXTENSIONS, is_headered, opened
from hashtagd.stages.settle import read_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the chain of providers said of one subject."""

    subject: Subject
    #: None: nobody knows it, or nobody could say
    card: Card | None
    #: why somebody could not say; the providers after that one were not asked
    trouble: Trouble | None


def look_up(subjects: Sequence[Subject], providers: Sequence[Provider]) -> Iterator[Looked]:
    """Put the subjects to each provider in turn, until one knows them; silence ends a subject's chain.

    Who does not know the whole file is asked about its tensors before the file speaks for itself.
    """
    open_subjects = {subject.hash: subject for subject in subjects}
    denied: set[str] = set()
    for provider in _with_second_chance(providers):
        if not open_subjects:
            return
        silent: Trouble | None = None
        absent: dict[str, Subject] = {}
        try:
            for sha256, answer in provider.ask(list(open_subjects.values())):
                subject = open_subjects.pop(sha256, None)
                if subject is None:
                    continue
                if isinstance(answer, Absent):
                    absent[sha256] = subject
                else:
                    yield _looked(subject, answer, is_denied=sha256 in denied)
        except Trouble as trouble:
            silent = trouble
        for subject in open_subjects.values():
            yield Looked(subject=subject, card=None, trouble=silent or no_answer(provider.name))
        open_subjects = absent
        if provider.name == SITE:
            denied |= absent.keys()
    for subject in open_subjects.values():
        yield Looked(subject=subject, card=None, trouble=None)


def _looked(subject: Subject, answer: Found | Trouble, *, is_denied: bool) -> Looked:
    if isinstance(answer, Trouble):
        return Looked(subject=subject, card=None, trouble=answer)
    return Looked(subject=subject, card=joined([answer.card], is_denied=is_denied), trouble=None)


def _with_second_chance(providers: Sequence[Provider]) -> list[Provider]:
    """Put those who can be asked about tensors behind all sites, and before what needs none."""
    sites = [it for it in providers if it.origin is not None]
    chances = [_ByTensors(it.by_tensors()) for it in sites if isinstance(it, AsksByTensors)]
    first = next((index for index, it in enumerate(providers) if it.origin is None), len(providers))
    if any(isinstance(it, AsksByTensors) for it in providers[first:]):
        return list(providers)  # the owner wants the file to speak first
    return [*providers[:first], *chances, *providers[first:]]


class _ByTensors:
    """Asks about the tensors of files in place of the whole; answers are those of the files."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.name = f"{provider.name} (tensors)"
        self.slow = provider.slow
        self.reads_headers = provider.reads_headers
        self.batch_limit = provider.batch_limit
        self.origin = provider.origin

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every subject once; one without tensors is one that nobody knows."""
        by_tensors: dict[str, list[Subject]] = {}
        for subject in subjects:
            text = subject.digests.tensors_sha256 if subject.digests else None
            if text in (None, SHA256_OF_NOTHING):
                yield subject.hash, Absent()
            else:
                by_tensors.setdefault(str(text), []).append(subject)
        asked = [replace(some[0], hash=text) for text, some in by_tensors.items()]
        for text, answer in self._provider.ask(asked) if asked else ():
            yield from ((subject.hash, answer) for subject in by_tensors[text])


def by_version(providers: Sequence[Provider]) -> list[Provider]:
    """Give those that can be asked for a version by its number."""
    return [it.by_version() for it in providers if isinstance(it, AsksByVersion)]


def no_answer(provider: str) -> TryLater:
    """Say that a provider was silent about a hash."""
    return TryLater(
        f"{provider} answered without a word about this hash",
        does="that counts as no answer, and nobody else was asked",
        you="ask again later",
        scope=Scope.FILE,
        kind="no_answer",
    )


def _not_to_be_asked(name: str, verdict: Incomplete | NotAModel) -> GiveUp:
    if isinstance(verdict, NotAModel):
        looks = f", it looks like {verdict.looks_like}" if verdict.looks_like else ""
        what, you = f"{name} is not a safetensors file{looks}: {verdict.rule}", "download the model again"
    else:
        declared = f" of {verdict.declared_bytes}" if verdict.declared_bytes is not None else ""
        what = f"{name} is incomplete: {verdict.present_bytes}{declared} bytes are there"
        you = "let the download finish, or download the model again"
    return GiveUp(what, does="nobody is asked about it", you=you, scope=Scope.FILE, kind="not_whole")


class _OneFile:
    """A locator for a file that need not lie in any root."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def locate(self, place: Place) -> Path:  # noqa: ARG002 - the port
        return self._path


def subject_of(path: Path, *, clock: Clock, pause: Pause) -> Subject | Outcome:
    """Hash a file as the digest stage does; an outcome in place of a subject says why that failed.

    Raises:
        OSError: the file cannot be opened.
    """
    with opened(path) as file:
        verdict = read_verdict(file.fd, file.status.st_size)
        stamp = Stamp(
            size_bytes=file.status.st_size, mtime_ns=file.status.st_mtime_ns, inode=file.status.st_ino
        )
    place = Place(root="-", relpath=path.name)
    if is_headered(place, HEADERED_EXTENSIONS) and isinstance(verdict, Incomplete | NotAModel):
        return Park(trouble=_not_to_be_asked(path.name, verdict))
    header: Header | None = verdict.header if isinstance(verdict, Whole) else None
    claim = Claim(
        file_id=0,
        fence=0,
        stage=Stage.DIGEST,
        place=place,
        stamp=stamp,
        attempts=1,
        still_since=clock.now(),
        first_seen_at=clock.now(),
        header=header,
    )
    stage = DigestStage(
        locator=_OneFile(path),
        clock=clock,
        pause=pause,
        chain=Chain(),
        options=DigestOptions(workers=1),
        chance=chance,
    )
    try:
        (outcome,) = stage.run([claim])
    finally:
        stage.close()
    if isinstance(outcome, Advance) and isinstance(outcome.facts, Digested):
        return Subject(
            hash=outcome.facts.digests.sha256,
            digests=outcome.facts.digests,
            header=header,
            size_bytes=stamp.size_bytes,
        )
    return outcome


def sha256_of(path: Path, *, clock: Clock, pause: Pause) -> str | None:
    """Hash a file as `subject_of` does; None where that cannot be done."""
    try:
        found = subject_of(path, clock=clock, pause=pause)
    except OSError:
        return None
    return found.hash if isinstance(found, Subject) else None
