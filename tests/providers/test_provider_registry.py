"""The registry, and what every provider promises."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers import PROVIDERS, UnknownProviderError, known_names, make_provider, provider_class
from hashtagd.standin import ArchiveStandin, Standin
from support.archive_samples import filled
from support.surroundings import World, sha, subject

#: providers that ask somebody, and who stands in for that
NETWORK = {"civitai": Standin, "civarchive": ArchiveStandin}


def needed_options(name: str, folder: Path) -> dict[str, object]:
    """Give the options that have no default."""
    if name != "archive-db":
        return {}
    filled(folder / "civitai.sqlite", 1)
    return {"path": str(folder)}


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_answers_every_subject_once(name: str, tmp_path: Path) -> None:
    world = World()
    with NETWORK.get(name, Standin)() as site:
        site.add(sha256=sha(1))
        options = {"base_url": site.url} if name in NETWORK else needed_options(name, tmp_path)
        provider = make_provider(name, options, world.surroundings)
        answers = list(provider.ask([subject(sha(1)), subject(sha(2)), subject(sha(1))]))
        provider.close()
        assert provider.name == name
        assert provider.batch_limit >= 1
        # a database has a gate under its own name; the file's own header can always answer
        own = {"archive-db": "archive-db", "header": None}
        assert provider.origin == (site.url if name in NETWORK else own[name])
        assert sorted(text for text, _ in answers) == [sha(1), sha(2)]
        assert all(isinstance(answer, Found | Absent | Trouble) for _, answer in answers)
        assert (name in NETWORK) == bool(site.requests)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_asks_nothing_when_nobody_asks(name: str, tmp_path: Path) -> None:
    world = World()
    provider = make_provider(name, needed_options(name, tmp_path), world.surroundings)
    assert list(provider.ask([])) == []
    provider.close()
    assert world.gates.admitted == []


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProviderError, match="civitai"):
        provider_class("civitay")
    assert set(PROVIDERS) <= set(known_names())


@pytest.mark.parametrize(
    "options",
    [
        {"requests_per_minute": 0},
        {"max_in_flight": "2"},
        {"base_urll": "x"},
        {"max_in_flight": 99},
        {"base_url": "civitai.com"},
        {"base_url": "https://u:p@x"},
        {"base_url": "https://x:p"},
    ],
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_provider("civitai", options, World().surroundings)


@pytest.mark.parametrize("options", [{}, {"path": "civitai.sqlite"}, {"path": None}, {"paht": "/srv/x"}])
def test_wrong_options_of_the_archive_database_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_provider("archive-db", options, World().surroundings)


@pytest.mark.parametrize(
    "options",
    [
        {"requests_per_minute": 0},
        {"requests_per_minute": "10"},
        {"requests_per_minute": 10.5},
        {"max_in_flight": 2},
        {"api_key_file": "~/key"},
        {"base_url": "civarchive.com"},
        {"base_url": "ftp://civarchive.com"},
        {"base_url": "https://u:p@x"},
        {"base_url": "https://x:p"},
        {"base_url": 7},
    ],
)
def test_wrong_options_of_the_archive_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_provider("civarchive", options, World().surroundings)


def test_only_what_is_named_is_imported() -> None:
    code = (
        "import sys, hashtagd.providers as p; p.known_names(); p.provider_class('header');"
        "print('httpcore' in sys.modules, 'hashtagd.providers.civitai' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_path()
    )
    assert ran.stdout.split()[1] == "False"


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}
