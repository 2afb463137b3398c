"""What an answer to a download address means: bytes, a place to fetch them from, or who acts next.

Pure. The place is signed: it proves by itself who asked, so it gets no key and no token, and it is never
stored or logged. Nothing that a server sent stands in a trouble's words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from hashtagd.core.retry_after import retry_after_s
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from hashtagd.providers import verdicts
from hashtagd.providers.bodies import SpoiledBody, parse_json
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.fields import mapping, moment, words
from hashtagd.providers.entrance import origin_of
from hashtagd.providers.guard import check_location
from hashtagd.providers.media import is_page

_GOOD: Final = (200, 206)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_REGION: Final = 451
_TOO_MANY: Final = 429
_SERVER: Final = 500
_SERVER_LIKE: Final = (408, 425, 499)
#: the site names no time after which its quota for downloads is fresh again
_QUOTA_WAIT_S: Final = 3 * 3_600.0
_OTHERS: Final = "hashtagd goes on with the other addresses of this file"
_NOTHING: Final = "nothing; if it lasts, look at the model's page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """The file itself comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The file is at another place, to be asked without key and token."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadAnswer:
    """The beginning of an answer."""

    status: int
    #: names in lower case; every value that came
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: the whole of a refusal, or the first bytes of a file
    body: bytes = b""


def judge_download(
    url: str, answer: DownloadAnswer, *, with_key: bool, now: datetime
) -> Bytes | Elsewhere | Trouble:
    """Tell what an answer to a Civitai download address means.

    Args:
        url: what was asked; relative redirects are relative to it.
        answer: what came.
        with_key: the request carried a key, so a demand for one means that this one is not accepted.
        now: decides whether a deadline lies ahead.

    Returns troubles instead of raising them: of scope `file` where only this file at this site is concerned,
    of scope `provider` where the whole site is.

    Source: the site's download route; a 404 is no proof that a file is gone.
    """
    origin = origin_of(url)
    status = answer.status
    if status in _GOOD:
        return verdicts.not_json(origin, status) if _is_html(answer) else Bytes()
    if status in _REDIRECTS:
        return _redirect(origin, url, answer, with_key=with_key)
    document = _document(answer.body)
    if status in _REFUSALS and document is not None:
        return _refusal(status, document, with_key=with_key, now=now)
    return _of_the_site(origin, answer, document, now)


def _of_the_site(
    origin: str, answer: DownloadAnswer, document: Mapping[str, Any] | None, now: datetime
) -> Trouble:
    """Name what concerns more than one file."""
    wait_s = retry_after_s(answer.headers.get("retry-after", ()), now)
    if answer.status == _REGION:
        return verdicts.region_blocked(origin)
    if answer.status >= _SERVER or answer.status in _SERVER_LIKE:
        return verdicts.unreachable(origin, f"status {answer.status}", after_s=wait_s)
    if answer.status == _TOO_MANY:
        # in its own words the site speaks of a quota, the edge in front of it of a rate
        quota_s = None if document is None else _QUOTA_WAIT_S
        return verdicts.rate_limited(origin, quota_s if wait_s is None else wait_s)
    if document is None:
        return verdicts.not_json(origin, answer.status)
    return verdicts.unknown_shape(origin, f"status {answer.status}")


def _redirect(origin: str, url: str, answer: DownloadAnswer, *, with_key: bool) -> Elsewhere | Trouble:
    places = answer.headers.get("location", ())
    try:
        there = urljoin(url, places[0]) if len(places) == 1 and places[0] else ""
        parts = urlsplit(there)
        ours = Addresses(there).canonical == Addresses(url).canonical
        # a secure address does not lead to one that everybody on the way can read
        usable = parts.scheme in {"https", urlsplit(url).scheme}
    except ValueError:
        usable = False
    if not usable:
        return verdicts.unreachable(origin, "it sends us nowhere")
    if ours and parts.path.rstrip("/") == "/login":
        return _login_wanted(with_key=with_key)
    if ours and parts.path.startswith("/models/"):  # what browsers are shown instead of a refusal
        return verdicts.not_json(origin, answer.status)
    try:
        check_location(places[0])
    except GiveUp as trouble:
        return trouble
    return Elsewhere(url=there)


