"""A polite client for one site's API: gate before every request, brief tries, every failure a trouble.

It never sleeps (waits go through `Pause`), follows no redirects, logs nothing; its texts never hold the key.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from tenacity import RetryCallState, Retrying, retry_if_exception

from hashtagd import __version__
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.bodies import SpoiledBody, header_values, read_body
from hashtagd.providers.entrance import enter, origin_of
from hashtagd.providers.judging import Blip, RawReply, Reply, json_or_none, judge
from hashtagd.providers.keys import LookupKey
from hashtagd.providers.surroundings import Surroundings
from hashtagd.providers.wire import TRANSPORT_ERRORS, Limits, Wire

__all__ = ["USER_AGENT", "PoliteClient", "Reply"]

#: no word of it may be a browser's name: the site answers browsers with pages
USER_AGENT = f"hashtagd/{__version__}"

_TRIES = 3
_BRIEF_S = 10.0
_FIRST_WAIT_S = 0.5
_HOUR_S = 3_600.0
_GOOD = range(200, 300)
_REFUSALS = (401, 403)
#: what one question may take, route after route; a probe of more than that has shown enough
_MOST_OF_A_PROBE = 10


class _Trial(threading.local):
    """The probe that this thread is in, if it asks for several things together."""

    open = False
    probing = False
    answered = 0

    def reset(self, *, is_open: bool) -> None:
        self.open, self.probing, self.answered = is_open, False, 0


class PoliteClient:
    """Asks one origin.

    Args:
        base_url: scheme and host, perhaps a path that all calls share.
        max_in_flight: requests at one moment, over all threads.
        limits: of one exchange.
    """

    def __init__(
        self,
        base_url: str,
        surroundings: Surroundings,
        *,
        max_in_flight: int = 2,
        limits: Limits | None = None,
    ) -> None:
        self.origin = origin_of(base_url)
        self._base = base_url.rstrip("/")
        self._outside = surroundings
        self._room = threading.BoundedSemaphore(max_in_flight)
        self._key = LookupKey(self.origin, surroundings)
        self._trial = _Trial()
        self._wire = Wire(
            clock=surroundings.clock,
            limits=limits,
            proxy=surroundings.proxy,
            ssl_context=surroundings.ssl_context,
        )

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let the requests inside count as one for the gate: a probe succeeds when all were answered.

        Else a site of which only the first route answers would open the gate with every probe, close it
        with the next request, and never be left alone for longer than after its first failure.
        """
        trial = self._trial
        trial.reset(is_open=True)
        try:
            yield
            if trial.probing and trial.answered:
                self._outside.gatekeeper.succeeded(self.origin)
        finally:
            trial.reset(is_open=False)

    def get_json(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        shape: type[Any] = dict,
        lone: bool = False,
    ) -> Reply:
        """Get a document.

        Args:
            path: appended to the base address.
            params: the query.
            shape: `dict` or `list`: what a good answer's document is; another one is a trouble.
            lone: the question is about one thing, so an error of the server in its own JSON is returned
                after the brief tries, instead of closing the gate for everybody.

        Returns a JSON answer: status 2xx, or a refusal such as 400 and 404.

        Raises:
            Trouble: scope `provider`; the gate is closed already.
            Stopping: a stop was requested.
        """
        query = f"?{urlencode(params, safe=',')}" if params else ""
        return self._ask("GET", f"{self._base}{path}{query}", None, shape, lone=lone)

    def post_json(self, path: str, body: object, *, shape: type[Any] = list) -> Reply:
        """Post a document; returns and raises as `get_json`."""
        return self._ask("POST", f"{self._base}{path}", json.dumps(body).encode(), shape, lone=False)

    def shut(self, trouble: Trouble, wait_s: float | None = None) -> Trouble:
        """Close the gate and give the trouble back, to be raised."""
        self._trial.probing = False
        self._outside.gatekeeper.close(self.origin, trouble, wait_s)
        return trouble

    def _ask(self, method: str, url: str, content: bytes | None, shape: type[Any], *, lone: bool) -> Reply:
        clock = self._outside.clock
        started_s = clock.monotonic_s()

        def tired(state: RetryCallState) -> bool:
            spent_s = clock.monotonic_s() - started_s
            return state.attempt_number >= _TRIES or spent_s + _wait_s(state) >= _BRIEF_S

        brief = Retrying(
            stop=tired,
            wait=_wait_s,
            retry=retry_if_exception(lambda error: isinstance(error, Blip) and error.again),
            sleep=self._sleep,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            reply: Reply = brief(self._once, method, url, content, shape)
        except Blip as blip:
            if lone and blip.reply is not None:
                return blip.reply
            raise self.shut(blip.trouble, blip.wait_s) from None
        return reply

    def _sleep(self, seconds: float) -> None:
        if self._outside.pause.wait(seconds):
            raise Stopping

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reason = error.trouble.kind if isinstance(error, Blip) else "unknown"
        values = {"origin": self.origin, "tries": state.attempt_number, "reason": reason}
        self._outside.tell("request_retried", values)

    def _once(self, method: str, url: str, content: bytes | None, shape: type[Any]) -> Reply:
        probe = self._enter()
        try:
            reply = self._reply(method, url, content)
            self._check(reply, shape)
        except Blip as blip:
            # a probe is one request: the gate lets no second one in before this one has succeeded
            blip.again = blip.again and not probe
            raise
        self._succeeded()
        return reply

    def _reply(self, method: str, url: str, content: bytes | None) -> Reply:
        raw = self._exchange(method, url, content)
        while raw.status in _REFUSALS and isinstance(json_or_none(raw), Mapping):
            if not self._key.refused():
                raise Blip(verdicts.key_refused(self.origin), again=False, wait_s=_HOUR_S)
            self._succeeded()  # it is there; only the door wants a key
            self._enter()
            raw = self._exchange(method, url, content)
        return judge(self.origin, raw, self._outside.clock.now())

    def _check(self, reply: Reply, shape: type[Any]) -> None:
        if reply.status in _GOOD and not isinstance(reply.body, shape):
            raise Blip(verdicts.unknown_shape(self.origin, "$"), again=False)

    def _enter(self) -> bool:
        """Pass the gate, which stays closed to others while we probe; returns whether we do."""
        outside, trial = self._outside, self._trial
        if trial.probing:
            if outside.pause.stopping:
                raise Stopping
            return True
        entered = enter(self.origin, gatekeeper=outside.gatekeeper, clock=outside.clock, pause=outside.pause)
        trial.probing = trial.open and entered.probe
        return entered.probe

    def _succeeded(self) -> None:
        trial = self._trial
        trial.answered += 1
        if trial.probing and trial.answered < _MOST_OF_A_PROBE:
            return
        trial.probing = False
        self._outside.gatekeeper.succeeded(self.origin)

    def _exchange(self, method: str, url: str, content: bytes | None) -> RawReply:
        try:
            with self._room, self._wire.exchange(method, url, self._headers(content), content) as response:
                return RawReply(
                    status=response.status_code,
                    body=read_body(response, self._wire.limits.body_bytes),
                    retry_after=header_values(response, b"retry-after"),
                )
        except SpoiledBody as spoiled:
            raise Blip(verdicts.unreachable(self.origin, str(spoiled)), again=spoiled.cut) from None
        except TRANSPORT_ERRORS as error:
            trouble = verdicts.from_transport(self.origin, error, self._outside.clock.now())
            raise Blip(trouble, again=trouble.kind != "untrusted") from None

    def _headers(self, content: bytes | None) -> dict[str, str]:
        kind = {} if content is None else {"Content-Type": "application/json"}
        return {
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            **kind,
            **self._key.headers,
        }


def _wait_s(state: RetryCallState) -> float:
    """Double from half a second, or wait what a short `Retry-After` asks for."""
    error = state.outcome.exception() if state.outcome else None
    wanted_s = error.wait_s if isinstance(error, Blip) else None
    doubled_s: float = _FIRST_WAIT_S * 2 ** (state.attempt_number - 1)
    return max(doubled_s, wanted_s or 0.0)
