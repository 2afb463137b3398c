"""The digest stage: read each file once, and let its hashes count only if the bytes stayed what they were.

Never writes and never keeps half a hash: whatever happens midway, the file is read again from the start.
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Final

from hashtagd.core import schedule
from hashtagd.core.chain import Chain
from hashtagd.core.digests import Digests
from hashtagd.core.header import LENGTH_BYTES, LONGEST_HEADER_BYTES
from hashtagd.core.ports import Clock, Locator, Pause, Stopping
from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Digested,
    Outcome,
    Park,
    Release,
    Restart,
)
from hashtagd.stages.crew import Crew
from hashtagd.stages.hashing import LargeFileHasher, Order, SmallFileHasher
from hashtagd.stages.opening import (
    HEADERED_EXTENSIONS,
    OpenFile,
    is_headered,
    look,
    opened,
    outcome_of,
    raise_if_exhausted,
    stamp_of,
    unplaced,
)
from hashtagd.stages.reading import ShortRead
from hashtagd.stages.sums import blake3_maker
from hashtagd.system.positions import read_at

#: below this, starting a pipeline costs more than it gains
LARGE_FROM_BYTES: Final = 32 << 20
#: no clock of a file system is coarser; within it, two writes can leave one stamp
_TICK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestOptions:
    """What the owner decides about hashing."""

    #: how many small files are read side by side
    workers: int
    blake3: bool = False
    crc32: bool = False
    #: lower case, with the dot: formats that have a tensor part
    headered_extensions: frozenset[str] = HEADERED_EXTENSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Young:
    """Hashed, but a write in the same tick of the file's clock would not show: to be read once more."""


def ignore_progress(claim: Claim, done_bytes: int) -> None:
    """Tell nobody how far a file is."""


def wait_for_nobody() -> None:
    """Read on at once."""


