"""The protocols through which stages meet what the service gives them.

Siblings never import each other: a stage knows a provider, a writer or the disk's edge only by these shapes.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol, runtime_checkable

from hashtagd.core.artifacts import Artifact, Target
from hashtagd.core.card import Card, DownloadUrl
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Claim, Found, Publication, Subject


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> datetime:
        """Give the wall clock: aware, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Give a clock that never jumps, for waits and deadlines."""
        ...


class Pause(Protocol):
    """A way to wait that a stop request ends."""

    @property
    def stopping(self) -> bool:
        """Tell whether the process was asked to stop."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait; returns True at once when a stop is (or gets) requested, else False after the time."""
        ...


class Stopping(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside long work when `Pause.stopping` turned true; the lane gives the claims back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Go ahead. `probe`: the first request after an outage; send one thing only."""

    probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Not now. `trouble` is None when only the request budget is used up, which is no trouble."""

    opens_at: datetime
    trouble: Trouble | None = None


class Gatekeeper(Protocol):
    """One gate per origin (`https://host[:port]`), in the catalog: shared by lanes, restarts and machines."""

    def look(self, origin: str, *, background: bool = False) -> Admitted | Closed:
        """Tell whether a request could go now, without spending anything.

        Background questions leave half of the budget to those that somebody waits for.
        """
        ...

    def admit(self, origin: str) -> Admitted | Closed:
        """Spend one request of the budget, or say when to come back."""
        ...

    def succeeded(self, origin: str) -> None:
        """Note a proper answer: the failures of the gate start from 0 (writes only if there were any)."""
        ...

    def close(self, origin: str, trouble: Trouble, wait_s: float | None = None) -> datetime:
        """Close the gate; without `wait_s` the schedule decides by the failures. Returns when it opens."""
        ...


class Provider(Protocol):
    """Something that may know a hash."""

    @property
    def name(self) -> str:
        """The name in the settings and on cards."""
        ...

    @property
    def origin(self) -> str | None:
        """The origin whose gate guards it: of its site, or its own name; None when it can always answer."""
        ...

    @property
    def slow(self) -> bool:
        """Tell whether it answers so slowly that nobody should wait for it."""
        ...

    @property
    def reads_headers(self) -> bool:
        """Tell whether it looks at `Subject.header`; else thousands of them need not be fetched."""
        ...

    @property
    def batch_limit(self) -> int:
        """How many subjects one `ask` may hold."""
        ...

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Yield (`Subject.hash`, answer) in any order; a Trouble in place of an answer is that hash's alone.

        Raises:
            Trouble: ends the stream; what came before is kept, what did not come stays due.
            Stopping: the process was asked to stop while waiting for the gate.
        """
        ...


@runtime_checkable
class AsksByTensors(Protocol):
    """A provider that can also be asked about the tensor part alone."""

    def by_tensors(self) -> Provider:
        """Give the provider for those questions; it shares this one's connections and gate."""
        ...


class Versions(Provider, Protocol):
    """A provider that is asked for versions by their number."""

    def shown_first(self, model_id: int) -> int | None:
        """Give the number of the version that a model's page shows first; None where it shows none.

        Raises:
            Trouble: scope `provider`: the site did not answer properly.
            Stopping: the process was asked to stop while waiting for the gate.
        """
        ...


@runtime_checkable
class AsksByVersion(Protocol):
    """A provider that can also be asked for a version by its number, which the owner named."""

    def by_version(self) -> Versions:
        """Give the provider for those questions; it shares this one's connections and gate."""
        ...


class Writer(Protocol):
    """A format that other programs read."""

    @property
    def name(self) -> str:
        """The name in the settings."""
        ...

    def render(self, card: Card | None, target: Target) -> Sequence[Artifact]:
        """Make the artifacts; pure: same inputs, same bytes. A card of None: nobody knows the file."""
        ...


@runtime_checkable
class WritesTree(Protocol):
    """A writer whose files lie in a tree of their own, not beside the models."""

    @property
    def tree(self) -> PurePath:
        """Where the tree is; what lies at which place in it, `artifacts.in_tree` says."""
        ...


@runtime_checkable
class WishesPicture(Protocol):
    """A writer that wishes for a picture: it renders first, so that all others need to render only once."""

    @property
    def wishes_picture(self) -> bool:
        """Say so."""
        ...


@runtime_checkable
class JudgesPicture(Protocol):
    """A writer that says whether a picture of ours may still lie there.

    Limits are lowered at times, and owners find out that a model is another version.
    """

    def accepts(self, card: Card | None, picture: Publication) -> bool:
        """Tell it by how the picture is rated, and of which version it is."""
        ...


class Fetcher(Protocol):
    """Fetches previews from where strangers point, safely."""

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """Fetch into the open file and return the media type judged by the first bytes (`image/png`, ...).

        Raises:
            Trouble: TryLater with scope `provider` when the host's gate is closed or was closed by this;
                GiveUp with scope `file` when this address will never give a picture.
        """
        ...


class Incoming(Protocol):
    """The bytes of a model file on their way to us."""

    @property
    def offset(self) -> int:
        """Where in the file they begin: where was asked for, or 0 where the server began anew."""
        ...

    @property
    def total_bytes(self) -> int | None:
        """How long the whole file is by the word of the server; None: it does not say."""
        ...

    @property
    def etag(self) -> str | None:
        """What the server calls this form of the file; None without a strong name."""
        ...

    def read_into(self, buffer: memoryview) -> int:
        """Put the next bytes where the buffer begins; returns how many, 0 at what the server calls the end.

        Raises:
            TryLater: scope `file`, kind `cut`: the connection broke; what came is good.
            Stopping: a stop was requested.
        """
        ...


class Downloader(Protocol):
    """Fetches model files from their sites and from strangers' mirrors, safely."""

    def open(
        self, source: DownloadUrl, *, offset: int, begun: Begun | None
    ) -> AbstractContextManager[Incoming]:
        """Ask for the bytes of a source from an offset on; what `begun` tells of serves as the condition.

        Raises:
            Trouble: TryLater with scope `provider` where the host's gate is closed, or was closed by this;
                any trouble of scope `file` where it is this file that this source does not give.
            Stopping: a stop was requested.
        """
        ...


class Locator(Protocol):
    """Knows where this machine keeps its roots."""

    def locate(self, place: Place) -> Path:
        """Give the absolute path, spelled as in the settings.

        Raises:
            Trouble: scope `root`, when the root is away, paused or unknown here; scope `file`, when what
                it leads to does not answer.
        """
        ...


class Ledger(Protocol):
    """Write-ahead notes about artifacts."""

    def intend(self, intentions: Sequence[tuple[Claim, Sequence[Publication]]]) -> frozenset[int]:
        """Commit what is about to be written, in one transaction.

        Returns the ids of the files whose fence still holds; for the others nothing may be written.
        """
        ...
