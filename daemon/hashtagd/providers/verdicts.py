"""The troubles that answers (and silences) of a site turn into, in three clauses each.

Addresses in them are scheme and host only; nothing a server sent is quoted.
"""

import socket
import ssl
from datetime import UTC, datetime
from typing import Final

import httpcore

from hashtagd.core.troubles import AskOperator, Scope, Trouble, TryLater

_WAITS = "hashtagd asks this site nothing until its gate opens, and loses nothing"
_NOTHING = "nothing, it heals by itself; `hashtagd status` shows when the gate opens"
#: no hashtagd was ever made before this moment, so a clock that shows an earlier one is wrong
_FIRST_RELEASE = datetime(2026, 1, 1, tzinfo=UTC)
_NOT_YET_VALID = 9
_EXPIRED = 10
#: how TLS words that one side speaks only versions that the other refuses
_OTHER_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})
#: the first that fits says what happened
_CAUSES: Final = (
    (socket.gaierror, "its name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ssl.SSLError, "the secure connection broke off"),
)
_ERRORS: Final = (
    (httpcore.ConnectTimeout, "no connection in time"),
    (httpcore.TimeoutException, "the answer did not come in time"),
    (httpcore.ProtocolError, "the answer broke the rules of HTTP"),
    (httpcore.ConnectError, "the connection could not be made"),
)


def unreachable(origin: str, why: str, *, after_s: float | None = None) -> TryLater:
    """Name a site that did not answer properly."""
    return TryLater(
        f"{origin} gave no proper answer: {why}",
        does=_WAITS,
        you=_NOTHING,
        scope=Scope.PROVIDER,
        kind="unreachable",
        after_s=after_s,
    )


def not_json(origin: str, status: int) -> TryLater:
    """Name an answer that is a page for people: maintenance, a challenge, a captive portal."""
    return TryLater(
        f"{origin} answered with a page instead of data (status {status})",
        does=_WAITS,
        you="if it lasts, open the site in a browser: a login page of your own network may stand in between",
        scope=Scope.PROVIDER,
        kind="not_json",
    )


def rate_limited(origin: str, after_s: float | None) -> TryLater:
    """Name a 429."""
    asked = "" if after_s is None else f" and asks for {after_s:.0f} s of silence"
    return TryLater(
        f"{origin} says that we ask too often{asked}",
        does=_WAITS,
        you="nothing; if it happens often, lower `requests_per_minute`",
        scope=Scope.PROVIDER,
        kind="rate_limited",
        after_s=after_s,
    )


def redirected(origin: str, status: int) -> TryLater:
    """Name a redirect where none is expected."""
    return TryLater(
        f"{origin} sends us elsewhere (status {status})",
        does="hashtagd does not follow, because the key must not travel; " + _WAITS,
        you="if it lasts, set the provider's `base_url` to where the site lives now",
        scope=Scope.PROVIDER,
        kind="redirected",
    )


def unknown_shape(origin: str, path: str) -> TryLater:
    """Name an answer whose form we do not know; `path` says where."""
    return TryLater(
        f"{origin} answered in a form we do not know, at `{path}`",
        does="hashtagd counts that as no answer and asks again later",
        you="if it lasts, look for a newer hashtagd: the site may have changed",
        scope=Scope.PROVIDER,
        kind="unknown_shape",
    )


def region_blocked(origin: str) -> AskOperator:
    """Name a 451."""
    return AskOperator(
        f"{origin} does not serve the region this machine asks from (status 451)",
        does="hashtagd asks it nothing for a day",
        you="only another network helps (`network.proxy` leads through one), then `hashtagd retry`; or take "
        "the provider out of `providers` to stop asking",
        scope=Scope.PROVIDER,
        kind="region_blocked",
    )


def key_refused(origin: str) -> AskOperator:
    """Name a site that wants a key and does not take ours, or got none."""
    return AskOperator(
        f"{origin} does not answer without a key that it accepts",
        does="hashtagd asks it nothing for an hour",
        you="set `api_key_file` of the provider (or $CIVITAI_API_KEY) to a valid key, then `hashtagd retry`",
        scope=Scope.PROVIDER,
        kind="key_refused",
    )


def key_malformed(origin: str) -> AskOperator:
    """Name a key that cannot be a key, without showing it."""
    return AskOperator(
        f"the key for {origin} holds characters that no key has",
        does="hashtagd does not use it",
        you="put only the key into the file that `api_key_file` names: one line of plain letters and digits",
        scope=Scope.PROVIDER,
        kind="key_malformed",
    )


def untrusted(origin: str, error: ssl.SSLError, now: datetime) -> AskOperator:
    """Name a certificate that does not hold; says whether the clock of this machine may be the reason."""
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < _FIRST_RELEASE or code == _NOT_YET_VALID:
        clock = f"the clock of this machine looks wrong: it says {shown}"
    elif code == _EXPIRED:
        clock = (
            f"check the clock of this machine: it says {shown}; if that is right, only the site can mend it"
        )
    else:
        clock = f"the clock is not the reason (it says {shown}); look for a proxy or a filter in between"
    return AskOperator(
        f"{origin} could not prove who it is: {_tls_words(error, code)}",
        does="hashtagd never verifies less; it tries again when the gate opens",
        you=clock,
        scope=Scope.PROVIDER,
        kind="untrusted",
    )


def _tls_words(error: ssl.SSLError, code: int) -> str:
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet"
    if code == _EXPIRED:
        return "its certificate has expired"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({error.verify_message})"
    return "no secure connection could be agreed on"


def from_transport(origin: str, error: Exception, now: datetime) -> Trouble:
    """Turn an exception of the wire into a trouble; its text is not used, because it may hold a header."""
    cause = (
        error.__cause__ or error.__context__
    )  # the pool of the library drops the former and keeps the latter
    if isinstance(cause, ssl.SSLError) and _is_distrust(cause):
        return untrusted(origin, cause, now)
    return unreachable(origin, _words(error, cause))


def _is_distrust(error: ssl.SSLError) -> bool:
    """Tell a server that cannot be trusted from one that broke off, as one does that is being restarted."""
    return isinstance(error, ssl.SSLCertVerificationError) or error.reason in _OTHER_VERSION


def _words(error: Exception, cause: BaseException | None) -> str:
    for kind, words in _CAUSES:
        if isinstance(cause, kind):
            return words
    return next((words for kind, words in _ERRORS if isinstance(error, kind)), "the connection broke")