class DigestStage:
    """Hashes files.

    Args:
        locator: where this machine keeps its roots.
        clock: tells whether a stamp is too young to be trusted.
        pause: a stop request ends the reading at the next block.
        chain: says who is asked first about a new hash.
        chance: a random number in [0, 1), so that retries spread out.
        progress: told (claim, bytes done) after each block, from several threads.
        polite: asked before each block, from several threads; returns when reading disturbs nobody, and may
            raise `Stopping`.
        large, small: hashers for tests with a disk of their own; `small` makes one per worker.
    """

    def __init__(
        self,
        *,
        locator: Locator,
        clock: Clock,
        pause: Pause,
        chain: Chain,
        options: DigestOptions,
        chance: Callable[[], float],
        progress: Callable[[Claim, int], None] = ignore_progress,
        polite: Callable[[], None] = wait_for_nobody,
        large: LargeFileHasher | None = None,
        small: Callable[[], SmallFileHasher] | None = None,
        large_from_bytes: int = LARGE_FROM_BYTES,
    ) -> None:
        self._locator = locator
        self._clock = clock
        self._pause = pause
        self._chain = chain
        self._options = options
        self._chance = chance
        self._progress = progress
        self._polite = polite
        blake3 = blake3_maker() if options.blake3 else None
        self._large = large or LargeFileHasher(crc32=options.crc32, blake3=blake3)
        make_small = small or partial(SmallFileHasher, crc32=options.crc32, blake3=blake3)
        self._small = [make_small() for _ in range(max(options.workers, 1))]
        self._large_from_bytes = large_from_bytes
        self._crew = Crew("digest")

    def run(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Hash each file; one outcome per claim, in order. A stop request gives the unfinished ones back.

        Repeats: a second call reads the files again.

        Raises:
            TryLater: scope `daemon`, when the machine has no files or memory left for any of them.
        """
        results = self._run_all(claims, again=False)
        young = [index for index, result in enumerate(results) if isinstance(result, _Young)]
        outcomes: list[Outcome] = [Release() if isinstance(result, _Young) else result for result in results]
        if young and not self._pause.wait(_TICK_S):
            read_again = self._run_all([claims[index] for index in young], again=True)
            for index, result in zip(young, read_again, strict=True):
                outcomes[index] = Release() if isinstance(result, _Young) else result
        raise_if_exhausted(outcomes)
        return outcomes

    def release_buffers(self) -> None:
        """Give the memory of the blocks back until the next file; for a lane with nothing to do."""
        self._large.release_buffers()
        for hasher in self._small:
            hasher.release_buffers()

    def close(self) -> None:
        """Release the buffers and end the threads."""
        self.release_buffers()
        self._large.close()
        self._crew.close()

    def _run_all(self, claims: Sequence[Claim], *, again: bool) -> list[Outcome | _Young]:
        """Run small files side by side, then large ones one by one: each of those fills the machine."""
        small = [claim for claim in claims if claim.stamp.size_bytes < self._large_from_bytes]
        results = dict(self._run_small(small, again=again))
        for claim in claims:
            if claim.file_id not in results:
                results[claim.file_id] = self._digest(claim, self._large.hash, again=again)
        return [results[claim.file_id] for claim in claims]

    def _run_small(self, claims: Sequence[Claim], *, again: bool) -> Iterable[tuple[int, Outcome | _Young]]:
        left: SimpleQueue[Claim | None] = SimpleQueue()
        hashers = self._small[: len(claims)]
        for claim in (*claims, *(None for _ in hashers)):
            left.put(claim)
        done: SimpleQueue[tuple[int, Outcome | _Young]] = SimpleQueue()

        def drain(hasher: SmallFileHasher) -> None:
            while (claim := left.get()) is not None:
                done.put((claim.file_id, self._digest(claim, hasher.hash, again=again)))

        self._side_by_side([partial(drain, hasher) for hasher in hashers])
        return [done.get() for _ in claims]

    def _side_by_side(self, jobs: Sequence[Callable[[], None]]) -> None:
        parts: list[Future[None]] = [self._crew.start(job) for job in jobs[1:]]
        try:
            for job in jobs[:1]:  # the caller is a worker too
                job()
        finally:
            self._crew.wait(parts)
        for part in parts:
            part.result()

    def _digest(
        self, claim: Claim, hash_file: Callable[[Order], Digests], *, again: bool
    ) -> Outcome | _Young:
        if self._pause.stopping:
            return Release()
        try:
            with opened(self._locator.locate(claim.place)) as file:
                return self._hash(claim, file, hash_file, again=again)
        except Stopping:
            return Release()
        except Trouble as trouble:
            return unplaced(trouble)
        except OSError as error:
            return self._failed(claim, error)

    def _hash(
        self, claim: Claim, file: OpenFile, hash_file: Callable[[Order], Digests], *, again: bool
    ) -> Outcome | _Young:
        stamp = stamp_of(file.status, claim.stamp)
        if stamp != claim.stamp:
            return Restart(stamp=stamp)
        try:
            digests = hash_file(self._order(claim, file))
        except ShortRead:
            return self._changed(claim, file) or self._failed(claim, OSError(errno.EIO, "short read"))
        changed = self._changed(claim, file)
        if changed is not None:
            return changed
        if not again and self._is_young(claim):
            return _Young()
        return Advance(facts=Digested(digests=digests, questions=self._chain.first(digests.sha256)))

    def _order(self, claim: Claim, file: OpenFile) -> Order:
        return Order(
            fd=file.fd,
            size_bytes=file.status.st_size,
            tensors_offset=self._tensors_offset(claim, file.fd),
            progress=partial(self._progress, claim),
            stopping=self._must_stop,
        )

    def _must_stop(self) -> bool:
        self._polite()
        return self._pause.stopping

    def _tensors_offset(self, claim: Claim, fd: int) -> int | None:
        if claim.header is not None:
            return LENGTH_BYTES + claim.header.length_bytes
        if not is_headered(claim.place, self._options.headered_extensions):
            return None
        # the header was too large to be kept; its length is all that is needed here
        length_bytes = int.from_bytes(read_at(fd, LENGTH_BYTES, 0), "little")
        fits = length_bytes <= min(LONGEST_HEADER_BYTES, claim.stamp.size_bytes - LENGTH_BYTES)
        return LENGTH_BYTES + length_bytes if fits else None

    def _changed(self, claim: Claim, file: OpenFile) -> Outcome | None:
        """Look at the name and at the open file: both must still be what was claimed."""
        for status in (look(file.path), os.fstat(file.fd)):
            stamp = stamp_of(status, claim.stamp)
            if stamp != claim.stamp:
                return Restart(stamp=stamp)
        return None

    def _is_young(self, claim: Claim) -> bool:
        age_s = self._clock.now().timestamp() - claim.stamp.mtime_ns / 1e9
        return abs(age_s) < _TICK_S

    def _failed(self, claim: Claim, error: OSError) -> Outcome:
        wait_s = schedule.file_retry_wait_s(claim.attempts, self._chance())
        outcome = outcome_of(error, claim, self._locator, wait_s=wait_s)
        if isinstance(outcome, Defer) and outcome.trouble and claim.attempts >= schedule.MAX_ATTEMPTS:
            return Park(trouble=_unreadable(outcome.trouble.what, claim.attempts))
        return outcome


def _unreadable(what: str, attempts: int) -> GiveUp:
    return GiveUp(
        f"{what}, {attempts} times in a row",
        does="it is left alone until its bytes change",
        you="check the disk, fetch the file again, or say `hashtagd retry FILE`",
        scope=Scope.FILE,
        kind="read_error",
    )
