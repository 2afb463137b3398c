"""The settle stage: may this file be read yet? It looks; `core.settling` decides.

Never hashes, never writes, and opens a file only after its quiet time: some network shares refuse the writer
while somebody else has the file open.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hashtagd.core import header, schedule
from hashtagd.core.chain import Chain
from hashtagd.core.claimed import claimed_tensors_sha256
from hashtagd.core.header import Header, Incomplete, NeedMore, Verdict
from hashtagd.core.ports import Clock, Locator, Pause
from hashtagd.core.settling import Decision, Look, Never, NotYet, Ready, Wait, decide
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Advance, Claim, Defer, Outcome, Park, Release, Restart, Settled
from hashtagd.stages.opening import (
    HEADERED_EXTENSIONS,
    is_headered,
    look,
    opened,
    outcome_of,
    raise_if_exhausted,
    stamp_of,
    unplaced,
)
from hashtagd.system.cache import expect_jumps
from hashtagd.system.disks import allocated_bytes
from hashtagd.system.positions import read_at

#: most headers fit in here, so that most files cost one read
_FIRST_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOptions:
    """What a root's owner decides about settling."""

    quiet_s: float
    #: lower case, with the dot
    headered_extensions: frozenset[str] = HEADERED_EXTENSIONS


class SettleStage:
    """Looks at files until they may be read.

    Args:
        locator: where this machine keeps its roots.
        clock: tells how long the bytes have rested.
        pause: a stop request gives the rest of a batch back.
        options: by root name.
        companions: names of the control files that downloaders put beside a file of the given name.
        chain: says whom to ask about the tensors of a file that takes long to read.
        chance: a random number in [0, 1), so that retries spread out.
    """

    def __init__(
        self,
        *,
        locator: Locator,
        clock: Clock,
        pause: Pause,
        options: Mapping[str, SettleOptions],
        companions: Callable[[str], tuple[str, ...]],
        chain: Chain,
        chance: Callable[[], float],
    ) -> None:
        self._locator = locator
        self._clock = clock
        self._pause = pause
        self._options = options
        self._companions = companions
        self._chain = chain
        self._chance = chance

    def run(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Look once at each file; one outcome per claim, in order. Repeats: the same looks again.

        Raises:
            TryLater: scope `daemon`, when the machine has no files or memory left for any of them.
        """
        outcomes = [Release() if self._pause.stopping else self._settle(claim) for claim in claims]
        raise_if_exhausted(outcomes)
        return outcomes

    def _settle(self, claim: Claim) -> Outcome:
        try:
            return self._judge(claim, self._locator.locate(claim.place))
        except Trouble as trouble:
            return unplaced(trouble)
        except OSError as error:
            wait_s = schedule.file_retry_wait_s(claim.attempts, self._chance())
            return outcome_of(error, claim, self._locator, wait_s=wait_s)

    def _judge(self, claim: Claim, path: Path) -> Outcome:
        status = look(path)
        stamp = stamp_of(status, claim.stamp)
        if stamp != claim.stamp:
            return Restart(stamp=stamp, still_since=self._still_since(claim, status))
        companion = self._companion(path)
        if not is_headered(claim.place, self._options[claim.place.root].headered_extensions):
            return _outcome(self._decide(claim, status, companion, None))
        # the most doubtful verdict first: while even that one only waits, the file need not be opened
        doubtful = Incomplete(present_bytes=status.st_size, declared_bytes=None)
        decision = self._decide(claim, status, companion, doubtful)
        if companion is not None or isinstance(decision, Wait):
            return _outcome(decision)
        return self._read(claim, path)

    def _read(self, claim: Claim, path: Path) -> Outcome:
        with opened(path) as file:
            # without reading ahead: one page too many per file is a lot of cache in a large library
            expect_jumps(file.fd)
            verdict = read_verdict(file.fd, file.status.st_size)
            status = os.fstat(file.fd)
        for seen in (file.status, status):  # before and after: half of the prefix may be older than the other
            if (stamp := stamp_of(seen, claim.stamp)) != claim.stamp:
                return Restart(stamp=stamp, still_since=self._still_since(claim, seen))
        return self._early(claim, _outcome(self._decide(claim, status, None, verdict)))

    def _early(self, claim: Claim, outcome: Outcome) -> Outcome:
        """Let a file that takes long to read be asked about by what it claims of itself, while it is read."""
        match outcome:
            case Advance(facts=Settled(header=Header() as told)) if self._takes_long(claim):
                claimed = claimed_tensors_sha256(told)
                provider = self._chain.asked_by_tensors
                put = None if provider is None else self._chain.about_tensors(provider, claimed)
                if put is None:
                    return outcome
                return Advance(facts=Settled(header=told, claimed_tensors_sha256=claimed, questions=(put,)))
            case _:
                return outcome

    @staticmethod
    def _takes_long(claim: Claim) -> bool:
        return claim.digests is None and claim.stamp.size_bytes >= schedule.EARLY_FROM_BYTES

    def _still_since(self, claim: Claim, status: os.stat_result) -> datetime | None:
        """Tell when the bytes last moved, if the file's times lie between the last look and now.

        Counting from this look instead would let a file that just became whole wait up to twice the quiet
        time.
        """
        moved_s = max(status.st_mtime, status.st_ctime)
        if claim.still_since.timestamp() <= moved_s <= self._clock.now().timestamp():
            return datetime.fromtimestamp(moved_s, UTC)
        return None

    def _decide(
        self, claim: Claim, status: os.stat_result, companion: str | None, verdict: Verdict | None
    ) -> Decision:
        return decide(
            Look(
                now=self._clock.now(),
                still_since=claim.still_since,
                quiet_s=self._options[claim.place.root].quiet_s,
                verdict=verdict,
                companion=companion,
                size_bytes=status.st_size,
                allocated_bytes=allocated_bytes(status),
            )
        )

    def _companion(self, path: Path) -> str | None:
        names = self._companions(path.name)
        return next((name for name in names if os.path.lexists(path.with_name(name))), None)


def read_verdict(fd: int, size_bytes: int) -> Verdict:
    """Read as much of the header as the rules of the format ask for, and no more.

    Returns `NeedMore` only when the file gave fewer bytes than it had when it was opened.
    """
    prefix = read_at(fd, min(_FIRST_READ_BYTES, size_bytes), 0)
    verdict = header.judge(prefix, size_bytes)
    while isinstance(verdict, NeedMore):
        prefix = _prefix(fd, verdict.prefix_bytes)
        if len(prefix) < verdict.prefix_bytes:
            break
        verdict = header.judge(prefix, size_bytes)
    return verdict


def _prefix(fd: int, wanted_bytes: int) -> bytes:
    parts: list[bytes] = []
    have = 0
    while have < wanted_bytes and (part := read_at(fd, wanted_bytes - have, have)):
        parts.append(part)
        have += len(part)
    return b"".join(parts)


def _outcome(decision: Decision) -> Outcome:
    match decision:
        case Ready():
            return Advance(facts=Settled(header=decision.header))
        case Wait():
            return Defer(trouble=None, wait_s=decision.wait_s)
        case NotYet():
            return Defer(trouble=decision.trouble, wait_s=decision.wait_s)
        case Never():
            return Park(trouble=decision.trouble)
