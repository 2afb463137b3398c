"""Moves make-believe files through a catalog: what watch and the stages would do, without a disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.notes import Noted
from hashtagd.catalog.questions import Wanted
from hashtagd.core.card import Availability, Card, Confidence
from hashtagd.core.chain import Chain, Link
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Sighting, Stamp
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, TryLater
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Claim,
    Digested,
    Found,
    HashKind,
    Outcome,
    Publication,
    Published,
    Put,
    QuestionClaim,
    QuestionKey,
    Settled,
    Stage,
)
from support.clock import FakeClock

ROOT = "loras"
HEADER = Header(length_bytes=64, tensor_count=2, metadata={"ss_output_name": "x"})
BUSY = TryLater("the file is busy", does="waits", you="wait", scope=Scope.FILE, kind="busy", after_s=5.0)
BROKEN = GiveUp("no model", does="leaves it", you="replace it", scope=Scope.FILE, kind="not_a_model")
CLOSED = TryLater("the site is away", does="waits", you="wait", scope=Scope.PROVIDER, kind="outage")
REFUSED = AskOperator("no permission", does="waits", you="chmod", scope=Scope.FILE, kind="permission")


def place(relpath: str, root: str = ROOT) -> Place:
    """Name a place."""
    return Place(root=root, relpath=relpath)


def stamp_of(relpath: str, version: int = 0) -> Stamp:
    """Make a stamp that is the same for the same name and version."""
    text = f"{relpath}:{version}".encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:6], "big")
    return Stamp(size_bytes=1000 + version, mtime_ns=number * 1000, inode=number + 1)


def sha256(text: str) -> str:
    """Hash a text as if it were the bytes of a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def digests(text: str) -> Digests:
    """Make the hashes of a make-believe file."""
    return Digests(sha256=sha256(text), tensors_sha256=sha256(f"tensors of {text}"), crc32="0badcafe")


def question(text: str, provider: str = "civitai", kind: HashKind = HashKind.SHA256) -> QuestionKey:
    """Make the question that a provider is asked about a make-believe file."""
    known = digests(text)
    asked = known.sha256 if kind is HashKind.SHA256 else known.tensors_sha256
    return QuestionKey(hash_kind=kind, hash=str(asked), provider=provider)


def put(*keys: QuestionKey) -> tuple[Put, ...]:
    """Put questions, those about tensors in the background."""
    return tuple(Put(key=key, background=key.hash_kind is HashKind.TENSORS) for key in keys)


def chain(*names: str, slow: Sequence[str] = (), by_tensors: Sequence[str] = ()) -> Chain:
    """Make a chain of providers."""
    return Chain(tuple(Link(name=it, slow=it in slow, by_tensors=it in by_tensors) for it in names))


def card(name: str = "A model", **changes: object) -> Card:
    """Make a card."""
    plain = Card(
        provider="civitai",
        by="sha256",
        confidence=Confidence.EXACT,
        availability=Availability.PUBLIC,
        model_id=7,
        version_id=70,
        model_name=name,
        kind="LORA",
        base_model="Illustrious",
        trained_words=("one", "two"),
        raw={"name": name},
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # tests name real fields


def written(relpath: str, content: str, root: str = ROOT) -> Publication:
    """Make the record of an artifact that is on disk."""
    return Publication(
        writer="json", place=place(relpath, root), intended_sha256=None, written_sha256=sha256(content)
    )


def intended(relpath: str, content: str, root: str = ROOT) -> Publication:
    """Make the record of an artifact that is about to be written."""
    return Publication(
        writer="json", place=place(relpath, root), intended_sha256=sha256(content), written_sha256=None
    )


class Library:
    """One catalog and its clock."""

    def __init__(self, catalog: Catalog, clock: FakeClock) -> None:
        self.catalog = catalog
        self.clock = clock

    def saw(self, relpath: str, stamp: Stamp | None, root: str = ROOT) -> Sighting:
        """Make a sighting of now."""
        now = self.clock.now()
        return Sighting(place=place(relpath, root), stamp=stamp, seen_at=now, still_since=now)

    def note(self, *relpaths: str, version: int = 0, root: str = ROOT) -> Noted:
        """Note that files are there."""
        return self.catalog.note(self.saw(it, stamp_of(it, version), root) for it in relpaths)

    def lose(self, *relpaths: str, root: str = ROOT) -> Noted:
        """Note that files are not there."""
        return self.catalog.note(self.saw(it, None, root) for it in relpaths)

    def move(self, old: str, new: str, root: str = ROOT, new_root: str | None = None) -> Noted:
        """Note that a file lies elsewhere now."""
        lost = self.saw(old, None, root)
        return self.catalog.note([lost, self.saw(new, stamp_of(old), new_root or root)])

    def claim(self, stage: Stage, root: str = ROOT, limit: int = 1000) -> list[Claim]:
        """Claim all due files of one stage."""
        return self.catalog.claim(stage, [root], limit)

    def claim_one(self, stage: Stage, root: str = ROOT) -> Claim:
        """Claim the only file that is due."""
        (claim,) = self.claim(stage, root)
        return claim

    def settle(self, root: str = ROOT) -> list[Claim]:
        """Settle what is due."""
        claims = self.claim(Stage.SETTLE, root)
        assert all(self.catalog.apply([(it, Advance(facts=Settled(header=HEADER))) for it in claims]))
        return claims

    def digest(
        self, root: str = ROOT, text: str | None = None, provider: str | None = "civitai"
    ) -> list[Claim]:
        """Hash what is due; the bytes are the given text, or the path."""
        claims = self.claim(Stage.DIGEST, root)
        assert all(
            self.catalog.apply([(it, self._digested(text or it.place.relpath, provider)) for it in claims])
        )
        return claims

    @staticmethod
    def _digested(text: str, provider: str | None) -> Outcome:
        asked = () if provider is None else put(question(text, provider))
        return Advance(facts=Digested(digests=digests(text), questions=asked))

    def publish(self, root: str = ROOT, publications: Sequence[Publication] = ()) -> list[Claim]:
        """Publish what is due."""
        claims = self.claim(Stage.PUBLISH, root)
        done = Advance(facts=Published(publications=tuple(publications)))
        assert all(self.catalog.apply([(it, done) for it in claims]))
        return claims

    def ask(self, provider: str = "civitai", kind: HashKind = HashKind.SHA256) -> list[QuestionClaim]:
        """Claim all questions of a round."""
        return self.catalog.claim_questions(Wanted(provider=provider, kind=kind, limit=1000))

    def answer(
        self,
        found: Card | None,
        provider: str = "civitai",
        then: QuestionKey | None = None,
        again_in_s: float = 3600.0,
    ) -> list[QuestionClaim]:
        """Answer all questions of a round alike."""
        claims = [*self.ask(provider), *self.ask(provider, HashKind.TENSORS)]
        said = Absent() if found is None else Found(card=found)
        outcome = Advance(
            facts=Answered(answer=said, again_in_s=again_in_s, then=() if then is None else put(then))
        )
        assert all(self.catalog.apply_answers([(it, outcome) for it in claims]))
        return claims

    def publish_whole(self, relpath: str, found: Card | None = None, text: str | None = None) -> None:
        """Bring one new file all the way to its first publishing."""
        self.note(relpath)
        self.settle()
        self.digest(text=text)
        self.answer(found)
        self.publish()

    def state(self, relpath: str, root: str = ROOT) -> str:
        """Tell the state word of a file."""
        (row,) = self.catalog.reports.show(place(relpath, root))
        return row.state
