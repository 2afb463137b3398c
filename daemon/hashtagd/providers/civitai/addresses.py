"""Addresses as they are stored: on one canonical host, without a query that says who asked."""

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from hashtagd.core.addresses import SELECTING, file_id_in
from hashtagd.core.addresses import plain_address as plain
from hashtagd.core.addresses import split_address as _split
from hashtagd.providers.entrance import origin_of

__all__ = ["Addresses", "file_id_in", "names_linked_vae", "plain"]

#: the site's names; stored addresses use the first
_HOSTS = ("civitai.com", "www.civitai.com", "api.civitai.com", "civitai.red", "civitai.green")
_CANONICAL = "https://civitai.com"
_DOWNLOAD = re.compile(r"/api/download/models/\d+")


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
        query = [(name, value) for name, value in parse_qsl(parts.query) if name in SELECTING]
        return self.canonical + parts.path + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def stored(self, url: str) -> str:
        """Give the form of any address that may be stored: no user, no fragment, no telling query."""
        return self.given_download(url) or plain(url) or ""


def names_linked_vae(url: object) -> bool:
    """Tell whether an address asks for a version's VAE by type: that file may belong to another version."""
    parts = _split(url)
    values = dict(parse_qsl(parts.query)) if parts else {}
    return values.get("type") == "VAE" and "fileId" not in values
