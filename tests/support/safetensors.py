"""Small, valid safetensors files with contents that differ by seed, and the pieces to make broken ones."""

import json
import math
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: bytes of one element, for the types that tests use
_ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]


def frame(header: bytes, data: bytes = b"") -> bytes:
    """Put the length before the header and the data after it; unchecked, so broken files are possible."""
    return struct.pack("<Q", len(header)) + header + data


def header_json(tensors: Tensors, metadata: Mapping[str, Any] | None = None) -> tuple[bytes, int]:
    """Lay the tensors out in a row; returns the header's JSON and how many data bytes it declares."""
    document: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + math.prod(shape) * _ITEM_BYTES[dtype]
        document[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(), end


def noise(seed: int, size_bytes: int) -> bytes:
    """Make bytes that depend on nothing but the seed."""
    return random.Random(seed).randbytes(size_bytes)


def make_safetensors(
    path: Path | None = None,
    *,
    tensors: Tensors | None = None,
    metadata: Mapping[str, Any] | None = None,
    fill: bytes | int = 0,
    data_bytes: int | None = None,
) -> bytes:
    """Make a valid file, and write it when a path is given.

    Args:
        path: where to write it; folders are made.
        tensors: name -> (dtype, shape); None makes one U8 tensor called `w`.
        metadata: the header's `__metadata__`; None leaves it out.
        fill: a seed, or bytes that are repeated.
        data_bytes: the size of the tensor made when `tensors` is None; 64 when not given.
    """
    if tensors is None:
        tensors = {"w": ("U8", (64 if data_bytes is None else data_bytes,))}
    header, declared = header_json(tensors, metadata)
    data = noise(fill, declared) if isinstance(fill, int) else (fill * (declared // len(fill) + 1))[:declared]
    content = frame(header, data)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return content


def build(
    metadata: Mapping[str, Any] | None = None, data: bytes = b"0123456789abcdef", tensor_name: str = "w"
) -> bytes:
    """Make a valid file with one U8 tensor that holds exactly `data`."""
    header, _ = header_json({tensor_name: ("U8", (len(data),))}, metadata)
    return frame(header, data)


def write(path: Path, **build_arguments: Any) -> Path:
    """Write what `build` makes; folders are made. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build(**build_arguments))
    return path


def lora(
    seed: int,
    *,
    title: str | None = None,
    rank: int = 4,
    base: str = "sdxl_base_v1-0",
    tags: Mapping[str, Mapping[str, int]] | None = None,
) -> bytes:
    """Make a LoRA as the kohya trainer would, with tensors of a few kilobytes; another seed, another SHA-256.

    The width of the cross attention follows from `base`, so that it is recognised by its tensors as well.
    """
    width = 2048 if base.startswith("sdxl") else 1024 if base.startswith("sd_v2") else 768
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    tensors = {
        f"{layer}.alpha": ("F16", ()),
        f"{layer}.lora_down.weight": ("F16", (rank, width)),
        f"{layer}.lora_up.weight": ("F16", (64, rank)),
    }
    metadata = {
        "ss_base_model_version": base,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),
        "ss_output_name": f"made_lora_{seed}",
        "ss_tag_frequency": json.dumps(
            tags or {"10_madestyle": {"madestyle": 24, "1girl": 12, "outdoors": 3}}
        ),
        "ss_num_train_images": "24",
    }
    if title is not None:
        metadata["modelspec.title"] = title
    return make_safetensors(tensors=tensors, metadata=metadata, fill=seed)
