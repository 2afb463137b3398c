"""Where a stranger's address may lead: judged before anything is connected to.

Addresses of previews and mirrors come from people we do not know. None of them may make this machine talk to
itself, to its neighbours or to a cloud's inner services.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from hashtagd.core.troubles import GiveUp, Scope
from hashtagd.providers.entrance import origin_of

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HTTPS_PORT: Final = 443
_LONGEST_URL: Final = 2_048
_PATH_CHARS: Final = "/%:=,&+@!$'()*;~?"
#: addresses that carry another one inside (NAT64, 6to4, Teredo, IPv4-compatible), and blocks that count as
#: global for the standard library though nobody's pictures live there
_DENIED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "100.64.0.0/10",
    )
)
_SCHEMES: Final = ("https", "http")
#: a name in the form that resolvers know, or an address of version 6
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)
#: a whole address; one without a host would be taken for a path on the host it came from
_WHOLE: Final = re.compile(r"https?://[^/?#\\]", re.IGNORECASE)
#: a host whose last part is a number in any base is an address in some spelling
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)


def check_url(url: str, allowed_origins: Collection[str]) -> str:
    """Judge an address by its text and give it in the form to ask for.

    Args:
        url: from a stranger.
        allowed_origins: what the owner allows besides: they may be plain http, on any port, on any address.

    Raises:
        GiveUp: scope `file`, when it must not be asked for.
    """
    parts = _split(url)
    if origin_of(url) not in allowed_origins:
        _check_parts(parts)
    query = f"?{quote(parts.query, safe=_PATH_CHARS)}" if parts.query else ""
    return f"{origin_of(url)}{quote(parts.path or '/', safe=_PATH_CHARS)}{query}"


def check_addresses(host: str, addresses: Sequence[str]) -> None:
    """Judge all addresses of a host.

    Raises:
        GiveUp: scope `file`, when there is none, or when any of them is not one of the public internet.
    """
    if not addresses or any(is_inside(text) for text in addresses):
        raise refused(f"the host {host[:100]} is not on the public internet")


def is_inside(text: str) -> bool:
    """Tell whether an address is private, local, reserved, or a wrapped form of any address."""
    try:
        address: _Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address.version == network.version and address in network for network in _DENIED):
        return True
    return not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified


def check_location(location: str) -> None:
    """Judge the text of a redirect: a whole https address or a path on the same host, nothing cleverer.

    Raises:
        GiveUp: scope `file`.
    """
    path = location.startswith("/") and not location.startswith(("//", "/\\"))
    if not path and _WHOLE.match(location) is None:
        raise refused("it redirects to something that is no plain https address")


def refused(why: str) -> GiveUp:
    """Name an address that is not asked for."""
    return GiveUp(
        f"an address was refused: {why}",
        does="hashtagd does not fetch it, and tries the next one, if there is one",
        you="if you trust the host, add its origin to `network.allowed_origins`",
        scope=Scope.FILE,
        kind="address_refused",
    )


def _split(url: str) -> SplitResult:
    if len(url) > _LONGEST_URL or not url.isprintable() or "\\" in url:
        raise refused("it is too long, or holds characters that no address has")
    try:
        parts = urlsplit(url)
        usable = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0 and parts.scheme in _SCHEMES
    except ValueError:
        raise refused("it is malformed") from None
    if not usable:
        raise refused("it names no host, or no scheme that files come by")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise refused("it carries a user name or a password")
    return parts


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme != "https":
        raise refused("it is not https")
    if parts.port not in (None, _HTTPS_PORT):
        raise refused("it names an unusual port")
    host = parts.hostname or ""
    if _is_literal(host):
        check_addresses(host, [host])


def _is_literal(host: str) -> bool:
    """Tell whether a host is an address in any spelling; odd spellings then fail as addresses."""
    return ":" in host or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None
