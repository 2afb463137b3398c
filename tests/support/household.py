"""A whole daemon without threads: real roots, scans, stages, writers and catalog, turn by turn.

Only the site and the host of pictures are made up.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.catalog.tables import event, file, folder, publication, question
from hashtagd.core import schedule
from hashtagd.core.card import Card
from hashtagd.core.chain import Chain, Link
from hashtagd.core.ports import Writer
from hashtagd.core.work import Absent, Claim, Found, Outcome, Publication, Stage, Subject
from hashtagd.service.leftovers import Leftovers
from hashtagd.service.sidecars import unpublish
from hashtagd.service.survey import survey_root
from hashtagd.stages.ask import AskStage
from hashtagd.stages.digest import DigestOptions, DigestStage
from hashtagd.stages.ground import Ground
from hashtagd.stages.publish import PublishStage
from hashtagd.stages.settle import SettleOptions, SettleStage
from hashtagd.watch.filters import Kind, companions_of
from hashtagd.watch.roots import RootFolder, Roots
from hashtagd.writers import make_writer
from support.lives import address, card_of
from support.moments import Moments
from support.publish_fakes import PowerCut, ScriptedFetcher, png
from support.safetensors import build
from support.stage_fakes import ScriptedPause, StillClock
from support.writer_samples import WRITERS

ROOTS: Final = ("loras", "more")
#: models by number: the site knows two with pictures and one without, and does not know the last
NUMBERS: Final = (1, 2, 3, 4)
PICTURELESS: Final = 3
UNKNOWN: Final = 4
#: longer than a sweep, a lease, or a file that somebody wrote at waits
LATER_S: Final = 61.0
#: more than any chain of follow-ups takes
_TURNS: Final = 16
#: what is due, asked without all that a claim takes: most of the time nothing is
_DUE: Final = (
    "select distinct stage from file where due_at <= :now"
    " union select 'ask' from question where due_at <= :soon"
)

Act = Callable[[], None]


@cache
def content_of(number: int) -> bytes:
    """Give the bytes of a model; all are of one length."""
    return build({"modelspec.title": f"Title {number}"}, data=f"model {number}".encode())


@cache
def sha256_of(number: int) -> str:
    """Give the SHA-256 of a model."""
    return sha256(content_of(number)).hexdigest()


class Site:
    """Knows some models, and calls them otherwise after each piece of news."""

    name = "civitai"
    origin = "https://civitai.com"
    slow = False
    reads_headers = False
    batch_limit = 100

    def __init__(self) -> None:
        self.told = 0
        self.cards = {sha256_of(it): _card(it) for it in NUMBERS if it != UNKNOWN}

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent]]:
        for subject in subjects:
            card = self.cards.get(subject.hash)
            yield subject.hash, Absent() if card is None else Found(card=card)

    def tell(self) -> None:
        """Call every model by another name."""
        self.told += 1
        self.cards = {
            sha256: replace(card, model_name=f"Named {self.told}") for sha256, card in self.cards.items()
        }


class Household:
    """One folder with roots and a tree of cards, and a daemon for it."""

    def __init__(self, top: Path, state: Path, clock: StillClock) -> None:
        self.top = top
        self.clock = clock
        self.catalog = Catalog.open(
            f"sqlite:///{state}/c.db", clock=clock, owner="me", chance=lambda: 0.5, database_clock=False
        )
        self._plain = sqlite3.connect(state / "c.db", isolation_level=None)
        self.moments = Moments(below=top, spared=frozenset({"os.setxattr", "os.removexattr"}))
        self.fetcher = ScriptedFetcher(during=self.moments.tell)
        self.site = Site()
        self._names = iter(range(1, 1 << 60))
        self._folders = [RootFolder(name=name, path=top / name) for name in ROOTS]
        for root in self._folders:
            root.path.mkdir(parents=True)
        self._make_stages(Roots(self._folders), ScriptedPause())

    def _make_stages(self, roots: Roots, pause: ScriptedPause) -> None:
        chain = Chain((Link(name=self.site.name),))
        common: dict[str, Any] = {"locator": roots, "clock": self.clock, "pause": pause, "chain": chain}
        self._pause = pause
        self._settle = SettleStage(
            **common,
            options={name: SettleOptions(quiet_s=10.0) for name in ROOTS},
            companions=companions_of,
            chance=lambda: 0.5,
        )
        self._digest = DigestStage(**common, options=DigestOptions(workers=1), chance=lambda: 0.5)
        self._ask = AskStage(provider=self.site, chain=chain, clock=self.clock, chance=lambda: 0.5)
        writing: dict[str, Any] = {
            "writers": {None: self._make_writers()},
            "locator": roots,
            "clock": self.clock,
            "is_model": lambda place: self._folders[0].names.kind_of(place.relpath) is Kind.OURS,
            "token": lambda: f"{next(self._names):016x}",
            "calls": self.moments.calls(),
        }
        self._publish = PublishStage(**writing, ledger=self, fetcher=self.fetcher, pause=pause)
        self._ground = Ground(**writing)

    def begin(self) -> None:
        """Forget everything and clear the disk; what the site said stays where it is still true."""
        self._leftovers = Leftovers({None: [self.top / "cards"]}, self.clock, tuple)
        # what is prepared now is no leftover of a killed process
        self.clock.moment = datetime.now(UTC)
        for path in self.top.iterdir():
            shutil.rmtree(path) if path.name not in ROOTS else _clear(path)
        self.fetcher.pages = {address(it): (png(it), "image/png") for it in NUMBERS}
        stale = [event, publication, file, folder]
        if self.site.told:
            self.site = Site()
            stale.append(question)
            self._ask._provider = self.site
        self.catalog.database.write(lambda it, _now: [it.execute(table.delete()) for table in stale])

    def close(self) -> None:
        """Let go of connections, buffers and threads."""
        self._digest.close()
        self._plain.close()
        self.catalog.close()

    # ---- turns

    def look(self, roots: Collection[str] = ROOTS) -> None:
        """Scan roots, sweep what killed processes left, and bring what is new as far as to be published."""
        for root in self._folders:
            if root.name in roots:
                survey = survey_root(root, self.catalog, self.clock, self._pause)
                self._leftovers.sweep(root, survey.report.unfinished)
        self.read()

    def read(self) -> int:
        """Settle and hash what is due, and ask about it; returns how many rows there were."""
        done = 0
        for stage, run in ((Stage.SETTLE, self._settle.run), (Stage.DIGEST, self._digest.run)):
            if stage in self._due():
                claims = self.catalog.claim(stage, ROOTS, 200)
                self._keep(claims, run(claims))
                done += len(claims)
        if "ask" in self._due():
            questions = self.catalog.claim_questions(Wanted(provider=self.site.name, limit=100))
            assert all(self.catalog.apply_answers(list(self._ask.run(questions))))
            done += len(questions)
        return done

    def publish(self, at: int = -1, act: Act | None = None) -> int:
        """Publish what is due; `act` happens at a moment of it, or before the outcomes are kept."""
        if not {Stage.PUBLISH, Stage.SWEEP} & self._due():
            return 0
        claims = self.catalog.claim(Stage.PUBLISH, ROOTS, 16)
        worn = [claim.place for claim in claims if claim.attempts > schedule.MAX_ATTEMPTS]
        assert not worn, f"these come to no end: {worn}"
        with self.moments.listen(at, act):
            outcomes = self._publish.run(claims)
        self._keep(claims, outcomes)
        return len(claims)

    def publish_all(self, at: int = -1, act: Act | None = None) -> None:
        """Publish every file once, as after a change of the settings."""
        self.catalog.wake_publish(ROOTS)
        self.publish(at, act)

    def killed(self, at: int) -> None:
        """Publish every file, until the process dies; the next one takes over."""
        self.catalog.wake_publish(ROOTS)
        with suppress(PowerCut):
            self.publish(at, self.moments.die)
        self.catalog.release_own([self.catalog.owner])
        # what the kernel does for a process that ended
        for fd in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):
                if fd.readlink().is_relative_to(self.top):
                    os.close(int(fd.name))

    def unpublish(self, at: int, act: Act) -> None:
        """Take everything back."""
        with self.moments.listen(at, act):
            list(unpublish(self.catalog, self._ground, ROOTS))

    def rest(self) -> None:
        """Work and wait until nothing is due any more.

        Raises:
            AssertionError: it never ends.
        """
        for _ in range(_TURNS):
            if self.read() + self.publish() == 0:
                if not self._due(ever=True):
                    return
                self.clock.advance(LATER_S)
        raise AssertionError("the household never comes to rest")

    def news(self) -> None:
        """Let the site call its models otherwise, and hear of it."""
        self.site.tell()
        self.catalog.ask_again()
        self.read()

    def intend(self, intentions: Sequence[tuple[Claim, Sequence[Publication]]]) -> frozenset[int]:
        """Be the ledger: before and after it, there is a moment."""
        self.moments.tell("intend")
        held = self.catalog.intend(intentions)
        self.moments.tell()
        return held

    # ---- parts

    def _due(self, *, ever: bool = False) -> set[str]:
        """Name the stages that have work now; or ever, questions aside."""
        now = self.clock.now().replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        moments = {"now": "9999", "soon": ""} if ever else {"now": now, "soon": now}
        return {row[0] for row in self._plain.execute(_DUE, moments).fetchall()}

    def _keep(self, claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> None:
        self.catalog.apply(list(zip(claims, outcomes, strict=True)))

    def _make_writers(self) -> list[Writer]:
        """Make all there are; every picture is wanted, and the tree lies beside the roots."""
        given = WRITERS | {"preview": {"max_nsfw_level": 32}}
        tree = str(self.top / "cards")
        return [
            make_writer(name, {key: tree if key == "path" else value for key, value in options.items()})
            for name, options in given.items()
        ]


def _card(number: int) -> Card:
    card = replace(card_of(sha256_of(number), number), page_url=f"https://civitai.com/models/{number}")
    return replace(card, previews=()) if number == PICTURELESS else card


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / "readme.txt").write_bytes(b"a root is never bare")