def _refusal(status: int, document: Mapping[str, Any], *, with_key: bool, now: datetime) -> Trouble:
    error, said = _told(document)
    if status == _UNAUTHORIZED:
        return _downloads_disabled() if "disabled downloads" in said else _login_wanted(with_key=with_key)
    if status == _FORBIDDEN and error == "early access":
        return _early_access(moment(document.get("deadline")), now)
    return _REFUSALS[status]()


def _told(document: Mapping[str, Any]) -> tuple[str, str]:
    """Give `error`, and all that is said in words; either may be an object or missing."""
    error, message = (words(document.get(name)) or "" for name in ("error", "message"))
    return error.casefold(), f"{error} {message}".casefold()


def _document(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = parse_json(body)
    except SpoiledBody:
        return None
    return mapping(value) if isinstance(value, Mapping) else None


def _is_html(answer: DownloadAnswer) -> bool:
    return is_page(answer.body) or any(
        "html" in kind.lower() for kind in answer.headers.get("content-type", ())
    )


def _login_wanted(*, with_key: bool) -> AskOperator:
    return AskOperator(
        "the site gives this file to nobody who is not logged in"
        + (", and does not take the key it was shown" if with_key else ""),
        does=f"{_OTHERS}, and does not ask here again without another key",
        you="set `api_key_file` of the provider (or $CIVITAI_API_KEY) to a valid key, then `hashtagd retry`",
        scope=Scope.FILE,
        kind="login_wanted",
    )


def _downloads_disabled() -> GiveUp:
    return GiveUp(
        "the creator does not allow downloads of this file",
        does=f"{_OTHERS}, and does not ask here again",
        you="nothing helps here, no key either; ask the creator",
        scope=Scope.FILE,
        kind="downloads_disabled",
    )


def _early_access(ends_at: datetime | None, now: datetime) -> Trouble:
    what = "the file is in early access"
    if ends_at is not None and ends_at > now:
        return TryLater(
            f"{what} until {ends_at:%Y-%m-%d %H:%M} UTC",
            does=f"{_OTHERS}, and asks here again when that has ended",
            you="nothing, or buy access on the model's page and set `api_key_file` to that account's key",
            scope=Scope.FILE,
            kind="early_access",
            after_s=(ends_at - now).total_seconds(),
        )
    return AskOperator(
        f"{what}, and the site names no end",
        does=_OTHERS,
        you="buy access on the model's page, set `api_key_file` to that account's key, then `hashtagd retry`",
        scope=Scope.FILE,
        kind="early_access",
    )


def _no_access() -> AskOperator:
    return AskOperator(
        "the site does not give this file to this account or from this network",
        does=f"{_OTHERS}, and does not ask here again",
        you="open the model's page with your account; if it works there, set `api_key_file` to that "
        "account's key, then `hashtagd retry`",
        scope=Scope.FILE,
        kind="no_access",
    )


def _not_there() -> TryLater:
    return TryLater(
        "the site does not find this file at the moment, or has it no more",
        does=f"{_OTHERS}, and asks here again later",
        you=_NOTHING,
        scope=Scope.FILE,
        kind="file_not_found",
    )


def _archived() -> GiveUp:
    return GiveUp(
        "the creator archived the model, so the site gives out no files",
        does=f"{_OTHERS}, and does not ask here again",
        you="nothing helps here; `hashtagd retry` asks once more",
        scope=Scope.FILE,
        kind="archived",
    )


def _address_refused() -> GiveUp:
    return GiveUp(
        "the site does not understand this address",
        does=f"{_OTHERS}, and does not ask here again",
        you="`hashtagd retry` asks once more",
        scope=Scope.FILE,
        kind="address_refused",
    )


#: what the site says of one file, in its own JSON
_REFUSALS: Final[Mapping[int, Callable[[], Trouble]]] = {
    400: _address_refused,
    401: _downloads_disabled,
    403: _no_access,
    404: _not_there,
    410: _archived,
}
