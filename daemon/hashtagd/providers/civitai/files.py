"""Files of a version: which one is ours, in which order they stand, where each can be fetched."""

from collections.abc import Mapping
from typing import Any

from hashtagd.core.card import Download, DownloadUrl
from hashtagd.providers.civitai.addresses import Addresses, file_id_in, names_linked_vae
from hashtagd.providers.civitai.fields import identity, mapping, mappings, words

_TRAINING = "Training Data"
#: file types that are the model itself, whatever kind of model it is
_MAIN_TYPES = ("Model", "Pruned Model", "UNet", "Diffusion Model")
_SHA256_DIGITS = 64
_AUTOV3_DIGITS = 12
_KIB = 1024
_LARGEST_KIB = 2**40


def sha256_of(file: Mapping[str, Any]) -> str | None:
    """Give the SHA-256 that the site states for a file, lower-case; None while scans are pending."""
    return _hex(mapping(file.get("hashes")).get("SHA256"), _SHA256_DIGITS)


def autov3_of(file: Mapping[str, Any]) -> str | None:
    """Give the first 12 digits of the tensor hash; captures of some years hold all 64."""
    return _hex(mapping(file.get("hashes")).get("AutoV3"), _AUTOV3_DIGITS)


def hashes_of(version: Mapping[str, Any]) -> set[str]:
    """Give the SHA-256 of all files that a version shows."""
    return {found for file in mappings(version.get("files")) if (found := sha256_of(file))}


def size_bytes_of(file: Mapping[str, Any]) -> int | None:
    """Give the size; the site states KiB as a fraction that is exact."""
    size = file.get("sizeKB")
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < _LARGEST_KIB:
        return None
    return round(size * _KIB)


def downloads(
    version: Mapping[str, Any],
    *,
    version_id: int,
    sha256: str | None,
    addresses: Addresses,
    paid: bool | None = None,
) -> tuple[Download, ...]:
    """Give all files: the matched one, the primary one, other models, the rest, Training Data last.

    Args:
        version: the version's document.
        version_id: its number.
        sha256: of the matched file; None where none is known.
        addresses: where stored addresses point.
        paid: the site asks for money; None where it does not say.
    """
    made = [_download(file, version_id, addresses, paid=paid) for file in mappings(version.get("files"))]

    def rank(item: Download) -> tuple[bool, bool, bool, bool]:
        matched = sha256 is not None and item.sha256 == sha256
        return (not matched, item.type == _TRAINING, not item.primary, item.type not in _MAIN_TYPES)

    return tuple(sorted(made, key=rank))


def _download(
    file: Mapping[str, Any], version_id: int, addresses: Addresses, *, paid: bool | None
) -> Download:
    file_id = identity(file.get("id")) or file_id_in(file.get("downloadUrl"))
    kind = words(file.get("type")) or "Model"
    return Download(
        file_id=file_id,
        name=words(file.get("name")) or "",
        type=kind,
        primary=file.get("primary") is True,
        size_bytes=size_bytes_of(file),
        sha256=sha256_of(file),
        autov3=autov3_of(file),
        urls=tuple(
            # who asks for money stands at the door, too
            DownloadUrl(url=url, source="civitai", gated=paid, paid=paid)
            for url in _urls(file, version_id, file_id, addresses)
        ),
    )


def _urls(
    file: Mapping[str, Any], version_id: int, file_id: int | None, addresses: Addresses
) -> dict[str, None]:
    """Give the exact form first; the typed form that the site gave may lead to another file."""
    given = addresses.given_download(file.get("downloadUrl"))
    linked = given is not None and names_linked_vae(given)
    exact = addresses.download(version_id, file_id) if file_id and not linked else None
    return dict.fromkeys(url for url in (exact, given) if url)


def _hex(value: object, digits: int) -> str | None:
    if not isinstance(value, str) or len(value) < digits:
        return None
    text = value.strip().lower()[:digits]
    return text if len(text) == digits and set(text) <= set("0123456789abcdef") else None
