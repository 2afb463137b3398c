"""A provider's key: used only where the site insists, put aside when the site refuses it."""

from typing import Final
from urllib.parse import urlsplit

from hashtagd.core.troubles import Trouble
from hashtagd.providers import verdicts
from hashtagd.providers.surroundings import Surroundings

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class LookupKey:
    """Decides whether a look-up carries the key.

    Look-ups are anonymous: with a key, an account's own preferences would take part in the answers. The key
    is shown only after the site refused an anonymous look-up, and never again after the site refused the key.
    """

    def __init__(self, origin: str, surroundings: Surroundings) -> None:
        self._origin = origin
        self._tell = surroundings.tell
        self._value = key_for(origin, surroundings)
        self._insisted = False
        if not is_well_formed(self._value):
            self._value = ""
            self._aside(verdicts.key_malformed(origin))

    @property
    def headers(self) -> dict[str, str]:
        """The header to send, or nothing."""
        return bearer(self._value) if self._insisted else {}

    def refused(self) -> bool:
        """Note a refusal; returns True when the question may be put again, now with or without the key."""
        if self._value and not self._insisted:
            self._insisted = True
            return True
        if self._value:
            self._value = ""
            self._aside(verdicts.key_refused(self._origin))
            return True
        return False

    def _aside(self, trouble: Trouble) -> None:
        self._tell("key_put_aside", {"origin": self._origin, "reason": trouble.kind})


def key_for(origin: str, surroundings: Surroundings) -> str:
    """Give the key that may be shown to an origin, or nothing: never in clear over a network."""
    parts = urlsplit(origin)
    if surroundings.key is None or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        return ""
    return surroundings.key.get_secret_value().strip()


def is_well_formed(key: str) -> bool:
    """Tell whether a key can be one; what else it might be would end or change the request."""
    return key.isascii() and key.isprintable() and " " not in key


def bearer(key: str) -> dict[str, str]:
    """Give the header that shows a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}
