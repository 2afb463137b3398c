from pathlib import Path

import pytest

from hashtagd.cli.context import Context
from hashtagd.core.troubles import AskOperator
from support.commands import Home


def context(home: Home, url: str, **environ: str) -> Context:
    home.settle(catalog={"url": url})
    return Context(config=home.config, volume=None, environ={"HOME": str(home.folder), **environ})


@pytest.mark.parametrize("tail", ["", "?network=yes"])
def test_the_lock_lies_beside_a_file_and_in_the_state_folder_otherwise(home: Home, tail: str) -> None:
    beside = context(home, f"sqlite:///{home.folder}/elsewhere/c.db{tail}")
    assert beside.lock_folder == home.folder / "elsewhere"
    assert context(home, "sqlite:///~/own/c.db").lock_folder == home.folder / "own"
    shared = context(home, "postgresql://me@127.0.0.1/x", HASHTAGD_STATE_DIR=str(home.state))
    assert shared.lock_folder == home.state


def test_a_shared_catalog_needs_a_state_folder_all_the_same(home: Home) -> None:
    homeless = Context(config=context(home, "postgresql://me@127.0.0.1/x").config, volume=None, environ={})
    with pytest.raises(AskOperator, match="HOME is not set") as refused:
        _ = homeless.lock_folder
    assert "HASHTAGD_STATE_DIR" in refused.value.you


def test_a_relative_config_counts_from_here(home: Home) -> None:
    assert home.bare("--config", Path("config.yaml"), "check-config").code == 0
