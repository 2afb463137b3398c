"""The download stage: bring one file to its place, verified, or say why not.

Only a whole file whose SHA-256 is the wanted one gets its name, and nothing that lies there is ever replaced.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hashtagd.core import schedule
from hashtagd.core.chain import Chain
from hashtagd.core.ports import Clock, Downloader, Locator, Pause, Stopping
from hashtagd.core.transfer import Fetched, TransferClaim, TransferOutcome
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.core.work import Defer, Park, Release
from hashtagd.stages import download_troubles as troubles
from hashtagd.stages.already_there import found_there
from hashtagd.stages.bringing import Bringing, Brought, LostError, Means, NotBroughtError, Progress
from hashtagd.stages.calls import Calls
from hashtagd.stages.crew import Crew
from hashtagd.stages.intake import Intake
from hashtagd.stages.opening import HEADERED_EXTENSIONS, is_headered
from hashtagd.stages.part import BusyError, LeavesRootError, Part, PartTakenError, drop_left_over
from hashtagd.stages.sums import blake3_maker

__all__ = ["DownloadOptions", "DownloadStage", "LostError", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """What the owner decides about downloads."""

    #: so much stays free on every disk
    min_free_bytes: int
    blake3: bool = False
    headered_extensions: frozenset[str] = HEADERED_EXTENSIONS


class DownloadStage:
    """Fetches files; several threads may do so side by side.

    Args:
        locator: where this machine keeps its roots.
        downloader: speaks with the sources.
        clock, pause: time, and the wish to stop.
        chain: says who is asked about the bytes when they are here.
        chance: a random number in [0, 1), so that retries spread out.
        progress: told after each block.
    """

    def __init__(
        self,
        *,
        locator: Locator,
        downloader: Downloader,
        clock: Clock,
        pause: Pause,
        chain: Chain,
        options: DownloadOptions,
        chance: Callable[[], float],
        progress: Progress,
        calls: Calls | None = None,
    ) -> None:
        self._locator = locator
        self._pause = pause
        self._chain = chain
        self._options = options
        self._chance = chance
        self._calls = calls or Calls()
        self._crew = Crew("absorbing")
        self._blake3 = blake3_maker() if options.blake3 else None
        self._means = Means(
            downloader=downloader,
            clock=clock,
            pause=pause,
            progress=progress,
            min_free_bytes=options.min_free_bytes,
        )

    def close(self) -> None:
        """End the threads."""
        self._crew.close()

    def run(self, claim: TransferClaim) -> TransferOutcome:
        """Bring one file. Repeats: goes on where the last call ended; a file that is there is not fetched.

        Raises:
            LostError: the claim does not hold any more; what came stays for whoever has it.
            Trouble: scope `daemon`: nobody can say whether it holds.
        """
        try:
            brought = self._try(claim)
        except Stopping:
            return Release()
        except NotBroughtError as error:
            return self._ended(claim, error.met)
        return Fetched(
            stamp=brought.stamp,
            digests=brought.digests,
            header=brought.header,
            questions=self._chain.first(brought.digests.sha256),
        )

    def _try(self, claim: TransferClaim) -> Brought:
        try:
            return self._brought(self._locator.locate(claim.wanted.place), claim)
        except Trouble as trouble:
            if trouble.scope is Scope.DAEMON:
                raise
            raise NotBroughtError([trouble]) from None
        except PartTakenError:
            raise NotBroughtError([troubles.part_taken()]) from None
        except LeavesRootError:
            raise NotBroughtError([troubles.outside_root()]) from None
        except BusyError:
            raise NotBroughtError([troubles.busy()]) from None
        except OSError as error:
            raise NotBroughtError([troubles.of_disk(error)]) from error

    def _brought(self, path: Path, claim: TransferClaim) -> Brought:
        headered = is_headered(claim.wanted.place, self._options.headered_extensions)
        if path.is_symlink() or path.exists():
            # somebody, or we ourselves before a kill, put it there
            there = found_there(path, claim.wanted, self._pause, headered=headered, blake3=self._blake3)
            if there is None:
                raise troubles.place_taken()
            drop_left_over(path, claim.wanted.place)
            return there
        with ExitStack() as stack:
            part = stack.enter_context(Part.open(path, claim.wanted.place, self._calls))
            intake = stack.enter_context(
                Intake.open(
                    part,
                    self._crew,
                    headered=headered,
                    blake3=self._blake3,
                    stopping=lambda: self._pause.stopping,
                )
            )
            return Bringing(self._means, claim, part, intake, headered=headered).bring()

    def _ended(self, claim: TransferClaim, met: list[Trouble]) -> TransferOutcome:
        """Choose what to do after all candidates failed: time before people, people before giving up."""
        wait_s = schedule.file_retry_wait_s(claim.attempts, self._chance())
        # a host that is away, or not to be trusted at the moment, is no property of this file
        waits = [
            (getattr(trouble, "after_s", None) or 0.0, trouble)
            for trouble in met
            if isinstance(trouble, TryLater) or trouble.scope is Scope.PROVIDER
        ]
        if not waits:
            return Park(trouble=troubles.worst(met))
        least_s, soonest = min(waits, key=lambda it: max(it[0], wait_s))
        return Defer(trouble=soonest, wait_s=max(least_s, wait_s))
