"""The JSON of a safetensors header, written by strangers: read with bounded work, or refused by a named rule.

A parser that is handed a hundred megabytes of brackets builds gigabytes of lists before it notices anything,
so the structure is counted first, with a few passes at the speed of `bytes` methods, and only then parsed.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

#: objects inside objects: 3 in a valid header, a few more where metadata is not what the format asks for
_PASSES: Final = 8
#: six brackets, ten quotes and about seven commas a tensor: enough for 100,000 tensors; the largest image
#: models have a few thousand, and half as many again would cost the parser 170 MiB
_MOST_BRACKETS: Final = 600_000
_MOST_QUOTES: Final = 1_000_000
_MOST_COMMAS: Final = 700_000
#: the format counts in unsigned 64-bit numbers
_MOST_BYTES: Final = 2**64 - 1

_STRING: Final = re.compile(rb'"[^"]*"')
_BRACKETS: Final = b"[]{}"
_ALL_BUT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)

#: bits of one element; a type that is not listed here is newer than this table and no mistake
_BITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
#: one text for each type, instead of one for each tensor
_NAMES: Final[Mapping[str, str]] = {name: name for name in _BITS}


class BrokenHeader(Exception):  # noqa: N818 - named after what it is about
    """The header breaks a rule of the format; the text names the rule."""


class Tensor(NamedTuple):
    """What the header says of one tensor; unchecked until `check_layout` has seen it."""

    dtype: Any
    shape: tuple[Any, ...]
    offsets: tuple[Any, ...]


def read(text: bytes | memoryview) -> dict[str, Any]:
    """Parse the header's bytes into tensors and metadata.

    Returns name -> `Tensor`, and whatever stands under `__metadata__` as plain JSON values.

    Raises:
        BrokenHeader: it is not a JSON object, or too much of one.
    """
    try:
        document = json.loads(_checked(text), object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise BrokenHeader("the header must be UTF-8") from None
    except (RecursionError, ValueError) as error:  # ValueError: syntax, and numbers of more than 4,300 digits
        raise BrokenHeader("the header must be JSON") from error
    if not isinstance(document, dict):
        raise BrokenHeader("the header must map names to tensors")
    return document


def check_layout(tensors: Mapping[str, Any]) -> int:
    """Check every tensor and that together they cover the data without holes.

    Returns how many bytes of data the header declares.

    Raises:
        BrokenHeader: naming the rule and the tensor.
    """
    for name, tensor in tensors.items():
        _check(name, tensor)
    cursor = 0
    for name in sorted(tensors, key=lambda name: tensors[name].offsets):
        begin, end = tensors[name].offsets
        if begin != cursor:
            rule = "overlaps another" if begin < cursor else "leaves a hole before it"
            raise BrokenHeader(f"tensor {name[:80]!r} {rule}")
        cursor = end
    return cursor


def _checked(text: bytes | memoryview) -> str:
    """Decode what may be parsed, in a function of its own: its copies are freed before the parser starts."""
    raw = bytes(text).rstrip(b" \0")  # padding: the format says spaces, some writers use NUL
    if not raw.startswith(b"{"):
        raise BrokenHeader("the header must begin with '{'")
    _bound(raw)
    return str(raw, "utf-8")


def _bound(raw: bytes) -> None:
    """Refuse what would cost the parser more than a model of 100,000 tensors does."""
    bare = raw
    if b"\\" in raw:  # an escaped quote does not end a string; pairs of backslashes go first
        bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > _MOST_QUOTES:
        raise BrokenHeader("the header holds too many strings")
    bare = _STRING.sub(b"", bare)
    if bare.count(b",") > _MOST_COMMAS:
        raise BrokenHeader("the header holds too many values")
    if sum(bare.count(bracket) for bracket in _BRACKETS) > _MOST_BRACKETS:
        raise BrokenHeader("the header holds too many lists and objects")
    brackets = bare.translate(None, delete=_ALL_BUT_BRACKETS)
    for _ in range(_PASSES):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise BrokenHeader("the header is nested too deeply, or its brackets do not match")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Tensor:
    """Refuse duplicate keys, and keep a tensor's facts as a tuple: that takes far less memory than a dict."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BrokenHeader("the header names something twice")
    shape, offsets = found.get("shape"), found.get("data_offsets")
    if isinstance(shape, list) and isinstance(offsets, list) and "dtype" in found:
        dtype = found["dtype"]
        return Tensor(
            _NAMES.get(dtype, dtype) if isinstance(dtype, str) else dtype, tuple(shape), tuple(offsets)
        )
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise BrokenHeader(f"{word} is not JSON")


def _check(name: str, tensor: object) -> None:
    """Check one tensor by itself."""
    where = f"tensor {name[:80]!r}"
    if not isinstance(tensor, Tensor) or not isinstance(tensor.dtype, str):
        raise BrokenHeader(f"{where} must have a dtype, a shape and data_offsets")
    if not all(
        type(number) is int and 0 <= number <= _MOST_BYTES for number in tensor.shape + tensor.offsets
    ):
        raise BrokenHeader(f"{where} has a number that is negative, not whole or beyond 64 bits")
    if len(tensor.offsets) != 2 or tensor.offsets[0] > tensor.offsets[1]:  # noqa: PLR2004 - begin and end
        raise BrokenHeader(f"{where} must begin before it ends")
    begin, end = tensor.offsets
    bits = _BITS.get(tensor.dtype)
    if bits is not None and _elements(where, tensor.shape) * bits != (end - begin) * 8:
        raise BrokenHeader(f"{where} does not have the size of its shape")


def _elements(where: str, shape: tuple[int, ...]) -> int:
    """Multiply the shape up to the first overflow: a product of a million large numbers takes for ever."""
    product = 1
    for length in shape:
        product *= length
        if product > _MOST_BYTES:
            raise BrokenHeader(f"{where} has a shape beyond 64 bits")
    return product
