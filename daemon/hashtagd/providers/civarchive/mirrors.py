"""Where copies of a file lie: addresses resolved, cleaned, and put in the order to try them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from hashtagd.core.card import Download, DownloadUrl
from hashtagd.providers.civarchive.answers import civitai_id, is_gone, sha256_of
from hashtagd.providers.civitai.addresses import Addresses, plain
from hashtagd.providers.civitai.fields import flag, mappings, words
from hashtagd.providers.entrance import origin_of

CIVITAI: Final = "civitai"
_SITE: Final = Addresses("https://civitai.com")
#: hosts that are known by a shorter name
_SOURCES: Final[Mapping[str, str]] = {"huggingface.co": "huggingface"}
_TRAINING: Final = "Training Data"
_MAIN_TYPES: Final = ("Model", "Pruned Model", "UNet", "Diffusion Model")
#: what the archive puts where it does not know a size
_PLACEHOLDER_KIB: Final = 0.01
_KIB: Final = 1024
_LARGEST_KIB: Final = 2**40


class Places:
    """Turns the archive's addresses into those that may be stored.

    Args:
        base_url: what relative addresses are relative to.
    """

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/") + "/"
        self._origin = origin_of(base_url)

    def page(self, model_id: int, version_id: int) -> str:
        """Give the archive's page of a version; Civitai's own may be gone."""
        return f"{self._origin}/models/{model_id}?modelVersionId={version_id}"

    def stored(self, url: object) -> str | None:
        """Give an address as it may be stored: whole, no user, no token; None where there is none."""
        text = url.strip() if isinstance(url, str) else ""
        if not text.startswith(("/", "https://", "http://")):
            return None
        try:
            whole = urljoin(self._base, text)
        except ValueError:
            return None
        kept = plain(whole)
        # of Civitai's download addresses the names that select a file stay
        return _SITE.stored(whole) if kept and _is_civitai(kept) else kept

    def source(self, url: str) -> str:
        """Name who keeps a copy, by its stored address."""
        if _is_civitai(url):
            return CIVITAI
        if origin_of(url) == self._origin:
            return "civarchive"
        host = urlsplit(url).hostname or ""
        return _SOURCES.get(host, host)


def downloads(
    files: Sequence[Mapping[str, Any]], *, sha256: str, places: Places, gone: bool, foreign: bool
) -> tuple[Download, ...]:
    """Give all files: ours, the primary one, other models, the rest, Training Data last.

    Args:
        files: of one version.
        sha256: ours.
        places: cleans addresses.
        gone: the site the version comes from has deleted it.
        foreign: that site is not Civitai, so its numbers of files are nobody's here.
    """
    # the only file is the primary one, whatever its mark says
    made = [_download(file, places, primary=len(files) == 1, gone=gone) for file in files]
    if foreign:
        made = [replace(item, file_id=None) for item in made]

    def rank(item: Download) -> tuple[bool, bool, bool, bool]:
        return (
            item.sha256 != sha256,
            item.type == _TRAINING,
            not item.primary,
            item.type not in _MAIN_TYPES,
        )

    return tuple(sorted(made, key=rank))


def live_mirrors(file: Mapping[str, Any], places: Places) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the copies of a file that are not marked as deleted, with their stored addresses."""
    for mirror in mappings(file.get("mirrors")):
        url = None if is_gone(mirror) else places.stored(mirror.get("url"))
        if url is not None:
            yield url, mirror


def is_civitai_copy_gone(file: Mapping[str, Any]) -> bool:
    """Tell whether all copies on Civitai itself that the archive lists are marked as deleted."""
    copies = [
        mirror for mirror in mappings(file.get("mirrors")) if _stated_source(mirror.get("source")) == CIVITAI
    ]
    return bool(copies) and all(is_gone(mirror) for mirror in copies)


def size_bytes_of(file: Mapping[str, Any]) -> int | None:
    """Give the size; None for the placeholder."""
    size = file.get("size_kb")
    if isinstance(size, str):
        try:
            size = float(size)
        except ValueError:
            return None
    if isinstance(size, bool) or not isinstance(size, int | float):
        return None
    return round(size * _KIB) if _PLACEHOLDER_KIB < size < _LARGEST_KIB else None


def _download(file: Mapping[str, Any], places: Places, *, primary: bool, gone: bool) -> Download:
    return Download(
        file_id=civitai_id(file.get("id")),
        name=words(file.get("name")) or "",
        type=words(file.get("type")) or "Model",
        primary=primary or file.get("is_primary") is True,
        size_bytes=size_bytes_of(file),
        sha256=sha256_of(file),
        autov3=None,
        urls=_urls(file, places, gone=gone or is_gone(file)),
    )


def _urls(file: Mapping[str, Any], places: Places, *, gone: bool) -> tuple[DownloadUrl, ...]:
    found: dict[str, DownloadUrl] = {}
    for url, mirror in live_mirrors(file, places):
        source = _stated_source(mirror.get("source")) or places.source(url)
        paid = flag(mirror.get("is_paid"))
        found.setdefault(url, DownloadUrl(url=url, source=source, gated=_gated(mirror), paid=paid))
    own = places.stored(file.get("download_url"))
    if own is not None and not _is_dead(own, file, places):
        found.setdefault(own, DownloadUrl(url=own, source=places.source(own)))

    def hopelessness(url: DownloadUrl) -> tuple[bool, bool, bool]:
        # nobody waits at a door first that others walk through, nor where the house is gone
        return (gone and url.source == CIVITAI, url.paid is True, url.gated is True)

    return tuple(sorted(found.values(), key=hopelessness))


def _is_dead(url: str, file: Mapping[str, Any], places: Places) -> bool:
    """Tell whether a file's own address is that of a copy marked as deleted, in whatever form."""
    if places.source(url) == CIVITAI and is_civitai_copy_gone(file):
        return True
    dead = [mirror for mirror in mappings(file.get("mirrors")) if is_gone(mirror)]
    return url in (places.stored(mirror.get("url")) for mirror in dead)


def _gated(mirror: Mapping[str, Any]) -> bool | None:
    """Tell whether a copy wants an account or money; None where the archive does not say."""
    gated, paid = flag(mirror.get("is_gated")), flag(mirror.get("is_paid"))
    return True if paid else gated


def _stated_source(value: object) -> str | None:
    text = words(value)
    return text.casefold() if text else None


def _is_civitai(url: str) -> bool:
    return Addresses(url).canonical == _SITE.canonical
