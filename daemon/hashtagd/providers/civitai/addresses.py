"""Addresses as they are stored: on one canonical host, without a query that says who asked."""

import re
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from hashtagd.providers.entrance import origin_of

#: the site's names; stored addresses use the first
_HOSTS = ("civitai.com", "www.civitai.com", "api.civitai.com", "civitai.red", "civitai.green")
_CANONICAL = "https://civitai.com"
#: query names that select something; every other one may be a proof, a token or a trace
_PLAIN_NAMES = frozenset({"fileId", "fp", "modelVersionId", "type", "format", "size"})
#: names that select the size of a picture
_SIZE_NAMES = frozenset({"width", "height", "quality"})
_DOWNLOAD = re.compile(r"/api/download/models/\d+")
#: characters that a stored path keeps as they are
_PATH_CHARS = "/%:=,&+@!$'()*;~"


class Addresses:
    """Builds and rebuilds addresses of one site.

    Args:
        base_url: where the API is asked. Any of the site's own names leads to the canonical one; another
            origin (a mirror, a test server) is its own canonical one.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.canonical = _CANONICAL if parts.hostname in _HOSTS else origin_of(base_url)

    def page(self, model_id: int, version_id: int) -> str:
        """Give the page of a version."""
        return f"{self.canonical}/models/{model_id}?modelVersionId={version_id}"

    def download(self, version_id: int, file_id: int) -> str:
        """Give the address that names exactly one file."""
        return f"{self.canonical}/api/download/models/{version_id}?fileId={file_id}"

    def given_download(self, url: object) -> str | None:
        """Put a download address that the site gave on the canonical host; None where it is no such address.

        Its host is never trusted: one route gives addresses on a host called `undefined`.
        """
        parts = _split(url)
        if parts is None or not _DOWNLOAD.fullmatch(parts.path):
            return None
        query = [(name, value) for name, value in parse_qsl(parts.query) if name in _PLAIN_NAMES]
        return self.canonical + parts.path + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def stored(self, url: str) -> str:
        """Give the form of any address that may be stored: no user, no fragment, no telling query."""
        return self.given_download(url) or plain(url) or ""


def plain(url: object) -> str | None:
    """Give an http(s) address without user and fragment; its query stays only if every name is harmless."""
    parts = _split(url)
    if parts is None:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    query = (
        f"?{quote(parts.query, safe=_PATH_CHARS)}" if names and names <= _PLAIN_NAMES | _SIZE_NAMES else ""
    )
    return f"{parts.scheme}://{host}{port}{quote(parts.path, safe=_PATH_CHARS)}{query}"


def file_id_in(url: object) -> int | None:
    """Read the file's id out of a download address."""
    parts = _split(url)
    values = dict(parse_qsl(parts.query)) if parts else {}
    text = values.get("fileId", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def names_linked_vae(url: object) -> bool:
    """Tell whether an address asks for a version's VAE by type: that file may belong to another version."""
    parts = _split(url)
    values = dict(parse_qsl(parts.query)) if parts else {}
    return values.get("type") == "VAE" and "fileId" not in values


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return None
    return parts if usable else None
