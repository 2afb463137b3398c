"""What the answer of a mirror or a storage host means: strangers, of whom nothing is known but the status.

Pure. Nothing that a server sent stands in a trouble's words.
"""

from datetime import datetime
from typing import Final
from urllib.parse import urljoin

from hashtagd.core.retry_after import retry_after_s
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater
from hashtagd.providers import verdicts
from hashtagd.providers.civitai.download_answers import Bytes, DownloadAnswer, Elsewhere
from hashtagd.providers.entrance import origin_of
from hashtagd.providers.guard import check_location

_GOOD: Final = (200, 206)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_REFUSALS: Final = (401, 402, 403)
_GONE: Final = (404, 410)
_TOO_MANY: Final = 429
_SERVER: Final = 500
_SERVER_LIKE: Final = (408, 425, 451, 499)


def judge_mirror(
    url: str, answer: DownloadAnswer, *, now: datetime, sent: bool
) -> Bytes | Elsewhere | Trouble:
    """Tell what an answer of a mirror, or of the storage that a site sent us to, means.

    Args:
        url: what was asked.
        answer: what came.
        now: decides how long a `Retry-After` is.
        sent: the site sent us there, with a proof that it signed a moment ago.

    Returns troubles instead of raising them: of scope `file` where only this file is concerned, of scope
    `provider` where the whole host is.
    """
    origin, status = origin_of(url), answer.status
    html = any("html" in kind.lower() for kind in answer.headers.get("content-type", ()))
    if status in _REDIRECTS:
        return _redirect(url, answer)
    if html and status not in _GONE:
        return verdicts.not_json(origin, status)
    if status in _GOOD:
        return Bytes()
    wait_s = retry_after_s(answer.headers.get("retry-after", ()), now)
    if status == _TOO_MANY:
        return verdicts.rate_limited(origin, wait_s)
    if status >= _SERVER or status in _SERVER_LIKE:
        return verdicts.unreachable(origin, f"status {status}", after_s=wait_s)
    return _refusal(status, sent=sent)


def _refusal(status: int, *, sent: bool) -> Trouble:
    if status not in (*_REFUSALS, *_GONE):
        return no_file(f"its host answered with status {status}")
    if sent:
        return _proof_refused()
    return _door() if status in _REFUSALS else _not_there()


def no_file(why: str) -> GiveUp:
    """Name an address that gives no file."""
    return GiveUp(
        f"a source gave no file: {why}",
        does="hashtagd tries the other addresses of this file",
        you="nothing, or look at the address yourself; `hashtagd retry` tries once more",
        scope=Scope.FILE,
        kind="no_file",
    )


def _redirect(url: str, answer: DownloadAnswer) -> Elsewhere | Trouble:
    places = answer.headers.get("location", ())
    if len(places) != 1:
        return no_file("it redirects to nowhere, or to several places")
    try:
        check_location(places[0])
        return Elsewhere(url=urljoin(url, places[0]))
    except GiveUp as trouble:
        return trouble
    except ValueError:
        return no_file("it redirects to something malformed")


def _door() -> AskOperator:
    return AskOperator(
        "a source gives this file only to those whom it knows",
        does="hashtagd tries the other addresses of this file; it shows your key to no mirror",
        you="download it in a browser if no other address works",
        scope=Scope.FILE,
        kind="mirror_closed",
    )


def _proof_refused() -> TryLater:
    return TryLater(
        "the storage of the site does not take the proof that the site gave us for this file",
        does="hashtagd keeps what came, and asks the site for a new proof later",
        you="nothing; if it lasts, look at the model's page",
        scope=Scope.FILE,
        kind="proof_refused",
    )


def _not_there() -> GiveUp:
    return GiveUp(
        "a source does not have this file any more",
        does="hashtagd tries the other addresses of this file",
        you="nothing; `hashtagd retry` asks once more",
        scope=Scope.FILE,
        kind="file_gone",
    )
