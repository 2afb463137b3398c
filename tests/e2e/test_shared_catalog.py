"""Two machines with one catalog in PostgreSQL and one shared folder do the work once between them."""

import os
from collections import Counter
from pathlib import Path

import pytest

from hashtagd.standin import Standin
from support.daemon_process import is_tagged, make_home, publish, running, until
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_FILES = 24


def test_two_daemons_on_one_catalog_hash_each_file_once_and_ask_each_question_once(
    tmp_path: Path, site: Standin, postgres_url: str
) -> None:
    shared = tmp_path / "shared"
    # this server asks for no password, and the settings take none, not even an empty one
    url = postgres_url.replace(":@", "@", 1)
    one, other = (
        make_home(tmp_path / name, site=site.url, loras=shared, catalog={"url": url})
        for name in ("one", "other")
    )
    models = {}
    with running(one) as first, running(other) as second:
        for seed in range(_FILES):
            model = shared / f"{seed}.safetensors"
            models[model] = f"Model {seed}"
            publish(site, lora(seed), models[model])
            model.write_bytes(lora(seed))
            os.utime(model, ns=(1_700_000_000 * 10**9,) * 2)
        until(lambda: all(is_tagged(model, name) for model, name in models.items()), why="all names")
        assert first.terminate() == 0
        assert second.terminate() == 0
    digested = Counter(
        event["path"] for daemon in (first, second) for event in daemon.events("file_digested")
    )
    assert digested == Counter({model.name: 1 for model in models})
    asked = Counter(item for request in site.requests for item in request.items)
    assert set(asked.values()) == {1}
    assert len(asked) == _FILES
