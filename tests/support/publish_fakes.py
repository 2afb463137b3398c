"""What publishing meets, scripted: cards, a fetcher, a ledger, and a small world around them."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from hashtagd.core.artifacts import Target
from hashtagd.core.card import (
    Availability,
    Card,
    Confidence,
    Download,
    DownloadUrl,
    License,
    Preview,
)
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.ports import Writer
from hashtagd.core.troubles import GiveUp, Scope, Trouble, TryLater
from hashtagd.core.work import Advance, Claim, Outcome, Publication, Published, Stage, Swept
from hashtagd.stages.calls import Calls
from hashtagd.stages.publish import PublishStage
from hashtagd.writers import make_writer
from support.stage_fakes import FolderLocator, ScriptedPause, StillClock, stamp

SHA256 = hashlib.sha256(b"the model").hexdigest()
FIRST_SEEN_AT = datetime(2029, 12, 31, 10, 0, tzinfo=UTC)
CHECKED_AT = datetime(2029, 12, 31, 10, 0, 5, tzinfo=UTC)
PICTURE = "https://image.civitai.com/acc/0a1b2c3d-0000-4000-8000-000000000001/original=true/11.jpeg"
SMALL_PICTURE = (
    "https://image.civitai.com/acc/0a1b2c3d-0000-4000-8000-000000000001/width=450,optimized=true/11.jpeg"
)
ALL_WRITERS = ("lora-manager", "civitai-info", "preview")


def png(colour: int = 0) -> bytes:
    """Make a real picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes([0, colour]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def preview(url: str = PICTURE, **changes: Any) -> Preview:
    """Make a harmless still picture."""
    return replace(Preview(url=url, media="image", width_px=832, height_px=1216, nsfw_level=1), **changes)


def raw_version(sha256: str = SHA256, **changes: Any) -> dict[str, Any]:
    """Make a version as Civitai would send it, with a file of another kind standing first."""
    return {
        "id": 202,
        "modelId": 101,
        "name": "v2 für alle",
        "baseModel": "Illustrious",
        "trainedWords": ["wisp", "pale light"],
        "description": "<p>second</p>",
        "model": {"name": "Will-o'-wisp", "type": "LORA", "nsfw": False, "poi": False, "tags": ["Light "]},
        "creator": {"username": "someone"},
        "files": [
            {
                "id": 1,
                "name": "data.zip",
                "type": "Training Data",
                "primary": True,
                "hashes": {"SHA256": "AB" * 32},
            },
            {
                "id": 2,
                "name": "wisp.safetensors",
                "type": "Model",
                "sizeKB": 1.5,
                "hashes": {"SHA256": sha256.upper(), "AutoV3": "0123456789AB"},
            },
        ],
        "images": [{"url": PICTURE, "nsfwLevel": 1, "type": "image", "width": 832, "height": 1216}],
        **changes,
    }


def card(sha256: str = SHA256, **changes: Any) -> Card:
    """Make the card of an exact match on Civitai."""
    made = Card(
        provider="civitai",
        by="sha256",
        confidence=Confidence.EXACT,
        availability=Availability.PUBLIC,
        model_id=101,
        version_id=202,
        model_name="Will-o'-wisp",
        version_name="v2 für alle",
        kind="LORA",
        base_model="Illustrious",
        trained_words=("wisp", "pale light"),
        tags=("Light ", "light", "Swamp"),
        nsfw_level=1,
        creator="someone",
        license=License(allow_no_credit=True, allow_commercial_use=("Image",)),
        description_html="<p>it glows</p>",
        previews=(preview(),),
        downloads=(
            Download(
                file_id=2,
                name="wisp.safetensors",
                type="Model",
                primary=True,
                size_bytes=1536,
                sha256=sha256,
                autov3="0123456789ab",
                urls=(DownloadUrl(url="https://civitai.com/api/download/models/202", source="civitai"),),
            ),
        ),
        raw=raw_version(sha256),
    )
    return replace(made, **changes)


def header(**metadata: str) -> Header:
    """Make the header of a LoRA with some metadata."""
    return Header(length_bytes=100, tensor_count=3, metadata=metadata, family="SDXL", kind="LORA")


def target(**changes: Any) -> Target:
    """Make a target without any file behind it."""
    made = Target(
        place=Place(root="loras", relpath="styles/wisp.safetensors"),
        path=PurePosixPath("/models/loras/styles/wisp.safetensors"),
        stamp=Stamp(size_bytes=1536, mtime_ns=1, inode=7),
        digests=Digests(sha256=SHA256, tensors_sha256="cd" * 32),
        header=header(),
        first_seen_at=FIRST_SEEN_AT,
        answered=True,
        checked_at=CHECKED_AT,
    )
    return replace(made, **changes)


def host_closed(after_s: float | None = 90.0) -> TryLater:
    """Make what a fetcher says of an image host whose gate is closed."""
    return TryLater(
        "closed", does="waits", you="wait", scope=Scope.PROVIDER, kind="gate_closed", after_s=after_s
    )


def gone() -> GiveUp:
    """Make what a fetcher says of an address without a picture."""
    return GiveUp("404", does="goes on", you="nothing", scope=Scope.FILE, kind="not_found")


@dataclass
class ScriptedFetcher:
    """Gives bytes and a media type by address, or raises; `during` happens inside each fetch."""

    pages: dict[str, tuple[bytes, str] | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        self.asked.append(url)
        self.during()
        page = self.pages.get(url, (png(), "image/png"))
        if isinstance(page, Exception):
            raise page
        into.write(page[0][: max_bytes + 1])
        return page[1]


@dataclass
class ListLedger:
    """Keeps intentions in a list; `lost` names files whose fence no longer holds."""

    committed: list[tuple[int, tuple[Publication, ...]]] = field(default_factory=list)
    calls: int = 0
    lost: frozenset[int] = frozenset()
    trouble: BaseException | None = None

    def intend(self, intentions: Sequence[tuple[Claim, Sequence[Publication]]]) -> frozenset[int]:
        self.calls += 1
        if self.trouble is not None:
            raise self.trouble
        held = [(claim, items) for claim, items in intentions if claim.file_id not in self.lost]
        self.committed += [(claim.file_id, tuple(items)) for claim, items in held]
        return frozenset(claim.file_id for claim, _ in held)


class PowerCut(BaseException):
    """Stands for the end of the process: nothing after it runs but what the system itself does."""


def before_renames(act: Callable[[], None]) -> Calls:
    """Let something happen before each call by which a file gets its name, whichever call that is."""
    real = Calls()

    def told(call: Callable[[str, str, int], None]) -> Callable[[str, str, int], None]:
        def rename(old: str, new: str, folder_fd: int) -> None:
            act()
            call(old, new, folder_fd)

        return rename

    return Calls(rename=told(real.rename), rename_new=told(real.rename_new), exchange=told(real.exchange))


@dataclass
class World:
    """A root in a folder, a publish stage over it, and a memory of what was published, as the catalog has."""

    folder: Path
    names: Sequence[str] = ALL_WRITERS
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calls: Calls | None = None
    fetcher: ScriptedFetcher = field(default_factory=ScriptedFetcher)
    ledger: ListLedger = field(default_factory=ListLedger)
    clock: StillClock = field(default_factory=StillClock)
    pause: ScriptedPause = field(default_factory=ScriptedPause)
    known: dict[int, tuple[Publication, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.locator = FolderLocator(self.folder)
        self._tokens = 0

    def model(self, relpath: str = "wisp.safetensors", content: bytes = b"the model") -> Path:
        """Put a model there."""
        path = self.folder / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def claim(self, path: Path, **changes: Any) -> Claim:
        """Make the claim of a model as it lies there now, with what is known of it."""
        file_id = changes.get("file_id", 1)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        made = Claim(
            file_id=file_id,
            fence=1,
            stage=Stage.PUBLISH,
            place=Place(root="loras", relpath=path.relative_to(self.folder).as_posix()),
            stamp=stamp(path),
            attempts=1,
            still_since=FIRST_SEEN_AT,
            first_seen_at=FIRST_SEEN_AT,
            digests=Digests(sha256=sha256),
            header=header(),
            card=card(sha256),
            answered=True,
            checked_at=CHECKED_AT,
        )
        return replace(self._with_written(made, sha256), **changes)

    def gone(self, relpath: str, file_id: int = 1) -> Claim:
        """Make the claim to sweep beside a model that is gone."""
        return Claim(
            file_id=file_id,
            fence=1,
            stage=Stage.SWEEP,
            place=Place(root="loras", relpath=relpath),
            stamp=Stamp(size_bytes=9, mtime_ns=1, inode=1),
            attempts=1,
            still_since=FIRST_SEEN_AT,
            first_seen_at=FIRST_SEEN_AT,
            publications=self.known.get(file_id, ()),
        )

    def _with_written(self, claim: Claim, sha256: str) -> Claim:
        """Fill in what was written for the file, beside it, and elsewhere for the same bytes."""
        others = [item for file_id, some in self.known.items() if file_id != claim.file_id for item in some]
        stem = claim.place.sibling(claim.place.stem).relpath
        return replace(
            claim,
            publications=self.known.get(claim.file_id, ()),
            nearby=tuple(item for item in others if item.place.relpath.startswith(stem + ".")),
            twins=tuple(item for item in others if item.written_for == sha256),
        )

    def stage(self) -> PublishStage:
        """Make the stage, as a new process would."""
        writers: list[Writer] = [make_writer(name, self.options.get(name)) for name in self.names]
        return PublishStage(
            writers={None: writers},
            locator=self.locator,
            ledger=self.ledger,
            fetcher=self.fetcher,
            clock=self.clock,
            pause=self.pause,
            is_model=lambda place: place.name.endswith((".safetensors", ".sft")),
            token=self._token,
            calls=self.calls,
        )

    def publish(self, *claims: Claim) -> list[Outcome]:
        """Run the stage and remember what it reports, and what it intended, as the catalog does."""
        outcomes = self.stage().run(claims)
        self.remember_intentions()
        for claim, outcome in zip(claims, outcomes, strict=True):
            if isinstance(outcome, Advance) and isinstance(outcome.facts, Published | Swept):
                self._settle(claim.file_id, outcome.facts)
        return outcomes

    def _settle(self, file_id: int, facts: Published | Swept) -> None:
        """Know of a file what is reported of it and nothing else."""
        self.known[file_id] = ()
        self._remember(file_id, facts.publications)
        for item in facts.removed if isinstance(facts, Published) else ():
            self._forget(item)

    def _forget(self, item: Publication) -> None:
        key = (item.place, item.writer)
        self.known = {
            file_id: tuple(it for it in some if (it.place, it.writer) != key)
            for file_id, some in self.known.items()
        }

    def remember_intentions(self) -> None:
        """Know what was intended, whatever became of it."""
        for file_id, items in self.ledger.committed:
            self._remember(file_id, items)
        self.ledger.committed.clear()

    def _remember(self, file_id: int, items: Sequence[Publication]) -> None:
        """Keep one row per place and writer; an intention leaves what is known to be written."""
        for item in items:
            key = (item.place, item.writer)
            rows = [it for some in self.known.values() for it in some if (it.place, it.writer) == key]
            kept = item
            if item.written_sha256 is None and rows:
                kept = replace(
                    rows[0],
                    intended_sha256=item.intended_sha256,
                    intended_for=item.intended_for,
                    nsfw_level=item.nsfw_level,
                    version_id=item.version_id,
                )
            self._forget(item)
            self.known[file_id] = (*self.known.get(file_id, ()), kept)

    def _token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:016x}"

    def tree(self) -> dict[str, bytes]:
        """Read everything that lies in the root, temporary files included."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def temporary(self) -> list[str]:
        """List the temporary files that lie around."""
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".hashtagd-")]


def published(outcome: Outcome) -> Published:
    """Take the facts of an outcome that must be a publication."""
    assert isinstance(outcome, Advance), outcome
    assert isinstance(outcome.facts, Published), outcome
    return outcome.facts


def kind_of(trouble: Trouble | None) -> str | None:
    """Name the kind of a trouble."""
    return None if trouble is None else trouble.kind
