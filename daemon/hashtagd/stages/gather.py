"""Fill galleries: one picture at a time, so that whoever calls can let others go first.

Whatever moment the process dies at, a picture lies there whole or not at all, and what lies there is not
asked for again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hashtagd.core.ports import Clock, Fetcher
from hashtagd.core.troubles import Trouble
from hashtagd.stages.calls import Calls
from hashtagd.stages.effects import Folder, sweep_temporary
from hashtagd.stages.folders import SWEEP_AGE_S
from hashtagd.stages.galleries import Galleries, Hung, key_of, name_of
from hashtagd.stages.ground import new_token
from hashtagd.stages.pictures import fetch_still, heals_in_s

#: an address that gave no picture is asked once more after so long
MISS_KEPT_S: Final = 30 * 86_400.0
#: galleries never take the last of a disk that the catalog lies on as well
KEEP_FREE_BYTES: Final = 1 << 30
#: who may look depends on the folder they lie in
_MODE: Final = 0o644
#: so many models are looked up at a time
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherOptions:
    """What may be gathered."""

    #: for each model; 0: nothing, and what was gathered goes
    pictures: int
    #: of one picture
    max_bytes: int
    #: of all galleries together
    total_bytes: int


class Gathered(Enum):
    """How a step ended."""

    #: nothing is missing
    WHOLE = "whole"
    #: something was done; there may be more to do
    ONE_MORE = "one_more"
    #: the galleries, or their disk, have no room
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """What is missing cannot be had before so many seconds."""

    wait_s: float


class GatherStage:
    """Makes the galleries what they should be.

    Args:
        galleries: where they lie.
        fetcher: gets pictures.
        options: how much.
        clock: tells the age of what lies there.
        token: a fresh random text for each temporary name.
        calls: the calls of the system that may fail.
        keep_free_bytes: so much of the disk is left free.
    """

    def __init__(
        self,
        galleries: Galleries,
        *,
        fetcher: Fetcher,
        options: GatherOptions,
        clock: Clock,
        token: Callable[[], str] = new_token,
        calls: Calls | None = None,
        keep_free_bytes: int = KEEP_FREE_BYTES,
    ) -> None:
        self._galleries = galleries
        self._fetcher = fetcher
        self._options = options
        self._clock = clock
        self._token = token
        self._calls = calls or Calls()
        self._keep_free_bytes = keep_free_bytes
        #: when this process found that an address gives no picture, by key: file times are another clock's
        self._missed_s: dict[str, float] = {}
        #: of all galleries; None before they were measured
        self._total_bytes: int | None = None
        #: a picture did not fit when they had so many
        self._full_at_bytes: int | None = None

    def step(self, sha256: str, urls: Sequence[str]) -> Gathered | Later:
        """Bring the gallery of one model one picture nearer to these addresses, the best first.

        One that gives no picture makes room for the next; what is not among them any more goes.

        Raises:
            OSError: the folder cannot be written to.
            Stopping: the process was asked to stop.

        Repeats: over a whole gallery, nothing is written or fetched.
        """
        if not urls or not self._options.pictures:
            self._shrink(self._galleries.remove(sha256))
            return Gathered.WHOLE
        folder = self._galleries.folder_of(sha256)
        folder.mkdir(parents=True, exist_ok=True)
        with Folder.open(folder, token=self._token, calls=self._calls) as opened:
            sweep_temporary(opened, opened.names(), older_than_s=self._now_s() - SWEEP_AGE_S)
            hung = self._galleries.hung(sha256)
            kept, missing = self._chosen(urls, hung)
            self._shrink(self._galleries.take_down(sha256, [it for it in hung if it not in kept]))
            return self._fetch_one(opened, missing)

    def sweep(self, wanted: Callable[[Sequence[str]], Collection[str]]) -> int:
        """Remove the galleries of models that nobody wants any more; returns how many.

        Args:
            wanted: picks from some hashes those whose galleries stay.

        Raises:
            OSError: something could not be looked at or removed.
        """
        hashes = self._galleries.hashes()
        if not self._options.pictures:
            unwanted = hashes
        else:
            chunks = (hashes[start : start + _CHUNK] for start in range(0, len(hashes), _CHUNK))
            unwanted = [it for some in chunks for it in sorted(set(some) - set(wanted(some)))]
        for sha256 in unwanted:
            self._shrink(self._galleries.remove(sha256))
        return len(unwanted)

    def _chosen(self, urls: Sequence[str], hung: Sequence[Hung]) -> tuple[list[Hung], list[str]]:
        """Say what of a gallery stays, and which addresses are to be asked."""
        pictures = {it.key: it for it in hung if it.is_picture}
        misses = {it.key: it for it in hung if not it.is_picture and self._is_fresh(it)}
        kept: list[Hung] = []
        missing: list[str] = []
        places = self._options.pictures
        for url in dict.fromkeys(urls):
            if places == 0:
                break
            key = key_of(url)
            if key in pictures:
                kept.append(pictures[key])
            elif key in misses:
                kept.append(misses[key])
                continue
            else:
                missing.append(url)
            places -= 1
        return kept, missing

    def _fetch_one(self, folder: Folder, urls: Sequence[str]) -> Gathered | Later:
        """Put up what the first of these addresses that answers gives; a host that is away costs no place."""
        waits_s: list[float] = []
        for url in urls:
            if self._is_full():
                return Gathered.FULL
            try:
                content, media_type = fetch_still(self._fetcher, url, self._options.max_bytes)
            except Trouble as trouble:
                wait_s = heals_in_s(trouble)
                if wait_s is not None:
                    waits_s.append(wait_s)
                    continue
                self._missed_s[key_of(url)] = self._now_s()
                content, name = b"", name_of(url, None)
            else:
                name = name_of(url, media_type)
            return self._put(folder, name, content)
        return Later(wait_s=min(waits_s)) if waits_s else Gathered.WHOLE

    def _put(self, folder: Folder, name: str, content: bytes) -> Gathered:
        total_bytes = self._measured()
        if total_bytes + len(content) > self._options.total_bytes:
            self._full_at_bytes = total_bytes
            return Gathered.FULL
        folder.prepare(name, content, mode=_MODE, instead_of=folder.here(name)).commit()
        folder.flush()
        self._total_bytes = total_bytes + len(content)
        return Gathered.ONE_MORE

    def _is_full(self) -> bool:
        """Tell whether another picture is not worth asking for."""
        total_bytes = self._measured()
        known = self._full_at_bytes is not None and total_bytes >= self._full_at_bytes
        return (
            known
            or total_bytes >= self._options.total_bytes
            or self._galleries.free_bytes() < self._keep_free_bytes + self._options.max_bytes
        )

    def _measured(self) -> int:
        if self._total_bytes is None:
            self._total_bytes = self._galleries.total_bytes()
        return self._total_bytes

    def _shrink(self, freed_bytes: int) -> None:
        if self._total_bytes is not None:
            self._total_bytes -= freed_bytes

    def _is_fresh(self, miss: Hung) -> bool:
        return 0 <= self._now_s() - self._missed_s.get(miss.key, miss.since_s) < MISS_KEPT_S

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
