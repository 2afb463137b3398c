"""What a status, a content type and a body mean for whoever asked: a reply, or a blip.

Only well-formed JSON is ever a reply. "Not found" in HTML is a wrong address, not a model that is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hashtagd.core.retry_after import retry_after_s
from hashtagd.core.troubles import Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.bodies import SpoiledBody, parse_json

#: a longer wish of the server is the gate's business, not one for brief tries
_LONGEST_BRIEF_WAIT_S = 5.0
_DAY_S = 86_400.0

_GOOD = range(200, 300)
_REDIRECT = range(300, 400)
_TOO_MANY = 429
_REGION = 451
#: client errors that mean "again, please": time-outs, and clients that the server believes gone
_SERVER_LIKE = (408, 425, 499)
_SERVER = 500
#: how the site words "your paging goes too deep", which it sends with status 429
_TOO_DEEP = "too many pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A well-formed answer, of whatever status is the caller's to judge."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReply:
    """What came over the wire."""

    status: int
    body: bytes
    retry_after: Sequence[str] = field(default=())


class Blip(Exception):  # noqa: N818 - carries a trouble, is none itself
    """No proper answer this time.

    Args:
        trouble: what it becomes if it stays.
        again: a second try within seconds may help.
        wait_s: how long the site wants silence; None when it does not say.
        reply: the site's own JSON about an error of the server, for callers that ask about one thing only.
    """

    def __init__(
        self, trouble: Trouble, *, again: bool, wait_s: float | None = None, reply: Reply | None = None
    ) -> None:
        super().__init__(trouble.kind)
        self.trouble = trouble
        self.again = again
        self.wait_s = wait_s
        self.reply = reply


def judge(origin: str, raw: RawReply, now: datetime) -> Reply:
    """Tell what an answer means.

    Raises:
        Blip: it is none.
    """
    if raw.status == _REGION:
        raise Blip(verdicts.region_blocked(origin), again=False, wait_s=_DAY_S)
    if raw.status in _REDIRECT:
        raise Blip(verdicts.redirected(origin, raw.status), again=False)
    if raw.status >= _SERVER or raw.status in _SERVER_LIKE:
        raise _server_error(origin, raw, now)
    if raw.status == _TOO_MANY:
        return _too_many(origin, raw, now)
    return Reply(status=raw.status, body=_document(origin, raw))


def json_or_none(raw: RawReply) -> object:
    """Give the JSON document of an answer, None where it holds none."""
    try:
        return parse_json(raw.body)
    except SpoiledBody:
        return None


def _server_error(origin: str, raw: RawReply, now: datetime) -> Blip:
    wait_s = retry_after_s(raw.retry_after, now)
    document = json_or_none(raw)
    reply = Reply(status=raw.status, body=document) if isinstance(document, Mapping) else None
    trouble = verdicts.unreachable(origin, f"status {raw.status}", after_s=wait_s)
    brief = wait_s is None or wait_s <= _LONGEST_BRIEF_WAIT_S
    return Blip(trouble, again=brief, wait_s=wait_s, reply=reply)


def _too_many(origin: str, raw: RawReply, now: datetime) -> Reply:
    document = json_or_none(raw)
    if isinstance(document, Mapping) and _TOO_DEEP in str(document.get("error")):
        return Reply(status=raw.status, body=document)
    wait_s = retry_after_s(raw.retry_after, now)
    raise Blip(verdicts.rate_limited(origin, wait_s), again=False, wait_s=wait_s)


def _document(origin: str, raw: RawReply) -> object:
    try:
        return parse_json(raw.body)
    except SpoiledBody as spoiled:
        page = raw.body.lstrip()[:1] == b"<"
        trouble: Trouble = verdicts.not_json(origin, raw.status)
        if not page and raw.status in _GOOD:
            trouble = verdicts.unreachable(origin, str(spoiled))
        # half a document may come whole the second time; a page stays a page
        raise Blip(trouble, again=spoiled.cut and not page) from None
