"""Origins and the way through their gates."""

from urllib.parse import urlsplit

from hashtagd.core.ports import Admitted, Clock, Closed, Gatekeeper, Pause, Stopping
from hashtagd.core.troubles import Trouble, TryLater

_USUAL_PORTS = {"https": 443, "http": 80}
#: never 0: a gate that opens "now" by a clock a little behind ours must not become a busy loop
_SHORTEST_WAIT_S = 0.01


def origin_of(url: str) -> str:
    """Give `scheme://host[:port]` in lower case, without the scheme's usual port.

    Raises:
        ValueError: the address has no host, or a port that is none.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("an address needs a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def enter(origin: str, *, gatekeeper: Gatekeeper, clock: Clock, pause: Pause) -> Admitted:
    """Spend one request of the origin's budget; an empty budget is waited for in place.

    Raises:
        Trouble: what closed the gate.
        Stopping: a stop was requested before or while waiting.
    """
    while not pause.stopping:
        verdict = gatekeeper.admit(origin)
        if isinstance(verdict, Admitted):
            return verdict
        if verdict.trouble is not None:
            raise _from_now(verdict.trouble, _until_open_s(verdict, clock))
        if pause.wait(_until_open_s(verdict, clock)):
            break
    raise Stopping


def _from_now(trouble: Trouble, left_s: float) -> Trouble:
    """Name what closed a gate, with what is left of the time that was named when it closed."""
    if not isinstance(trouble, TryLater) or trouble.after_s is None:
        return trouble
    return TryLater(
        trouble.what,
        does=trouble.does,
        you=trouble.you,
        scope=trouble.scope,
        kind=trouble.kind,
        after_s=left_s,
    )


def _until_open_s(closed: Closed, clock: Clock) -> float:
    return max((closed.opens_at - clock.now()).total_seconds(), _SHORTEST_WAIT_S)
