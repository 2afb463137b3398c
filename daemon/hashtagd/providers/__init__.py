"""Who may know a hash: one module per provider, imported only when the settings name it."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

#: the name in the settings -> where the class is
BUILT_IN: Mapping[str, str] = {
    "civitai": "hashtagd.providers.civitai:Civitai",
    "header": "hashtagd.providers.header:HeaderProvider",
}
#: other packages register their classes under this group
ENTRY_POINTS = "hashtagd.providers"


def names() -> tuple[str, ...]:
    """Give the names that the settings may use, our own first."""
    others = sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in BUILT_IN)
    return (*BUILT_IN, *others)


def load(name: str) -> type[Any]:
    """Import the class of a provider: it has `Options`, and is made with `Class(options, surroundings)`.

    Raises:
        KeyError: nobody registered this name.
        ImportError: its module cannot be imported, or has no such class.
    """
    place = BUILT_IN.get(name)
    if place is None:
        points = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
        place = points[name]
    module_name, _, class_name = place.partition(":")
    module = import_module(module_name)
    try:
        found: type[Any] = getattr(module, class_name)
    except AttributeError:
        raise ImportError(f"{module_name} has no {class_name}") from None
    return found
