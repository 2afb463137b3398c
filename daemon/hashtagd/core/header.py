"""The safetensors header, read from bytes: how long the file must be, what it says of itself, is it whole?

Source: the safetensors format: 8 bytes little-endian length N (at most 100,000,000), N bytes of JSON, then
the tensors, which cover the rest of the file without holes. Size is judged strictly, metadata leniently.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hashtagd.core.family import family_of
from hashtagd.core.family_lora import rank_of
from hashtagd.core.header_json import BrokenHeader, check_layout, read
from hashtagd.core.lookalikes import looks_like

#: bytes of the length that stands before the header
LENGTH_BYTES: Final = 8
#: the format's own limit
LONGEST_HEADER_BYTES: Final = 100_000_000
#: ours: a longer header is legal but not worth its memory; such a file is named by its hash alone
LONGEST_PARSED_BYTES: Final = 16 * 1024 * 1024

_GUESS_BYTES: Final = 512
#: so many zero bytes in a row inside the JSON are space that a downloader has reserved and not yet filled
_RESERVED: Final = bytes(16)

#: what is kept of the metadata of one file, so that the catalog of a large library stays small
_VALUE_BYTES: Final = 256 * 1024
_METADATA_BYTES: Final = 1024 * 1024
#: pictures in base64 are of no use to anybody who can see the preview
_PICTURE_KEYS: Final = frozenset({"ssmd_cover_images", "modelspec.thumbnail", "modelspec.preview_image"})
_PICTURE_BYTES: Final = 4 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is kept of a header: facts, not the list of tensors."""

    #: N of the format; the tensors begin at 8 + N
    length_bytes: int
    tensor_count: int
    #: `__metadata__`, strings only, long values kept whole up to a limit
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: architecture by the tensors' names and shapes, for example "SDXL" or "Flux.1 D"; None: not recognised
    family: str | None = None
    #: "LORA", "Checkpoint", "Controlnet", "TextualInversion", "VAE" or "Upscaler"; None: unclear
    kind: str | None = None
    #: of a LoRA, by the shapes of its tensors; None: no LoRA, or stored before this was looked at
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values that `from_json` reads back to an equal header."""
        return {
            "length_bytes": self.length_bytes,
            "tensor_count": self.tensor_count,
            "metadata": dict(self.metadata),
            "family": self.family,
            "kind": self.kind,
            "rank": self.rank,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Header":
        """Rebuild a header that was stored with `to_json`.

        Raises:
            TypeError: the mapping was not written by `to_json`.
        """
        return cls(**data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The file has the size its header declares; `header` is None where that is too large to be read."""

    header: Header | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """Bytes are missing; `declared_bytes` is None where even the header is not there yet."""

    present_bytes: int
    declared_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAModel:
    """This will not become a safetensors file by waiting."""

    #: the rule that is broken, in words
    rule: str
    #: what the bytes look like ("an HTML page", "a zip archive", ...); None: no guess
    looks_like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedMore:
    """Call again with this many bytes from the start of the file."""

    prefix_bytes: int


Verdict = Whole | Incomplete | NotAModel | NeedMore


def judge(prefix: bytes, size_bytes: int) -> Verdict:
    """Judge a file of `size_bytes` by its first bytes: is it whole, are bytes missing, is it no model at all?

    Begin with 8 bytes (or fewer where the file is shorter) and read as much as `NeedMore` asks for.

    Returns `Whole` only when the file has exactly the size its header declares, or when the header is longer
    than we care to parse and at least the header is there.
    Repeats: same bytes, same verdict.
    """
    if len(prefix) < min(LENGTH_BYTES, size_bytes):
        return NeedMore(prefix_bytes=min(LENGTH_BYTES, size_bytes))
    # with fewer than 8 bytes this is the least the length can become, so a short text is known for what it is
    length = int.from_bytes(prefix[:LENGTH_BYTES], "little")
    if length > LONGEST_HEADER_BYTES:
        return _no_model(prefix, size_bytes)
    end = LENGTH_BYTES + length
    if length == 0 or size_bytes < end:
        return Incomplete(present_bytes=size_bytes, declared_bytes=None)
    if length > LONGEST_PARSED_BYTES:
        return Whole(header=None)
    if len(prefix) < end:
        return NeedMore(prefix_bytes=end)
    return _judge_header(memoryview(prefix)[LENGTH_BYTES:end], size_bytes)


def _no_model(prefix: bytes, size_bytes: int) -> NotAModel | NeedMore:
    wanted = min(_GUESS_BYTES, size_bytes)
    if len(prefix) < wanted:
        return NeedMore(prefix_bytes=wanted)
    return NotAModel(
        rule="the header may have 100,000,000 bytes at most", looks_like=looks_like(prefix[:wanted])
    )


def _judge_header(text: memoryview, size_bytes: int) -> Verdict:
    try:
        tensors = read(text)
        metadata = tensors.pop("__metadata__", None)
        declared = LENGTH_BYTES + len(text) + check_layout(tensors)
    except BrokenHeader as broken:
        if _RESERVED in bytes(text):
            return Incomplete(present_bytes=size_bytes, declared_bytes=None)
        return NotAModel(rule=str(broken))
    if size_bytes < declared:
        return Incomplete(present_bytes=size_bytes, declared_bytes=declared)
    if size_bytes > declared:
        return NotAModel(rule=f"{size_bytes - declared:,} bytes follow the last tensor")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    family, kind = family_of(shapes)
    return Whole(
        header=Header(
            length_bytes=len(text),
            tensor_count=len(tensors),
            metadata=_kept(metadata),
            family=family,
            kind=kind,
            rank=rank_of(shapes),
        )
    )


def _kept(metadata: object) -> dict[str, str]:
    """Keep texts as they are and anything else as its JSON; too long values are dropped."""
    kept: dict[str, str] = {}
    room = _METADATA_BYTES
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        longest = min(_PICTURE_BYTES if key in _PICTURE_KEYS else _VALUE_BYTES, room)
        if len(key) + len(text) > longest:  # before anything is copied: it may be all of 16 MiB
            continue
        name, text = _clean(key), _clean(text)
        size = len(name.encode()) + len(text.encode())
        if size <= longest:
            kept[name] = text
            room -= size
    return kept


def _clean(text: str) -> str:
    """Take out what no store can hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()
