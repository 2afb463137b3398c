"""What the service hands to every provider: time, waiting, gates, the network's settings."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from hashtagd.core.ports import Clock, Gatekeeper, Pause

#: takes the past-tense name of an event and its values; never gets a secret
Tell = Callable[[str, Mapping[str, object]], None]


def tell_nobody(_event: str, _values: Mapping[str, object]) -> None:
    """Drop an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """One value instead of eight arguments; a provider is made with `Provider(options, surroundings)`."""

    clock: Clock
    pause: Pause
    gatekeeper: Gatekeeper
    tell: Tell = tell_nobody
    #: the provider's own key; sent to its configured origin only, and only where it is needed
    key: SecretStr | None = None
    #: address of an HTTP proxy; the environment is never asked
    proxy: str | None = field(default=None, repr=False)
    #: None: the machine's and the usual authorities
    ssl_context: ssl.SSLContext | None = None
    #: where a provider may keep what it can make anew; None: nowhere, so it uses a temporary folder
    state_folder: Path | None = None
