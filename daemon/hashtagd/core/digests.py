"""The hashes of one file and the short names the model sites use for them.

Source: Civitai's scanner. AutoV2 is the first 10 digits of the SHA-256 of the whole file; AutoV3 is the first
12 digits of the SHA-256 of everything after the safetensors header.
"""

import re
from dataclasses import dataclass

#: SHA-256 of no bytes at all: what a file without tensor data has as AutoV3. Never asked for or published.
SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#: how many digits of the tensor hash the sites print
AUTOV3_DIGITS = 12

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_sha256(text: str) -> bool:
    """Tell whether the text is 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """All hashes of one file, lower-case hexadecimal.

    Raises:
        ValueError: a SHA-256 is not 64 lower-case hexadecimal digits.
    """

    sha256: str
    #: SHA-256 of the bytes after the header; None for formats without one
    tensors_sha256: str | None = None
    blake3: str | None = None
    #: in the byte order of `zlib.crc32` printed as 8 digits; Civitai prints the bytes reversed
    crc32: str | None = None

    def __post_init__(self) -> None:
        for value in (self.sha256, self.tensors_sha256):
            if value is not None and not is_sha256(value):
                raise ValueError("a SHA-256 must be 64 lower-case hexadecimal digits")

    @property
    def autov2(self) -> str:
        """The first 10 digits of the SHA-256."""
        return self.sha256[:10]

    @property
    def autov3(self) -> str | None:
        """The first 12 digits of the tensor part's SHA-256; None where there are no tensors."""
        if self.tensors_sha256 is None or self.tensors_sha256 == SHA256_OF_NOTHING:
            return None
        return self.tensors_sha256[:AUTOV3_DIGITS]
