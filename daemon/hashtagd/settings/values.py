"""Rules for single values of the settings. A message here never holds the value it speaks of."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import ValidationInfo

from hashtagd.core.whole_paths import RULE

_MAX_PORT = 65_535
_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})", re.ASCII)
ROOT_NAME_MAX = 100
_SECRET_QUERY_NAMES = frozenset({"password", "sslpassword", "passwd", "pwd"})


def home_folder(environ: Mapping[str, str]) -> Path | None:
    """Give the home folder that `~` stands for; None when the environment names none."""
    home = environ.get("HOME", "")
    return Path(home) if os.path.isabs(home) else None  # noqa: PTH117 - a string, not yet a path


def expand_home(text: str, home: Path | None) -> str:
    """Replace a leading `~`; `~name` stays, and is refused later for being relative.

    Raises:
        ValueError: there is a `~` but no home folder.
    """
    if text != "~" and not text.startswith("~/"):
        return text
    if home is None:
        raise ValueError("cannot be used: ~ needs $HOME, which is not set; write the whole path")
    return f"{home}{text[1:]}"


def absolute_path(path: Path, info: ValidationInfo) -> Path:
    """Expand `~` and insist on an absolute path, otherwise spelled as given."""
    expanded = Path(expand_home(str(path), _home(info)))
    if not expanded.is_absolute():
        raise ValueError(RULE)
    if ".." in expanded.parts:
        raise ValueError("must not contain ..")
    return expanded


def catalog_url(url: str, info: ValidationInfo) -> str:
    """Insist on SQLite with an absolute path or on PostgreSQL without a password."""
    scheme, separator, rest = url.partition("://")
    engine = scheme.partition("+")[0]
    if not separator or engine not in ("sqlite", "postgresql"):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    if engine == "sqlite":
        return _sqlite_url(scheme, rest, info)
    parts = _split(url)
    if parts.password is not None or _SECRET_QUERY_NAMES & {key for key, _ in parse_qsl(parts.query)}:
        raise ValueError("must not hold a password; put it in ~/.pgpass or $PGPASSWORD")
    return url


def http_url(url: str) -> str:
    """Insist on http or https with a host and without a login, query or fragment."""
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a login")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or a fragment")
    return url


def origin(url: str) -> str:
    """Insist on scheme, host and port alone; a trailing slash is taken off."""
    bare = http_url(url).removesuffix("/")
    if _split(bare).path:
        raise ValueError("must be scheme, host and port only, for example https://mirror.example:8443")
    return bare


def listen_address(text: str) -> str:
    """Insist on `host:port`."""
    found = _LISTEN.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= _MAX_PORT:
        raise ValueError("must be host:port, for example 127.0.0.1:8765")
    return text


def root_name(text: str) -> str:
    """Insist on a short printable name: it stands in the catalog, in logs and on the command line."""
    if not 1 <= len(text) <= ROOT_NAME_MAX or "/" in text or text != text.strip() or not text.isprintable():
        raise ValueError("must be 1 to 100 printable characters without /")
    return text


def _home(info: ValidationInfo) -> Path | None:
    context: Mapping[str, Path | None] = info.context or {}
    return context.get("home")


def _sqlite_url(scheme: str, rest: str, info: ValidationInfo) -> str:
    path = expand_home(rest.removeprefix("/"), _home(info))
    if not path.startswith("/"):
        raise ValueError("must name an absolute path: sqlite:////srv/catalog.db or sqlite:///~/catalog.db")
    return f"{scheme}:///{path}"


def _split(url: str) -> SplitResult:
    # urlsplit quotes what it refuses, so its words are not passed on
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a well-formed address") from None
    return parts
