"""Downloads in tests: servers that give files well or badly, and the real stage with the real downloader."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashtagd.core.card import DownloadUrl
from hashtagd.core.chain import Chain, Link
from hashtagd.core.place import Place
from hashtagd.core.ports import Clock, Downloader
from hashtagd.core.transfer import CIVITAI, Begun, Fetched, TransferClaim, TransferOutcome, Wanted
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Defer, Park, Release
from hashtagd.providers.downloads import FileDownloader
from hashtagd.providers.wire import Limits
from hashtagd.stages.calls import Calls
from hashtagd.stages.download import DownloadOptions, DownloadStage
from hashtagd.stages.part import part_name
from support.fault_server import FaultServer, Line, reply
from support.safetensors import noise
from support.stage_fakes import ROOT, FolderLocator
from support.surroundings import World

KEY = "planted0key1of2thirty3two4hex5dg"
#: bytes of no format, so that nothing but their hash tells them apart
CONTENT = noise(1, 3_000_000)
KIND = "application/octet-stream"
HALF = len(CONTENT) // 2
OTHER = noise(2, len(CONTENT))
QUICK = Limits(connect_s=2.0, read_s=2.0, total_s=4.0, body_bytes=64 * 1024, connections=32)
IMPATIENT = Limits(connect_s=2.0, read_s=0.2, total_s=0.5, body_bytes=64 * 1024)
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-\r\n", re.IGNORECASE)
_IF_RANGE = re.compile(rb"\r\nif-range: ([^\r]+)\r\n", re.IGNORECASE)


def range_of(request: bytes) -> int | None:
    """Give the offset that a request asks for; None: for the whole file."""
    match = _RANGE.search(request)
    return None if match is None else int(match[1])


def offsets(requests: Sequence[bytes]) -> list[int]:
    """Give the offsets that requests asked for."""
    return [range_of(request) or 0 for request in requests]


def gives(
    content: bytes = CONTENT,
    *,
    etag: str | None = '"v1"',
    cut_after: int | None = None,
    ranges: bool = True,
    length: bool = True,
    headers: Sequence[str] = (),
) -> Callable[[Line], None]:
    """Serve a file as a proper storage host does.

    Args:
        content: the file.
        etag: what it is called; a range is given only to whom knows it by that name, or by none.
        cut_after: so many bytes of each answer are sent before the connection ends.
        ranges: whether parts of it are given.
        length: whether answers say how long they are.
        headers: more of them.
    """

    def answer(line: Line) -> None:
        offset = range_of(line.request) if ranges else None
        condition = _IF_RANGE.search(line.request)
        if condition is not None and condition[1].decode() != etag:
            offset = None
        named = [*headers, *([] if etag is None else [f"ETag: {etag}"])]
        if offset is not None and offset >= len(content):
            gone = [*named, f"Content-Range: bytes */{len(content)}"]
            line.send(reply(b"", status="416 Range Not Satisfiable", kind=KIND, headers=gone))
            return
        body, status = content[offset or 0 :], "200 OK"
        if offset is not None:
            status = "206 Partial Content"
            named.append(f"Content-Range: bytes {offset}-{len(content) - 1}/{len(content)}")
        stated = len(body) if length else None
        line.send(reply(body[:cut_after], status=status, kind=KIND, headers=named, length=stated))

    return answer


def redirect(location: str, *headers: str, status: int = 307) -> bytes:
    """Send elsewhere."""
    return reply(b"", status=f"{status} Elsewhere", headers=[f"Location: {location}", *headers])


def refusal(status: int, **words: object) -> bytes:
    """Say no, in the JSON of the site."""
    body = repr(words).replace("'", '"').encode()
    return reply(body, status=f"{status} No")


def mirror(url: str, source: str = "mirror") -> DownloadUrl:
    """Name a stranger's address."""
    return DownloadUrl(url=f"{url}/x.bin", source=source)


def from_site(site: str, version: int = 50) -> DownloadUrl:
    """Name an address of the site, as cards hold it."""
    return DownloadUrl(url=f"{site}/api/download/models/{version}?fileId=60", source=CIVITAI)


@dataclass
class Told:
    """What a stage told of its progress; may say that the claim is lost."""

    holds: bool = True
    words: list[tuple[int, Begun | None]] = field(default_factory=list)
    trouble: Trouble | None = None

    def __call__(self, _claim: TransferClaim, bytes_done: int, begun: Begun | None) -> bool:
        self.words.append((bytes_done, begun))
        if self.trouble is not None:
            raise self.trouble
        return self.holds


