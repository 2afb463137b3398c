"""The claims this process holds right now, so that the supervisor can renew their leases."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.transfer import TransferClaim
from hashtagd.core.work import Claim, QuestionClaim
from hashtagd.service.lock import dead_owners, forget_owner


class Leases:
    """Claims held by lanes; safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[int, Claim] = {}
        self._questions: dict[int, QuestionClaim] = {}
        #: by number and fence: who lost a transfer must not let go of another thread's claim to it
        self._transfers: dict[tuple[int, int], TransferClaim] = {}
        self._lanes_at_work = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count a lane as busy inside the block, also between its claim and its hold."""
        with self._lock:
            self._lanes_at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._lanes_at_work -= 1

    @property
    def idle(self) -> bool:
        """Tell whether no lane claims or works."""
        with self._lock:
            return not self._lanes_at_work

    @contextmanager
    def hold_files(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Keep the leases of these files alive inside the block."""
        with self._lock:
            self._files.update({claim.file_id: claim for claim in claims})
        try:
            yield
        finally:
            with self._lock:
                for claim in claims:
                    self._files.pop(claim.file_id, None)

    @contextmanager
    def hold_questions(self, claims: Sequence[QuestionClaim]) -> Iterator[None]:
        """Keep the leases of these questions alive inside the block."""
        with self._lock:
            self._questions.update({claim.question_id: claim for claim in claims})
        try:
            yield
        finally:
            with self._lock:
                for claim in claims:
                    self._questions.pop(claim.question_id, None)

    @contextmanager
    def hold_transfer(self, claim: TransferClaim) -> Iterator[None]:
        """Keep the lease of this transfer alive inside the block."""
        with self._lock:
            self._transfers[claim.transfer_id, claim.fence] = claim
        try:
            yield
        finally:
            with self._lock:
                del self._transfers[claim.transfer_id, claim.fence]

    def renew(self, catalog: Catalog) -> None:
        """Renew every lease that is held; claims that ended in between are left out by their fence."""
        with self._lock:
            files, questions = list(self._files.values()), list(self._questions.values())
            transfers = list(self._transfers.values())
        if files or questions or transfers:
            catalog.renew(files, questions, transfers)


def release_dead(catalog: Catalog, folder: Path) -> None:
    """Give back at once what processes of this machine had claimed when they died."""
    dead = dead_owners(folder)
    if dead:
        catalog.release_own(dead)
        for owner in dead:
            forget_owner(folder, owner)
