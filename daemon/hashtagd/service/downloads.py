"""The lanes of downloads and what they work with: of the daemon, and of `hashtagd get` by itself."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.chain import Chain
from hashtagd.core.transfer import TransferClaim, TransferOutcome
from hashtagd.service import parts
from hashtagd.service.leases import Leases
from hashtagd.service.putting_off import PuttingOff
from hashtagd.service.randomness import chance
from hashtagd.service.transferring import ProgressNote, TransferWork
from hashtagd.stages.download import DownloadOptions, DownloadStage
from hashtagd.watch.roots import Roots


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who is told what."""

    #: of each outcome that was committed
    ended: Callable[[TransferClaim, TransferOutcome], None]
    #: of each exception that is no trouble
    bug: Callable[[str, Exception], None]
    #: after a commit: something may be due now
    onward: Callable[[], None]
    #: after each block: how much of a file is here
    seen: Callable[[TransferClaim, int], None] | None = None


class Downloads:
    """Makes the works; `close` when their lanes have ended.

    Args:
        outside: the network and the settings.
        roots: where files go.
        chain: who is asked about what was fetched.
        only: none but the transfers of these numbers; None: all.
    """

    def __init__(
        self,
        outside: parts.Outside,
        *,
        catalog: Catalog,
        roots: Roots,
        chain: Chain,
        leases: Leases,
        listeners: Listeners,
        only: Collection[int] | None = None,
    ) -> None:
        settings = outside.loaded.settings
        self._downloader = parts.make_downloader(outside)
        note = ProgressNote(catalog, outside.clock, listeners.seen)
        self._stage = DownloadStage(
            locator=roots,
            downloader=self._downloader,
            clock=outside.clock,
            pause=outside.pause,
            chain=chain,
            options=DownloadOptions(
                min_free_bytes=settings.downloads.min_free_bytes, blake3=settings.digests.blake3
            ),
            chance=chance,
            progress=note,
        )
        putting_off = PuttingOff(
            catalog, outside.gates, self._downloader.gate_for, roots=list(roots.folders), clock=outside.clock
        )
        self.works: Sequence[TransferWork] = [
            TransferWork(
                name=f"download-{number}",
                roots=list(roots.folders),
                stage=self._stage,
                note=note,
                catalog=catalog,
                leases=leases,
                clock=outside.clock,
                chance=chance,
                ended=listeners.ended,
                bug=listeners.bug,
                onward=listeners.onward,
                putting_off=putting_off,
                only=only,
            )
            for number in range(1, settings.downloads.max_parallel + 1)
        ]

    def close(self) -> None:
        """Let go of connections and threads."""
        self._stage.close()
        self._downloader.close()
