"""Small valid pictures made of nothing, so that no captured picture has to lie in the project."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width_px: int = 48, height_px: int = 64, seed: int = 0) -> bytes:
    """Draw a PNG with a colour gradient; another seed gives other colours."""
    rows = bytearray()
    for y in range(height_px):
        rows.append(0)  # no filter for this row
        for x in range(width_px):
            rows += bytes(((seed * 37 + x * 4) % 256, (seed * 91 + y * 3) % 256, (seed * 53 + x + y) % 256))
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(rows)))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
