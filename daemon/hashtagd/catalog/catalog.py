"""The catalog: one door to the memory that lanes, scouts, the command line and the page share.

Every method is one short transaction (`note` one for some hundred sightings); any thread may call it. All of
them raise TryLater with scope `daemon` when the store is away or held, and AskOperator when its disk or file
needs a person.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import select

from hashtagd.catalog import (
    answers,
    claims,
    notes,
    outcomes,
    publications,
    questions,
    stories,
    wakes,
)
from hashtagd.catalog.connecting import is_there, open_database
from hashtagd.catalog.engine import Database
from hashtagd.catalog.folders import ScanMemory
from hashtagd.catalog.gates import Gates
from hashtagd.catalog.migrations import is_made, migrate
from hashtagd.catalog.notes import Noted
from hashtagd.catalog.peeks import Peeks
from hashtagd.catalog.questions import Wanted
from hashtagd.catalog.reports import Reports
from hashtagd.catalog.rows import chunks
from hashtagd.catalog.storable import is_storable
from hashtagd.catalog.transfers import Transfers
from hashtagd.catalog.wishes import Wishes
from hashtagd.core.chain import Chain
from hashtagd.core.place import Place, Sighting
from hashtagd.core.ports import Clock
from hashtagd.core.transfer import TransferClaim
from hashtagd.core.work import Claim, HashKind, Outcome, Publication, QuestionClaim, Stage, Waiting


class Catalog:
    """The verbs of the catalog. Use `open`.

    Args:
        database: connected and migrated.
        owner: the name under which this process holds leases; new for each process.
        chance: a random number in [0, 1).
        quiet_s: by root: how long after a seen change settle looks again; 10 s for roots not named.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        chance: Callable[[], float],
        quiet_s: Mapping[str, float] | None = None,
    ) -> None:
        self.database = database
        self.owner = owner
        self.reports = Reports(database)
        self.scans = ScanMemory(database)
        self.wishes = Wishes(database)
        self.peeks = Peeks(database)
        self.transfers = Transfers(database, owner)
        self._chance = chance
        self._quiet_s = dict(quiet_s or {})

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Clock,
        owner: str,
        chance: Callable[[], float],
        quiet_s: Mapping[str, float] | None = None,
        database_clock: bool = True,
    ) -> Self:
        """Connect and bring the store to the shape this code knows; `database_clock` as in `open_database`.

        Raises:
            AskOperator: scope `daemon`: address, file or shape cannot be used; nothing was overwritten.
            TryLater: scope `daemon`: the database is away.
        """
        database = open_database(url, clock=clock, database_clock=database_clock)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database, owner=owner, chance=chance, quiet_s=quiet_s)

    @classmethod
    def open_made(
        cls, url: str, *, clock: Clock, owner: str, chance: Callable[[], float], database_clock: bool = True
    ) -> Self | None:
        """Connect to a store that is there, and change nothing of its shape; None: there is none yet.

        Raises:
            AskOperator: as `open`, or the store has the shape of an older hashtagd.
            TryLater: as `open`.
        """
        if not is_there(url):
            return None
        database = open_database(url, clock=clock, database_clock=database_clock)
        made = False
        try:
            made = is_made(database)
        finally:
            if not made:
                database.close()
        return cls(database, owner=owner, chance=chance) if made else None

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def gates(self, budgets: Mapping[str, int], default_rpm: int) -> Gates:
        """Make the gatekeeper that shares this store; budgets are requests a minute by origin."""
        return Gates(self.database, chance=self._chance, budgets=budgets, default_rpm=default_rpm)

    # ---- what the disks say

    def note(self, sightings: Iterable[Sighting]) -> Noted:
        """Compare what was seen with what is known and write the differences. Repeats: nothing is written.

        Of several sightings of one place within some hundred the last counts. Names that no store can keep
        are passed over.
        """
        noted = Noted()
        for chunk in chunks(sightings):
            latest = {it.place: it for it in chunk if is_storable(it.place)}
            # what is missing first: a file that moved is then found at its new place with its age
            ordered = sorted(latest.values(), key=lambda it: it.stamp is not None)
            noted += self._note(ordered)
        return noted

    def _note(self, sightings: Sequence[Sighting]) -> Noted:
        drawn = self.database.read(lambda it, now: notes.plan(it, now, sightings, lock=False))
        if drawn.is_empty:
            return drawn.noted
        return self.database.write(lambda it, now: notes.note(it, now, sightings))

    # ---- work on files

    def claim(
        self, stage: Stage, roots: Sequence[str], limit: int, *, only: Collection[Place] | None = None
    ) -> list[Claim]:
        """Lease due files of these roots (`only`: at these places), those that have waited longest first."""
        if not self.database.read(lambda it, now: claims.is_anything_due(it, now, stage, roots)):
            return []
        return self.database.write(
            lambda it, now: claims.take_files(
                it, now, owner=self.owner, stage=stage, roots=roots, limit=limit, only=only
            )
        )

    def apply(self, results: Sequence[tuple[Claim, Outcome]]) -> list[bool]:
        """Write outcomes in one transaction; tells for each whether its claim still held."""
        if not results:
            return []
        return self.database.write(lambda it, now: outcomes.apply_outcomes(it, now, results, self._quiet_s))

    def intend(self, intentions: Sequence[tuple[Claim, Sequence[Publication]]]) -> frozenset[int]:
        """Commit what is about to be written; returns the ids of the files whose claim still holds."""
        return self.database.write(lambda it, _now: publications.intend(it, intentions))

    def renew(
        self,
        file_claims: Sequence[Claim],
        question_claims: Sequence[QuestionClaim] = (),
        transfer_claims: Sequence[TransferClaim] = (),
    ) -> None:
        """Lengthen the leases of claims that still hold."""
        self.database.write(
            lambda it, now: claims.renew(it, now, file_claims, question_claims, transfer_claims)
        )

    def release_own(self, dead_owners: Sequence[str]) -> int:
        """End the leases of processes that are known to be dead; what they tried counts."""
        if not dead_owners:
            return 0
        return self.database.write(lambda it, _now: claims.release(it, dead_owners))

    def owners(self) -> frozenset[str]:
        """List who holds leases."""
        return self.database.read(lambda it, _now: claims.lease_owners(it))

    def next_due(self, stages: Sequence[Stage], roots: Sequence[str]) -> datetime | None:
        """Find when the next of these files can be claimed, by our clock; None when none is planned."""
        return self._local(self.database.read(lambda it, _now: claims.next_due(it, stages, roots)))

    def digesting(self, roots: Sequence[str]) -> bool:
        """Tell whether files of these roots are being settled or hashed, or could be, right now."""
        return self.database.read(lambda it, now: claims.is_digesting(it, now, roots))

    # ---- questions

    def claim_questions(self, wanted: Wanted) -> list[QuestionClaim]:
        """Lease questions for a round, if one is due; those that may be pulled in come along."""
        if self.waiting(wanted.provider, wanted.kind).due == 0:
            return []
        return self.database.write(
            lambda it, now: questions.take_questions(it, now, owner=self.owner, wanted=wanted)
        )

    def put_missing_questions(self, chain: Chain) -> int:
        """Put the first questions about every hash that lacks them. Writes only if there are any."""
        if not self.database.read(lambda it, _now: questions.is_any_missing(it, chain)):
            return 0
        return self.database.write(lambda it, now: questions.put_missing(it, now, chain))

    def pass_on_questions(self, chain: Chain) -> int:
        """Ask the next of the chain about what a provider does not know, or was silent about for a week.

        Returns how many questions were put; writes only if there are any.
        """
        puts = self.database.read(lambda it, now: questions.puts_passed_on(it, now, chain))
        return self.database.write(lambda it, now: questions.put_questions(it, now, puts)) if puts else 0

    def apply_answers(self, results: Sequence[tuple[QuestionClaim, Outcome]]) -> list[answers.Kept]:
        """Write what was said in one transaction, and make the files due that it concerns.

        Tells for each whether its claim still held, and of which newer version nobody was told before.
        """
        if not results:
            return []
        return self.database.write(lambda it, now: answers.apply_answers(it, now, results))

    def waiting(self, provider: str, kind: HashKind = HashKind.SHA256) -> Waiting:
        """Count the due questions of a kind to a provider. Moments: by our clock."""
        found = self.database.read(lambda it, now: questions.waiting(it, now, provider, kind))
        return replace(found, oldest_due_at=self._local(found.oldest_due_at))

    def next_question_due(self, provider: str, kind: HashKind = HashKind.SHA256) -> datetime | None:
        """Find when the next question can be claimed, by our clock; None when none is planned."""
        return self._local(
            self.database.read(lambda it, _now: questions.next_question_due(it, provider, kind))
        )

    def _local(self, moment: datetime | None) -> datetime | None:
        return None if moment is None else self.database.local(moment)

    # ---- waking and tidying

    def retry(self, places: Sequence[Place] | None = None) -> int:
        """Wake parked and troubled files and their questions; None: all of them, and every gate."""
        return self.database.write(lambda it, now: wakes.retry(it, now, places))

    def rehash(self, roots: Sequence[str]) -> int:
        """Read every live file of these roots once more."""
        return self.database.write(lambda it, now: wakes.rehash(it, now, roots))

    def wake_publish(self, roots: Sequence[str]) -> int:
        """Publish every file of these roots once more."""
        return self.database.write(lambda it, now: wakes.publish_again(it, now, roots))

    def ask_again(self, hashes: Sequence[str] | None = None) -> int:
        """Ask about these hashes now; None: about all."""
        return self.database.write(lambda it, now: wakes.ask_again(it, now, hashes))

    def pull_back_absurd(self) -> int:
        """Pull times back that only a wrong clock can have written. Writes only if there are any."""
        if not self.database.read(wakes.has_absurd_times):
            return 0
        return self.database.write(wakes.pull_back)

    def set_back(self, by_s: float) -> None:
        """Pull back what a clock that ran ahead has put off; nothing where the server's clock counts."""
        if not self.database.has_own_clock:
            self.database.write(lambda it, now: wakes.set_back(it, now, timedelta(seconds=by_s)))

    def purge_gone(self) -> int:
        """Forget files that were gone for 30 days. Writes only if there are any."""
        if not self.database.read(wakes.has_old_gone):
            return 0
        return self.database.write(wakes.purge_gone)

    def trim_events(self) -> int:
        """Drop old events. Writes only if there are any."""
        last_id = self.database.read(stories.old_stories)
        return self.database.write(lambda it, _now: stories.drop_stories(it, last_id)) if last_id else 0

    # ---- is it there?

    def change_token(self) -> int:
        """Give a number that differs after anybody, in any process, has committed something."""
        return self.database.change_token()

    def well(self) -> None:
        """Raise what keeps the store from answering, if anything does."""
        self.database.check_path()
        self.database.read(lambda it, _now: it.execute(select(1)).scalar_one())
