"""Who may look: pages of other sites, and names that somebody else controls, may not. Pure.

A browser on this machine lets every page send requests to it. What a page sends is told by its headers: a
`Host` that is no name of ours (a rebound name), an `Origin` that is not our own, a fetch from another site.
Comparing the two with each other would not do: of a rebound name both are the attacker's.

Source: the Fetch standard (Origin, Sec-Fetch-Site); RFC 9110, 7.2 (Host).
"""

from collections.abc import Mapping
from typing import Final

_READING: Final = ("GET", "HEAD")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
#: a link that was clicked is no reading by script: the page that has it sees nothing of the answer
_OWN_FETCHES: Final = ("same-origin", "none")
_FORBIDDEN: Final = 403
_METHOD: Final = 405

#: sent with every answer
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(
        f"{name} 'none'" for name in ("default-src", "base-uri", "form-action", "frame-ancestors")
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def own_hosts(host: str, port: int) -> frozenset[str]:
    """List what `Host` may be for a server that listens there."""
    named = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return frozenset(f"{name}:{port}" for name in (*_LOOPBACK_NAMES, named.lower()))


def refusal(method: str, headers: Mapping[str, str], hosts: frozenset[str]) -> int | None:
    """Judge a request by its head.

    Args:
        method: of the request.
        headers: names in lower case; of several of one name, their values joined by commas.
        hosts: what `Host` may be.

    Returns the status to refuse it with; None: it may be answered.
    """
    if headers.get("host", "").lower() not in hosts:
        return _FORBIDDEN
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return _FORBIDDEN
    if headers.get("sec-fetch-site", "none").lower() not in _OWN_FETCHES:
        return _FORBIDDEN
    return None if method in _READING else _METHOD
