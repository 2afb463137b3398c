import json
from pathlib import Path
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Closed
from hashtagd.service import parts
from hashtagd.service.clock import StopPause
from hashtagd.settings import Loaded, SettingsMistakes
from hashtagd.watch.roots import RootFolder
from support.clock import FakeClock
from support.serving import settings
from support.surroundings import HandClock, OpenGates

SITE = "https://site.example"


def loaded(**sections: Any) -> Loaded:
    made = {"comfyui": {"path": None, "url": None}, "catalog": {"url": "sqlite:////nowhere/c.db"}, **sections}
    return settings(json.dumps(made), {})


def outside(given: Loaded, clock: FakeClock, **environ: str) -> parts.Outside:
    return parts.Outside(
        loaded=given,
        environ=environ,
        clock=clock,
        pause=StopPause(),
        gates=OpenGates(HandClock()),
        tell=lambda _event, _values: None,
    )


def test_the_budget_of_a_provider_is_that_of_its_settings(catalog: Catalog) -> None:
    given = loaded(
        providers=[{"kind": "civitai", "base_url": SITE, "requests_per_minute": 2}, {"kind": "header"}]
    )
    gates = parts.make_gates(given, catalog)
    for _ in range(2):
        gates.admit(SITE)
    assert isinstance(gates.admit(SITE), Closed)


def test_providers_are_made_in_their_order_and_only_civitai_gets_the_key(clock: FakeClock) -> None:
    made = parts.make_providers(outside(loaded(), clock, CIVITAI_API_KEY="k" * 32))
    assert [provider.name for provider in made] == [entry.kind for entry in loaded().settings.providers]
    for provider in made:
        provider.close()


def test_wrong_options_are_refused_with_their_line() -> None:
    text = "comfyui: {path: null, url: null}\nproviders:\n  - kind: civitai\n    base_url: ftp://x\n"
    with pytest.raises(SettingsMistakes) as refused:
        parts.check_providers(settings(text, {"HOME": "/nowhere"}))
    assert "config.yaml:4" in refused.value.mistakes[0].text(refused.value.source)


def test_writers_of_a_root_replace_those_of_all_others() -> None:
    roots = [
        {"name": "bare", "path": "/a", "writers": []},
        {"name": "plain", "path": "/b"},
        {"name": "own", "path": "/c", "writers": ["civitai-info"]},
    ]
    made = parts.make_writers(loaded(roots=roots, writers=["lora-manager", "preview"]))
    assert {root: [writer.name for writer in writers] for root, writers in made.items()} == {
        None: ["lora-manager", "preview"],
        "bare": [],
        "own": ["civitai-info"],
    }


def test_a_fingerprint_changes_with_what_would_be_written_and_with_nothing_else() -> None:
    roots = [{"name": "own", "path": "/c", "writers": ["civitai-info"]}]
    plain = parts.writers_fingerprint(loaded(), "loras")
    assert parts.writers_fingerprint(loaded(log={"level": "debug"}), "loras") == plain
    assert parts.writers_fingerprint(loaded(roots=roots), "loras") == plain
    assert parts.writers_fingerprint(loaded(roots=roots), "own") != plain
    assert parts.writers_fingerprint(loaded(writers=["preview"]), "loras") != plain
    assert parts.writers_fingerprint(loaded(preview={"max_nsfw_level": 2}), "loras") != plain


@pytest.mark.parametrize("workers", [1, 3, "auto"])
def test_the_number_of_workers_is_the_owner_s_or_that_of_the_cores(workers: Any) -> None:
    options = parts.digest_options(loaded(digests={"workers": workers, "blake3": False}).settings)
    assert options.workers == workers or (workers == "auto" and 1 <= options.workers <= 4)


def test_settle_knows_the_quiet_time_of_each_root() -> None:
    folders = [RootFolder(name="nas", path=Path("/nas"), quiet_s=30), RootFolder(name="b", path=Path("/b"))]
    options = parts.settle_options(folders)
    assert {name: it.quiet_s for name, it in options.items()} == {"nas": 30, "b": 10.0}


def test_a_fetcher_is_made_without_touching_the_network(clock: FakeClock) -> None:
    fetcher = parts.make_fetcher(outside(loaded(network={"allowed_origins": [SITE]}), clock))
    fetcher.close()
