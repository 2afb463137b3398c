"""What a sandbox must let through, by the settings."""

from pathlib import Path
from typing import Any

import yaml

from hashtagd import providers, writers
from hashtagd.service.writable import writable_folders
from hashtagd.settings import Loaded
from hashtagd.settings.load import load_with_lines


def loaded(home: Path, **sections: Any) -> Loaded:
    return load_with_lines(
        yaml.safe_dump(sections),
        {"HOME": str(home)},
        source="settings",
        known_providers=providers.PROVIDERS,
        known_writers=writers.WRITERS,
    )


def folders(home: Path, *roots: Path, **sections: Any) -> list[Path]:
    return writable_folders(loaded(home, **sections), {"HOME": str(home)}, roots)


def test_roots_and_where_links_in_them_lead_may_be_written_to(tmp_path: Path) -> None:
    models, elsewhere, inside = tmp_path / "models", tmp_path / "nas" / "loras", tmp_path / "models" / "vae"
    for folder in (models, elsewhere, inside):
        folder.mkdir(parents=True)
    (models / "loras").symlink_to(elsewhere)
    assert folders(tmp_path, models, inside, tmp_path / "away") == [models, elsewhere, tmp_path / "away"]


def test_a_link_to_everything_opens_nothing(tmp_path: Path) -> None:
    """Whoever may write into a models folder could make one, and wait for the next installation."""
    models, home = tmp_path / "disk" / "models", tmp_path / "home" / "me"
    for folder in (models, home / "loras"):
        folder.mkdir(parents=True)
    for name, target in {"all": "/", "up": tmp_path / "disk", "home": home, "homes": home.parent}.items():
        (models / name).symlink_to(target)
    (models / "loras").symlink_to(home / "loras")
    assert folders(home, models) == [models, home / "loras"]


def test_a_tree_of_cards_may_be_written_to_and_one_to_be_made_where_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    own = {"name": "nas", "path": "/mnt/nas", "writers": [{"json-tree": {"path": "/srv/cards/nas"}}]}
    found = folders(tmp_path, writers=[{"json-tree": {"path": "~/cards"}}], roots=[own])
    assert found == [tmp_path / "cards", Path("/srv/cards")]


def test_where_the_log_and_a_catalog_of_another_place_lie_may_be_written_to(tmp_path: Path) -> None:
    found = folders(
        tmp_path,
        log={"file": "/var/log/hashtagd/hashtagd.log"},
        catalog={"url": "sqlite:////srv/state/catalog.db"},
    )
    assert found == [Path("/var/log/hashtagd"), Path("/srv/state")]


def test_the_usual_catalog_and_one_on_a_server_add_nothing(tmp_path: Path) -> None:
    assert folders(tmp_path, catalog={"url": "postgresql://db.example/hashtagd"}) == []
    assert folders(tmp_path) == []