class Errand:
    """The real stage and the real downloader over a real folder. Use `errand`."""

    def __init__(self, folder: Path, world: World, downloader: FileDownloader, stage: DownloadStage) -> None:
        self.folder = folder
        self.world = world
        self.downloader = downloader
        self.stage = stage

    def claim(
        self,
        *sources: DownloadUrl,
        content: bytes | None = CONTENT,
        name: str = "x.ckpt",
        size_bytes: int | None = None,
        begun: Begun | None = None,
        attempts: int = 1,
    ) -> TransferClaim:
        """Want a file; content None: nobody states its hash."""
        sha256 = None if content is None else hashlib.sha256(content).hexdigest()
        wanted = Wanted(
            place=Place(root=ROOT, relpath=name), sha256=sha256, size_bytes=size_bytes, sources=sources
        )
        return TransferClaim(transfer_id=1, fence=1, attempts=attempts, wanted=wanted, begun=begun)

    def run(self, *sources: DownloadUrl, **facts: Any) -> TransferOutcome:
        return self.stage.run(self.claim(*sources, **facts))

    def path(self, name: str = "x.ckpt") -> Path:
        return self.folder / name

    def part(self, name: str = "x.ckpt") -> Path:
        return self.path(name).with_name(part_name(self.path(name).name))

    @property
    def names(self) -> list[str]:
        """Everything in the folder, by its name."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@contextmanager
def errand(
    folder: Path,
    *,
    site: str = "https://civitai.com",
    origins: Sequence[str] = (),
    world: World | None = None,
    told: Callable[[TransferClaim, int, Begun | None], bool] | None = None,
    calls: Calls | None = None,
    min_free_bytes: int = 0,
    blake3: bool = False,
    clock: Clock | None = None,
    around: Callable[[Downloader], Downloader] = lambda real: real,
    **network: Any,
) -> Iterator[Errand]:
    """Make it, with waits that take no time."""
    world = world or World(running=True, key=KEY)
    folder.mkdir(parents=True, exist_ok=True)
    downloader = FileDownloader(
        world.surroundings, base_url=site, allowed_origins=origins, **{"limits": QUICK, **network}
    )
    stage = DownloadStage(
        locator=FolderLocator(folder),
        downloader=around(downloader),
        clock=clock or world.clock,
        pause=world.pause,
        chain=Chain((Link(name=CIVITAI),)),
        options=DownloadOptions(min_free_bytes=min_free_bytes, blake3=blake3),
        chance=lambda: 0.0,
        progress=told or Told(),
        calls=calls,
    )
    try:
        yield Errand(folder, world, downloader, stage)
    finally:
        stage.close()
        downloader.close()


def fetched(outcome: TransferOutcome) -> Fetched:
    """Insist on success."""
    assert isinstance(outcome, Fetched), getattr(outcome, "trouble", outcome)
    return outcome


def trouble_of(outcome: TransferOutcome) -> Trouble:
    """Insist on a trouble."""
    assert isinstance(outcome, Defer | Park | Release), outcome
    assert outcome.trouble is not None
    return outcome.trouble


def kind_of(outcome: TransferOutcome) -> str:
    """Give the word for a trouble."""
    return trouble_of(outcome).kind


def with_part(job: Errand, content: bytes) -> Errand:
    """Let a former try have brought the beginning of a file."""
    job.part().write_bytes(content)
    return job


def is_there(job: Errand, content: bytes = CONTENT) -> bool:
    """Tell whether the file, and nothing else, is there."""
    return job.names == ["x.ckpt"] and job.path().read_bytes() == content


def run(*command: str) -> bool:
    """Run a command of the system; tells whether it went well."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@dataclass
class Meanwhile:
    """Does something once, as soon as bytes come."""

    do: Callable[[], object] = lambda: None
    done: bool = False

    def __call__(self, _claim: TransferClaim, bytes_done: int, _begun: Begun | None) -> bool:
        if bytes_done > 0 and not self.done:
            self.done = True
            self.do()
        return True


def without_links(code: int) -> Calls:
    """Make a file system without hard links."""

    def link(_fd: int, _name: str, _folder_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    return Calls(link=link)


#: takes the answers of a mirror, what else may be fetched from, and what `errand` takes
Serve = Callable[..., tuple[Errand, FaultServer]]
