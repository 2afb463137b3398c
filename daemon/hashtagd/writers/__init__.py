"""Formats that other programs read: one file each, pure, imported only when the settings name it.

A writer is a class with a `name`, an `Options` model and `render`; its constructor takes one `Options`. Other
packages add theirs through the entry point group `hashtagd.writers`.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

from pydantic import BaseModel

from hashtagd.core.ports import Writer

#: name in the settings -> where its class is
WRITERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lora-manager": "hashtagd.writers.lora_manager:LoraManager",
        "civitai-info": "hashtagd.writers.civitai_info:CivitaiInfo",
        "preview": "hashtagd.writers.preview:PreviewPicture",
        "stability-matrix": "hashtagd.writers.stability_matrix:StabilityMatrix",
        "swarm": "hashtagd.writers.swarm:Swarm",
        "a1111": "hashtagd.writers.a1111:A1111",
        "rgthree": "hashtagd.writers.rgthree:Rgthree",
        "sha256-line": "hashtagd.writers.sha256_line:Sha256Line",
        "model-manager": "hashtagd.writers.model_manager:ModelManager",
        "xattrs": "hashtagd.writers.xattrs:Xattrs",
        "json-tree": "hashtagd.writers.json_tree:JsonTree",
    }
)
_GROUP: Final = "hashtagd.writers"


class WriterClass(Protocol):
    """What a writer's class offers before there is an instance."""

    Options: type[BaseModel]

    def __call__(self, options: Any) -> Writer:  # noqa: ANN401 - each class has options of its own type
        """Make the writer from an instance of its own `Options`."""
        ...


class UnknownWriterError(LookupError):
    """No writer has this name; `known` lists those that exist."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no writer {name!r}; known are {', '.join(known)}")
        self.known = known


def writer_class(name: str) -> WriterClass:
    """Import the class of one writer.

    Raises:
        UnknownWriterError: neither the registry nor an installed package knows the name.
        ImportError: the module is there and does not load.
    """
    address = WRITERS.get(name)
    if address is not None:
        module, _, attribute = address.partition(":")
        return cast("WriterClass", getattr(import_module(module), attribute))
    found = {point.name: point for point in entry_points(group=_GROUP)}
    if name not in found:
        raise UnknownWriterError(name, known_names())
    return cast("WriterClass", found[name].load())


def make_writer(name: str, options: Mapping[str, Any] | None = None) -> Writer:
    """Make a writer from the options as they stand in the settings.

    Raises:
        UnknownWriterError: see `writer_class`.
        pydantic.ValidationError: an option is wrong.
    """
    chosen = writer_class(name)
    return chosen(chosen.Options.model_validate(dict(options or {})))


def known_names() -> tuple[str, ...]:
    """List the names of all writers, built in or installed, without importing any."""
    return tuple(sorted({*WRITERS, *(point.name for point in entry_points(group=_GROUP))}))
