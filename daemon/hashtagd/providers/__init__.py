"""Who may know a hash: one module per provider, imported only when the settings name it.

A provider is a class with a `name`, an `Options` model and `ask`; it is made with
`Class(options, surroundings)` and closed with `close()`. Other packages add theirs through
the entry point group `hashtagd.providers`.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

from pydantic import BaseModel

from hashtagd.core.ports import Provider
from hashtagd.providers.surroundings import Surroundings, Tell

__all__ = [
    "PROVIDERS",
    "ClosableProvider",
    "ProviderClass",
    "Surroundings",
    "Tell",
    "UnknownProviderError",
    "known_names",
    "make_provider",
    "provider_class",
]

#: name in the settings -> where its class is
PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive-db": "hashtagd.providers.archive_db:ArchiveDb",
        "civarchive": "hashtagd.providers.civarchive:CivArchive",
        "civitai": "hashtagd.providers.civitai:Civitai",
        "header": "hashtagd.providers.header:HeaderProvider",
    }
)
_GROUP: Final = "hashtagd.providers"


class ClosableProvider(Provider, Protocol):
    """A provider that may hold connections."""

    def close(self) -> None:
        """Let go of everything."""
        ...


class ProviderClass(Protocol):
    """What a provider's class offers before there is an instance."""

    Options: type[BaseModel]

    def __call__(self, options: Any, surroundings: Surroundings) -> ClosableProvider:  # noqa: ANN401 - its own Options
        """Make the provider from an instance of its own `Options`."""
        ...


class UnknownProviderError(LookupError):
    """No provider has this name; `known` lists those that exist."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no provider {name!r}; known are {', '.join(known)}")
        self.known = known


def provider_class(name: str) -> ProviderClass:
    """Import the class of one provider.

    Raises:
        UnknownProviderError: neither the registry nor an installed package knows the name.
        ImportError: the module is there and does not load.
    """
    address = PROVIDERS.get(name)
    if address is not None:
        module, _, attribute = address.partition(":")
        return cast("ProviderClass", getattr(import_module(module), attribute))
    found = {point.name: point for point in entry_points(group=_GROUP)}
    if name not in found:
        raise UnknownProviderError(name, known_names())
    return cast("ProviderClass", found[name].load())


def make_provider(name: str, options: Mapping[str, Any], surroundings: Surroundings) -> ClosableProvider:
    """Make a provider from the options as they stand in the settings.

    Raises:
        UnknownProviderError: see `provider_class`.
        pydantic.ValidationError: an option is wrong.
    """
    chosen = provider_class(name)
    return chosen(chosen.Options.model_validate(dict(options)), surroundings)


def known_names() -> tuple[str, ...]:
    """List the names of all providers, built in or installed, without importing any."""
    return tuple(sorted({*PROVIDERS, *(point.name for point in entry_points(group=_GROUP))}))
