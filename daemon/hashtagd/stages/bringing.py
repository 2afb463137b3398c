"""One file on its way: candidate after candidate, until it is whole and verified.

What came is kept between tries and between candidates, since a SHA-256 tells whole files apart wherever their
parts came from. When parts of two origins do not make the file, all of it is fetched from one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hashtagd.core.card import DownloadUrl
from hashtagd.core.digests import SHA256_OF_NOTHING, Digests
from hashtagd.core.header import Header, Whole
from hashtagd.core.place import Stamp
from hashtagd.core.ports import Clock, Downloader, Incoming, Pause, Stopping
from hashtagd.core.transfer import Begun, TransferClaim
from hashtagd.core.troubles import Scope, Trouble, TryLater
from hashtagd.stages import download_troubles as troubles
from hashtagd.stages.intake import BLOCK_BYTES, Intake
from hashtagd.stages.part import Part
from hashtagd.stages.passing_over import pass_over
from hashtagd.stages.rates import LEAST_BESIDE_OTHERS, LEAST_BYTES_PER_S, Rate
from hashtagd.stages.settle import read_verdict

#: so often in a row a connection may break without having brought anything worth mentioning
_BLANKS: Final = 3
_WORTH_BYTES: Final = 256 * 1024
#: how long to wait after such a break: doubled each time
_BREATH_S: Final = 1.0
#: sites state sizes in fractions of KiB
_ROUNDED_BYTES: Final = 1024
#: a size that a site states may be wrong, and then the hash decides; but nobody's word fills the disk
_TIMES_STATED: Final = 2
_BEYOND_STATED_BYTES: Final = 64 << 20

#: whoever shows how far it is is told that often, and after each block
_TELL_S: Final = 1.0

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
        #: all of what is here came in one answer that said how long it is
        self._is_of_one = part.length_bytes == 0
        self._least_bytes_per_s = LEAST_BYTES_PER_S

    def bring(self) -> Brought:
        """Try all candidates.

        Raises:
            NotBroughtError: none of them gave the file.
            LostError: the claim does not hold any more.
            Trouble: scope `daemon`: nobody can say whether the claim holds.
            Stopping: a stop was requested; what came stays.
            OSError: the disk refused.
        """
        if self._is_whole():
            return self._named(self._intake.digests())
        met: list[Trouble] = []
        sources = self._wanted.sources
        for source in sources:
            # whoever drips just fast enough must not keep those behind him from being asked
            self._least_bytes_per_s = LEAST_BYTES_PER_S if source is sources[-1] else LEAST_BESIDE_OTHERS
            try:
                return self._from(source)
            except Trouble as trouble:
                if trouble.scope is Scope.DAEMON:
                    raise
                met.append(trouble)
                if troubles.ends_all(trouble):
                    break
        raise NotBroughtError(met or [troubles.no_source()])

    def _is_whole(self) -> bool:
        """Tell whether a former try brought all, and died before it had given the file its name."""
        stated, have = self._wanted.size_bytes, self._intake.length_bytes
        if self._wanted.sha256 is None or stated is None or abs(have - stated) > _ROUNDED_BYTES or not have:
            return False
        self._intake.begin_at(have)
        return self._intake.sha256() == self._wanted.sha256

    def _from(self, source: DownloadUrl) -> Brought:
        """Fetch from one source, going on where it broke as long as it brings something."""
        blanks, anew = 0, False
        while True:
            before = self._intake.length_bytes
            try:
                self._receive(source)
                digests = self._intake.digests()
                if self._wanted.sha256 in (None, digests.sha256):
                    return self._named(digests)
                self._drop_wrong(again=anew)
                anew = True
            except TryLater as trouble:
                blanks = 0 if self._intake.length_bytes - before >= _WORTH_BYTES else blanks + 1
                if trouble.kind not in troubles.ASK_ANEW or blanks >= _BLANKS:
                    raise
                if self._means.pause.wait(_BREATH_S * 2 ** (blanks - 1)):
                    raise Stopping from None

    def _receive(self, source: DownloadUrl) -> None:
        """Take what one answer brings."""
        offset = self._offset(source)
        with self._means.downloader.open(source, offset=offset, begun=self._begun) as incoming:
            self._check_room(incoming)
            if incoming.offset == 0 and self._intake.length_bytes:
                self._keep_what_is_equal(incoming)
            else:
                self._intake.begin_at(incoming.offset)
            self._is_of_one = incoming.offset == 0 and incoming.total_bytes is not None
            if incoming.offset == 0:
                self._begun = Begun(url=source.url, etag=incoming.etag)
            self._tell()
            self._take(incoming)
            self._check_end(incoming)

    def _keep_what_is_equal(self, incoming: Incoming) -> None:
        """Compare what is here with an answer that brings all of the file, since its host knows no ranges."""
        self._intake.begin_at(self._intake.length_bytes)
        rate = Rate(self._means.clock.monotonic_s(), 0, self._least_bytes_per_s)

        def watch(passed: int) -> None:
            if self._means.pause.stopping:
                raise Stopping
            if rate.is_too_low(self._means.clock.monotonic_s(), passed):
                raise troubles.too_slow()
            self._tell()

        ended = pass_over(incoming, self._intake, watch)
        if ended is None:
            return
        stated = self._wanted.size_bytes
        least = incoming.total_bytes if stated is None else incoming.total_bytes or stated - _ROUNDED_BYTES
        if least is not None and ended < least:
            raise troubles.ended_early()
        self._intake.cut_to(ended)

    def _offset(self, source: DownloadUrl) -> int:
        """Say from where on to ask: what no hash vouches for is gone on with only where it came from."""
        begun = self._begun
        same = begun is not None and begun.url == source.url and begun.etag is not None
        return self._intake.length_bytes if same or self._wanted.sha256 is not None else 0

    def _take(self, incoming: Incoming) -> None:
        clock, pause, intake = self._means.clock, self._means.pause, self._intake
        limit = self._limit(incoming)
        rate = Rate(clock.monotonic_s(), intake.length_bytes, self._least_bytes_per_s)
        told_s, told_bytes = clock.monotonic_s(), intake.length_bytes
        while count := incoming.read_into(intake.room()):
            intake.took(count)
            if pause.stopping:
                raise Stopping
            length, now_s = intake.length_bytes, clock.monotonic_s()
            if limit is not None and length > limit:
                intake.begin_anew()
                raise troubles.too_long()
            if length - told_bytes >= BLOCK_BYTES or now_s - told_s >= _TELL_S:
                told_s, told_bytes = now_s, length
                self._tell()
            if rate.is_too_low(now_s, length):
                raise troubles.too_slow()

    def _limit(self, incoming: Incoming) -> int | None:
        """Say how much is too much: by the server's own word, or where it gives none by the site's."""
        if incoming.total_bytes is not None:
            return incoming.total_bytes
        stated = self._wanted.size_bytes
        return None if stated is None else stated + _ROUNDED_BYTES

    def _check_room(self, incoming: Incoming) -> None:
        """Look whether the file fits, by the word of the site and of the server, which ends nothing else."""
        stated, total = self._wanted.size_bytes or 0, incoming.total_bytes or 0
        if stated and total > _TIMES_STATED * stated + _BEYOND_STATED_BYTES:
            raise troubles.too_long()
        room = self._part.free_bytes() - self._means.min_free_bytes
        missing = max(stated, total) - self._part.length_bytes
        if room < missing:
            is_sure = not stated or room < stated - self._part.length_bytes
            raise troubles.no_room(missing, scope=Scope.ROOT if is_sure else Scope.FILE)

    def _check_end(self, incoming: Incoming) -> None:
        """Judge an end that the server called the end."""
        length, total, stated = self._intake.length_bytes, incoming.total_bytes, self._wanted.size_bytes
        empty = length == 0 and self._wanted.sha256 not in (None, SHA256_OF_NOTHING)
        if empty or (total is not None and length < total):
            raise troubles.ended_early()
        if total is not None:
            return
        # an answer without a length ends wherever its connection does
        if stated is not None and length < stated - _ROUNDED_BYTES:
            raise troubles.ended_early()
        if stated is None and self._wanted.sha256 is None and not self._headered:
            self._intake.begin_anew()
            raise troubles.no_model()

    def _drop_wrong(self, *, again: bool) -> None:
        """Drop bytes that are not the wanted ones; returns where another try from here may be right.

        Raises:
            GiveUp: this source has other bytes.
        """
        self._begun = None
        self._intake.begin_anew()
        if self._is_of_one or again:
            raise troubles.wrong_hash()

    def _named(self, digests: Digests) -> Brought:
        """Give the file its name.

        Raises:
            Trouble: it is no model, or its place is taken.
        """
        header = self._header(self._intake.length_bytes)
        status = self._part.finish()
        if status is None:
            raise troubles.place_taken()
        self._tell()
        stamp = Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
        return Brought(stamp=stamp, digests=digests, header=header)

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
