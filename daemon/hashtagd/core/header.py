"""The safetensors header, read from bytes: how long the file must be, what it says of itself, is it whole?

Source: the safetensors format: 8 bytes little-endian length N (at most 100,000,000), N bytes of JSON, then the
tensors, which cover the rest of the file without holes. Size is judged strictly, metadata is read leniently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is kept of a header: facts, not the list of tensors."""

    #: N of the format; the tensors begin at 8 + N
    length_bytes: int
    tensor_count: int
    #: `__metadata__`, strings only, long values kept whole up to a limit
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: architecture by the names and shapes of the tensors, for example "SDXL" or "Flux.1 D"; None: not recognised
    family: str | None = None
    #: what the tensors are: "LORA", "Checkpoint", "Controlnet", "TextualInversion", "VAE", "Upscaler"; None: unclear
    kind: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values that `from_json` reads back to an equal header."""
        return {
            "length_bytes": self.length_bytes,
            "tensor_count": self.tensor_count,
            "metadata": dict(self.metadata),
            "family": self.family,
            "kind": self.kind,
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
    """The file has the size its header declares. `header` is None where the header is too large to be read."""

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
