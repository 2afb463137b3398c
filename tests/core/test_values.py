"""Values that only carry: they cannot be changed, and those that decide something decide it right."""

import importlib
import pkgutil
from dataclasses import FrozenInstanceError, fields, is_dataclass
from types import ModuleType

import pytest

from hashtagd import core
from hashtagd.core.place import Place
from hashtagd.core.ports import Admitted, Closed
from hashtagd.core.work import Publication

MODULES = [
    importlib.import_module(f"hashtagd.core.{found.name}") for found in pkgutil.iter_modules(core.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_value_of_core_is_frozen_and_slotted(module: ModuleType) -> None:
    for value in vars(module).values():
        if isinstance(value, type) and is_dataclass(value):
            assert value.__dataclass_params__.frozen, value  # type: ignore[attr-defined]
            assert "__slots__" in vars(value), value
            assert fields(value) is not None


def test_a_value_cannot_be_changed() -> None:
    place = Place(root="loras", relpath="x.safetensors")
    with pytest.raises(FrozenInstanceError):
        place.relpath = "y.safetensors"  # type: ignore[misc]


def test_a_publication_recognises_what_was_written_and_what_was_about_to_be() -> None:
    place = Place(root="loras", relpath="x.metadata.json")
    publication = Publication(writer="w", place=place, intended_sha256="a" * 64, written_sha256="b" * 64)
    assert publication.recognises("a" * 64)
    assert publication.recognises("b" * 64)
    assert not publication.recognises("c" * 64)


def test_an_open_gate_is_no_probe_unless_it_says_so() -> None:
    assert not Admitted().probe
    assert {item.name for item in fields(Closed)} == {"opens_at", "trouble"}
