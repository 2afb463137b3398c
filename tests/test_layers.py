"""The arrows between rooms, read from every import: downwards only, never sideways."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "daemon" / "hashtagd"

#: rooms that never import each other; they meet as protocols in `core/ports.py`
SIBLINGS = frozenset(
    {
        "settings",
        "catalog",
        "watch",
        "stages",
        "providers",
        "writers",
        "comfyui",
        "nudges",
        "standin",
        "web",
    }
)
#: the floor each room stands on; `hashtagd` itself holds the version and may be read by all
FLOORS = {
    "core": 1,
    "system": 1,
    **dict.fromkeys(SIBLINGS, 2),
    "service": 3,
    "cli": 4,
    "__main__": 5,
    "__init__": 0,
}

#: what would make a pure rule impure
_FORBIDDEN_MODULES = frozenset(
    {
        "time",
        "random",
        "secrets",
        "os",
        "io",
        "socket",
        "subprocess",
        "threading",
        "logging",
        "shutil",
        "tempfile",
    }
)
_FORBIDDEN_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
_FORBIDDEN_METHODS = frozenset(
    {
        "now",
        "utcnow",
        "today",
        "stat",
        "read_bytes",
        "read_text",
        "write_bytes",
        "write_text",
        "mkdir",
        "unlink",
    }
)


def imports(source: str, module: str) -> Iterator[str]:
    """Give the full name of everything the module imports, wherever in it the import stands."""
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def wrong_arrows(source: str, module: str) -> list[str]:
    """List the imports of one module that point upwards, sideways or nowhere known."""
    room = _room(module)
    return [
        f"{module} -> {name}"
        for name in imports(source, module)
        if name.split(".")[0] == "hashtagd" and not _allowed(room, _room(name))
    ]


def impurities(source: str) -> list[str]:
    """List what a module of `core` may not import or call."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in _FORBIDDEN_CALLS:
                found.append(called.id)
            if isinstance(called, ast.Attribute) and called.attr in _FORBIDDEN_METHODS and not _own(called):
                found.append(called.attr)
    for name in imports(source, "hashtagd.core.x"):
        top = name.split(".")[0]
        if top in _FORBIDDEN_MODULES or (top != "hashtagd" and top not in sys.stdlib_module_names):
            found.append(name)
    return found


def _own(called: ast.Attribute) -> bool:
    """Tell whether the method is called on an argument that was passed in, such as an injected clock."""
    return isinstance(called.value, ast.Name) and called.value.id in {"clock", "self"}


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__"


def _allowed(room: str, target: str) -> bool:
    return room == target or FLOORS[target] < FLOORS[room]


def _modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found.append((".".join(parts), path))
    return found


def test_every_folder_of_the_package_is_a_known_room() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for _, path in _modules()}
    assert rooms <= FLOORS.keys()
    assert "core" in rooms


@pytest.mark.parametrize("module,path", _modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_point_downwards_only(module: str, path: Path) -> None:
    assert wrong_arrows(path.read_text(), module) == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda path: path.name)
def test_core_touches_nothing(path: Path) -> None:
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize(
    "module,source",
    [
        ("hashtagd.core.place", "from hashtagd.catalog import tables"),
        ("hashtagd.core.place", "import hashtagd.service.clock"),
        ("hashtagd.stages.ask", "from hashtagd.providers.civitai import client"),
        ("hashtagd.stages.ask", "def late():\n    from hashtagd.catalog.catalog import Catalog"),
        ("hashtagd.providers.civitai.client", "from hashtagd import settings"),
        ("hashtagd.providers.civitai.client", "from ...writers import preview"),
        ("hashtagd.watch.scan", "if True:\n    import hashtagd.comfyui.paths as paths"),
        ("hashtagd.service.lanes", "from hashtagd.cli.main import main"),
        ("hashtagd.web.server", "from hashtagd.cli import main"),
    ],
)
def test_a_planted_wrong_arrow_is_found(module: str, source: str) -> None:
    assert len(wrong_arrows(source, module)) == 1


@pytest.mark.parametrize(
    "module,source",
    [
        (
            "hashtagd.catalog.catalog",
            "from hashtagd.core.work import Claim\nfrom hashtagd.catalog import tables",
        ),
        ("hashtagd.catalog.catalog", "from . import tables\nimport sqlalchemy"),
        ("hashtagd.service.assemble", "import hashtagd.stages.ask, hashtagd.settings.load"),
        ("hashtagd.cli.main", "from hashtagd import __version__\nfrom hashtagd.service import assemble"),
        ("hashtagd.providers.http", "from hashtagd import __version__"),
    ],
)
def test_arrows_downwards_are_left_alone(module: str, source: str) -> None:
    assert wrong_arrows(source, module) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import stat",
        "import os.path",
        "def f():\n    import random",
        "import httpx",
        "f = open('x')",
        "datetime.now(UTC)",
        "date.today()",
        "path.stat()",
        "Path('x').read_bytes()",
        "print('x')",
    ],
)
def test_a_planted_impurity_is_found(source: str) -> None:
    assert len(impurities(source)) == 1


def test_values_and_pure_modules_are_no_impurity() -> None:
    assert (
        impurities("import json\nfrom hashtagd.core.place import Place\nnow = clock.now()\njson.loads('1')")
        == []
    )
