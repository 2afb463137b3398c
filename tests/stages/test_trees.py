"""The tree of cards elsewhere: written, followed and swept, and never a reason to stop."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashtagd.core.artifacts import in_tree
from hashtagd.core.place import Place
from hashtagd.core.work import Advance, Defer, Outcome, Swept
from hashtagd.stages.calls import Calls
from support.publish_fakes import ListLedger, World, before_renames, card, kind_of, published
from support.readers_json import read_card
from support.untouched import untouched

CARD = "loras/styles/wisp.safetensors.json"


class Elsewhere(World):
    """A world that keeps its cards in a tree."""

    @property
    def cards(self) -> Path:
        return self.folder.parent / "cards"

    def card(self, relpath: str = CARD) -> dict[str, Any]:
        return read_card((self.cards / relpath).read_bytes())


@pytest.fixture
def world(tmp_path: Path) -> Elsewhere:
    root = tmp_path / "root"
    root.mkdir()
    options = {"json-tree": {"path": str(tmp_path / "cards")}}
    return Elsewhere(root, names=("json-tree",), options=options)


@pytest.fixture
def model(world: Elsewhere) -> Iterator[Path]:
    model = world.model("styles/wisp.safetensors")
    yield model
    for folder in (world.folder, model.parent, world.cards):
        if folder.exists():
            folder.chmod(0o755)


def sweep(world: Elsewhere) -> Outcome:
    [outcome] = world.publish(world.gone("styles/wisp.safetensors"))
    return outcome


def unread(path: Path) -> tuple[int, ...]:
    """Tell everything of a file but when it was read."""
    found = path.stat()
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def test_the_card_lies_in_the_tree_and_nothing_in_the_root(world: Elsewhere, model: Path) -> None:
    facts = published(world.publish(world.claim(model))[0])
    assert facts.trouble is None
    assert set(world.tree()) == {"styles/wisp.safetensors"}
    assert (world.card()["model_name"], world.card()["path"]) == ("Will-o'-wisp", "styles/wisp.safetensors")
    assert [path.name for path in world.cards.rglob("*") if path.is_file()] == ["wisp.safetensors.json"]


def test_a_read_only_root_has_its_cards_elsewhere(world: Elsewhere, model: Path) -> None:
    model.parent.chmod(0o555)
    world.folder.chmod(0o555)
    before = [unread(path) for path in (world.folder, model.parent, model)]
    facts = published(world.publish(world.claim(model))[0])
    assert facts.trouble is None
    # also where the tests run as a user whom no mode stops
    assert [unread(path) for path in (world.folder, model.parent, model)] == before
    assert world.card()["state"] == "published"


def test_a_second_run_writes_nothing_and_a_new_answer_replaces_the_card(
    world: Elsewhere, model: Path
) -> None:
    world.publish(world.claim(model))
    before = untouched(world.cards / CARD)
    world.ledger = ListLedger()
    world.publish(world.claim(model))
    assert (untouched(world.cards / CARD), world.ledger.calls) == (before, 0)
    world.publish(world.claim(model, card=None))
    assert world.card()["state"] == "unknown"


def test_a_card_that_somebody_changed_stays(world: Elsewhere, model: Path) -> None:
    world.publish(world.claim(model))
    (world.cards / CARD).write_text("mine", "utf-8")
    facts = published(world.publish(world.claim(model, card=None))[0])
    assert (world.cards / CARD).read_text("utf-8") == "mine"
    assert kind_of(facts.trouble) == "foreign_tree_file"


def test_models_of_one_stem_have_a_card_each(world: Elsewhere, model: Path) -> None:
    other = world.model("styles/wisp.sft", b"other")
    world.publish(world.claim(model), world.claim(other, file_id=2))
    assert world.card()["path"] == "styles/wisp.safetensors"
    assert world.card("loras/styles/wisp.sft.json")["path"] == "styles/wisp.sft"


def test_a_card_goes_with_its_model_and_takes_empty_folders_along(world: Elsewhere, model: Path) -> None:
    world.publish(world.claim(model))
    model.unlink()
    model.parent.rmdir()
    assert sweep(world) == Advance(facts=Swept(publications=()))
    assert list(world.cards.iterdir()) == []
    world.publish(world.claim(world.model("b.safetensors"), file_id=2))
    assert (world.cards / "loras" / "b.safetensors.json").is_file()


def test_a_card_stays_while_its_model_does_or_somebody_changed_it(world: Elsewhere, model: Path) -> None:
    world.publish(world.claim(model))
    sweep(world)
    assert (world.cards / CARD).is_file()
    model.unlink()
    (world.cards / CARD).write_text("mine", "utf-8")
    outcome = sweep(world)
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Swept)
    assert len(outcome.facts.publications) == 1
    assert (world.cards / CARD).read_text("utf-8") == "mine"


def test_a_tree_that_is_gone_has_nothing_to_sweep(world: Elsewhere, model: Path) -> None:
    world.publish(world.claim(model))
    model.unlink()
    (world.cards / CARD).unlink()
    assert sweep(world) == Advance(facts=Swept(publications=()))
    world.publish(world.claim(world.model("styles/wisp.safetensors")))
    model.unlink()
    world.cards.rename(world.folder.parent / "away")
    assert sweep(world) == Advance(facts=Swept(publications=()))


def test_a_tree_that_nobody_can_make_holds_up_no_sidecar(world: Elsewhere, model: Path) -> None:
    world.names = ("sha256-line", "json-tree")
    world.options = {"json-tree": {"path": str(world.folder.parent / "disk" / "cards")}}
    facts = published(world.publish(world.claim(model))[0])
    assert "styles/wisp.sha256" in world.tree()
    assert (kind_of(facts.trouble), facts.again_in_s) == ("tree_not_writable", 900.0)


def test_a_card_is_still_known_after_its_tree_was_away(world: Elsewhere, model: Path) -> None:
    world.publish(world.claim(model))
    away = world.folder.parent / "away"
    world.cards.rename(away)
    world.cards.write_text("not a folder", "utf-8")
    facts = published(world.publish(world.claim(model))[0])
    assert kind_of(facts.trouble) == "tree_not_writable"
    world.cards.unlink()
    away.rename(world.cards)
    world.publish(world.claim(model, card=card(model_name="Newer")))
    assert world.card()["model_name"] == "Newer"


@pytest.mark.parametrize("call", ["write", "rename"])
def test_a_full_disk_of_the_tree_does_not_stop_the_root(world: Elsewhere, model: Path, call: str) -> None:
    world.publish(world.claim(model))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    world.calls = before_renames(full) if call == "rename" else Calls(write=full)
    facts = published(world.publish(world.claim(model, card=None))[0])
    assert kind_of(facts.trouble) == "tree_not_writable"
    world.calls = None
    world.publish(world.claim(model, card=None))
    assert world.card()["state"] == "unknown"


def test_nothing_is_written_through_a_link_inside_the_tree(
    world: Elsewhere, model: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    (victim / "styles").mkdir(parents=True)
    world.cards.mkdir()
    (world.cards / "loras").symlink_to(victim)
    facts = published(world.publish(world.claim(model))[0])
    assert kind_of(facts.trouble) == "tree_not_writable"
    assert list((victim / "styles").iterdir()) == []


def test_a_link_at_the_cards_name_is_somebodys(world: Elsewhere, model: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", "utf-8")
    (world.cards / CARD).parent.mkdir(parents=True)
    (world.cards / CARD).symlink_to(victim)
    facts = published(world.publish(world.claim(model))[0])
    assert kind_of(facts.trouble) == "foreign_tree_file"
    assert victim.read_text("utf-8") == "mine"


def test_a_sweep_waits_for_a_tree_that_cannot_be_looked_at(
    world: Elsewhere, model: Path, tmp_path: Path
) -> None:
    world.publish(world.claim(model))
    model.unlink()
    world.cards.rename(tmp_path / "kept")
    world.cards.mkdir()
    (world.cards / "loras").symlink_to(tmp_path / "kept" / "loras")
    outcome = sweep(world)
    assert isinstance(outcome, Defer)
    assert kind_of(outcome.trouble) == "tree_not_writable"
    assert (tmp_path / "kept" / CARD).is_file()


def test_a_name_without_room_for_an_ending_is_left_out(world: Elsewhere) -> None:
    long = world.model("a" * 240 + ".safetensors")
    facts = published(world.publish(world.claim(long))[0])
    assert kind_of(facts.trouble) == "name_too_long"


def test_a_tree_in_a_home_that_nobody_has_is_a_trouble(
    world: Elsewhere, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(world.folder.parent))
    world.options = {"json-tree": {"path": "~/cards"}}
    world.publish(world.claim(model))
    assert (world.cards / CARD).is_file()


@pytest.mark.parametrize("root,folder", [("loras", "loras"), ("..", "%2E%2E"), (".", "%2E")])
def test_no_name_of_a_root_leads_out_of_the_tree(root: str, folder: str) -> None:
    assert in_tree(Place(root=root, relpath="a/b.sft")).relpath == f"{folder}/a/b.sft.json"


def test_a_card_and_the_folders_around_it_are_as_readable_as_its_model(world: Elsewhere, model: Path) -> None:
    model.chmod(0o640)
    world.publish(world.claim(model))
    assert (world.cards / CARD).stat().st_mode & 0o777 == 0o640
    assert {path.stat().st_mode & 0o777 for path in world.cards.rglob("*") if path.is_dir()} == {0o750}
