"""Whose bytes a file claims to hold: the hash of its tensors and its number on Civitai, as its header says.

A claim is good for asking early and for showing what the file says. It proves nothing: headers are copied
from other files, and anybody can write one.

Source: kohya's scripts (`sshs_model_hash`), Stability AI's ModelSpec (`modelspec.hash_sha256`), and the
addresses and resource names of Civitai.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hashtagd.core.digests import SHA256_OF_NOTHING, is_sha256
from hashtagd.core.header import Header

_HASH_KEYS: Final = ("sshs_model_hash", "modelspec.hash_sha256")
_LONGEST_CLAIM: Final = 2_000

#: at most 18 digits, so that every store can hold it
_ID: Final = r"[1-9][0-9]{0,17}"
_AIR: Final = re.compile(
    rf"(?P<air>urn:air:[a-z0-9_-]{{1,32}}:[a-z0-9_-]{{1,32}}:civitai:(?P<model>{_ID})(?:@(?P<version>{_ID}))?)"
    r"(?:[:.?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_ARN: Final = re.compile(
    rf"(?:urn:)?civitai:model:(?P<model>{_ID})(?::version:(?P<version>{_ID}))?", re.IGNORECASE
)
_PAGE: Final = re.compile(
    rf"https?://(?:www\.)?civitai\.(?:com|red|green)/models/(?P<model>{_ID})(?:/[^?#\s]*)?"
    rf"(?:\?(?:[^#\s]*&)?modelVersionId=(?P<version>{_ID})(?:[&#]\S*)?|[?#]\S*)?",
    re.IGNORECASE,
)
_CLAIMS: Final = (("air", _AIR), ("modelspec.air", _AIR), ("source_arn", _ARN), ("source_url", _PAGE))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedVersion:
    """A model on Civitai, and the version of it where the file says which."""

    model_id: int
    version_id: int | None = None
    #: only where the file states it: it cannot be made from the numbers
    air: str | None = None


def claimed_tensors_sha256(header: Header) -> str | None:
    """Give the SHA-256 that the file claims for its tensor part, 64 lower-case digits; None without one."""
    for key in _HASH_KEYS:
        value: object = header.metadata.get(key)
        text = value.strip().lower().removeprefix("0x") if isinstance(value, str) else ""
        if is_sha256(text) and text != SHA256_OF_NOTHING:
            return text
    return None


def claimed_version(metadata: Mapping[str, str]) -> ClaimedVersion | None:
    """Give the model the file claims to be: the first claim that names a version, else the first of all."""
    first: ClaimedVersion | None = None
    for claim in _claims(metadata):
        if claim.version_id is not None:
            return claim
        first = first or claim
    return first


def _claims(metadata: Mapping[str, str]) -> Iterator[ClaimedVersion]:
    for key, form in _CLAIMS:
        value: object = metadata.get(key)
        found = (
            form.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= _LONGEST_CLAIM else None
        )
        if found is not None:
            parts = found.groupdict()
            yield ClaimedVersion(
                model_id=int(parts["model"]),
                version_id=int(parts["version"]) if parts["version"] else None,
                air=parts.get("air"),
            )
