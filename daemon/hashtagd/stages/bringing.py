"""One file on its way: candidate after candidate, until it is whole and verified.

What came is kept between tries and between candidates, since a SHA-256 tells whole files apart wherever their
parts came from. When parts of two origins do not make the file, all of it is fetched from one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hashtagd.core.card import DownloadUrl
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header, Whole
from hashtagd.core.place import Stamp
from hashtagd.core.ports import Clock, Downloader, Incoming, Pause, Stopping
from hashtagd.core.transfer import Begun, TransferClaim
from hashtagd.core.troubles import Trouble, TryLater
from hashtagd.stages import download_troubles as troubles
from hashtagd.stages.intake import BLOCK_BYTES, Intake
from hashtagd.stages.part import Part
from hashtagd.stages.settle import read_verdict

#: a source that gives less than this, averaged over the window, is left for the next one
LEAST_BYTES_PER_S: Final = 1024
RATE_WINDOW_S: Final = 60.0
#: so often in a row a connection may break without having brought anything worth mentioning
_BLANKS: Final = 3
_WORTH_BYTES: Final = 256 * 1024
#: how long to wait after such a break: doubled each time
_BREATH_S: Final = 1.0
#: sites state sizes in fractions of KiB
_ROUNDED_BYTES: Final = 1024

#: takes the claim, how much is here, and where that came from; False: the claim does not hold any more
Progress = Callable[[TransferClaim, int, Begun | None], bool]


class LostError(Exception):
    """The claim does not hold any more: somebody else has it, or nobody wants the file."""


class NotBroughtError(Exception):
    """No candidate gave the file; `met` is what each said."""

    def __init__(self, met: Sequence[Trouble]) -> None:
        super().__init__("no candidate gave the file")
        self.met = list(met)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What bringing needs besides the file."""

    downloader: Downloader
    clock: Clock
    pause: Pause
    progress: Progress
    min_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A file that has its name."""

    stamp: Stamp
    digests: Digests
    header: Header | None


class Bringing:
    """Brings one file.

    Args:
        means: the rest of the world.
        claim: which file.
        part, intake: what is here of it, and the way in.
        headered: its format says by itself whether it is whole.
    """

    def __init__(
        self, means: Means, claim: TransferClaim, part: Part, intake: Intake, *, headered: bool
    ) -> None:
        self._means = means
        self._claim = claim
        self._wanted = claim.wanted
        self._part = part
        self._intake = intake
        self._headered = headered
        self._begun = claim.begun
        #: some of what is here came in a former try
        self._mixed = part.length_bytes > 0

    def bring(self) -> Brought:
        """Try all candidates.

        Raises:
            NotBroughtError: none of them gave the file.
            LostError: the claim does not hold any more.
            Stopping: a stop was requested; what came stays.
            OSError: the disk refused.
        """
        met: list[Trouble] = []
        for source in self._wanted.sources:
            try:
                return self._from(source)
            except Trouble as trouble:
                met.append(trouble)
                if troubles.ends_all(trouble):
                    break
        raise NotBroughtError(met or [troubles.no_source()])

    def _from(self, source: DownloadUrl) -> Brought:
        """Fetch from one source, going on where it broke as long as it brings something."""
        blanks = 0
        while True:
            before = self._intake.length_bytes
            try:
                self._receive(source)
                brought = self._verified()
            except TryLater as trouble:
                blanks = 0 if self._intake.length_bytes - before >= _WORTH_BYTES else blanks + 1
                if trouble.kind != troubles.CUT or blanks >= _BLANKS:
                    raise
                if self._means.pause.wait(_BREATH_S * 2**blanks):
                    raise Stopping from None
                continue
            if brought is not None:
                return brought

    def _receive(self, source: DownloadUrl) -> None:
        offset = self._offset(source)
        with self._means.downloader.open(source, offset=offset, begun=self._begun) as incoming:
            self._check_room(incoming)
            self._intake.begin_at(incoming.offset)
            if incoming.offset == 0:
                self._mixed = False
                self._begun = Begun(url=source.url, etag=incoming.etag)
            self._tell()
            self._take(incoming)
        if incoming.total_bytes is not None and self._intake.length_bytes < incoming.total_bytes:
            raise troubles.ended_early()

    def _offset(self, source: DownloadUrl) -> int:
        """Say from where on to ask: what no hash vouches for is gone on with only where it came from."""
        begun = self._begun
        same = begun is not None and begun.url == source.url and begun.etag is not None
        return self._intake.length_bytes if same or self._wanted.sha256 is not None else 0

    def _take(self, incoming: Incoming) -> None:
        clock, limit = self._means.clock, self._limit(incoming)
        since_s, since_bytes = clock.monotonic_s(), self._intake.length_bytes
        told = since_bytes
        for chunk in incoming.chunks():
            self._intake.take(chunk)
            length = self._intake.length_bytes
            if limit is not None and length > limit:
                self._intake.begin_anew()
                raise troubles.too_long()
            if length - told >= BLOCK_BYTES:
                told = length
                self._tell()
            spent_s = clock.monotonic_s() - since_s
            if spent_s >= RATE_WINDOW_S:
                if length - since_bytes < LEAST_BYTES_PER_S * spent_s:
                    raise troubles.too_slow()
                since_s, since_bytes = since_s + spent_s, length

    def _limit(self, incoming: Incoming) -> int | None:
        """Say how much is too much: by the server's own word, or where it gives none by the site's."""
        if incoming.total_bytes is not None:
            return incoming.total_bytes
        stated = self._wanted.size_bytes
        return None if stated is None else stated + _ROUNDED_BYTES

    def _check_room(self, incoming: Incoming) -> None:
        size = incoming.total_bytes or self._wanted.size_bytes or 0
        missing = size - (self._part.length_bytes if incoming.offset else 0)
        if self._part.free_bytes() < missing + self._means.min_free_bytes:
            raise troubles.no_room(missing)

    def _verified(self) -> Brought | None:
        """Give the file its name; None: its parts do not belong together, so all is to be fetched anew.

        Raises:
            Trouble: the bytes of this source are wrong, or its place is taken.
        """
        size, digests = self._intake.length_bytes, self._intake.digests()
        if self._wanted.sha256 not in (None, digests.sha256):
            self._wrong(size)
            return None
        header = self._header(size)
        status = self._part.finish()
        if status is None:
            raise troubles.place_taken()
        self._tell()
        stamp = Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
        return Brought(stamp=stamp, digests=digests, header=header)

    def _wrong(self, size_bytes: int) -> None:
        """Drop bytes that are not the wanted ones; returns where another try from here may be right."""
        mixed, self._mixed, self._begun = self._mixed, False, None
        stated = self._wanted.size_bytes
        if stated is not None and size_bytes < stated - _ROUNDED_BYTES and not mixed:
            # an answer without a length ends wherever its connection does
            raise troubles.ended_early()
        self._intake.begin_anew()
        if not mixed:
            raise troubles.wrong_hash()

    def _header(self, size_bytes: int) -> Header | None:
        verdict = read_verdict(self._part.fd, size_bytes) if self._headered else None
        if isinstance(verdict, Whole):
            return verdict.header
        if self._headered and self._wanted.sha256 is None:
            self._intake.begin_anew()
            raise troubles.no_model()
        return None

    def _tell(self) -> None:
        if not self._means.progress(self._claim, self._intake.length_bytes, self._begun):
            raise LostError
