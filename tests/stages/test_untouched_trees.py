"""Cards in a tree elsewhere, as `unpublish`, `show` and rehearsals see them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagd.core.sidecars import SidecarState
from hashtagd.core.work import Claim
from hashtagd.stages.beside import look_beside
from hashtagd.stages.ground import Ground
from hashtagd.stages.planning import Planning
from hashtagd.stages.rehearse import Action, Hindrance, Proposal, RehearseStage
from hashtagd.stages.unpublish import UnpublishStage
from hashtagd.stages.untouched import UntouchedFolder
from support.publish_fakes import World, kind_of

CARD = "loras/styles/wisp.safetensors.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    root = tmp_path / "root"
    root.mkdir()
    return World(root, names=("json-tree",), options={"json-tree": {"path": str(tmp_path / "cards")}})


@pytest.fixture
def cards(world: World) -> Path:
    return world.folder.parent / "cards"


@pytest.fixture
def model(world: World) -> Path:
    return world.model("styles/wisp.safetensors")


def planning(world: World) -> Planning:
    return world.stage()._planning


def looking(world: World) -> Planning:
    return replace(planning(world), folder=UntouchedFolder)


def rehearse(world: World, claim: Claim) -> list[Proposal | Hindrance]:
    return list(RehearseStage(looking(world)).run([claim]))


def everything(folder: Path) -> dict[Path, os.stat_result]:
    return {path: os.lstat(path) for path in [folder, *folder.rglob("*")]}


def test_a_card_of_ours_goes_with_the_folders_it_leaves_empty(world: World, model: Path, cards: Path) -> None:
    world.publish(world.claim(model))
    [taken] = UnpublishStage(planning(world)).run([world.claim(model)])
    assert (taken.goes, taken.is_over, taken.seen.where) == (True, True, (cards / CARD).as_posix())
    assert list(cards.iterdir()) == []
    assert model.read_bytes() == b"the model"
    [again] = UnpublishStage(planning(world)).run([world.claim(model)])
    assert (again.seen.state, again.goes, again.is_over) == (SidecarState.MISSING, False, True)


def test_a_card_that_somebody_changed_stays(world: World, model: Path, cards: Path) -> None:
    world.publish(world.claim(model))
    (cards / CARD).write_bytes(b"mine")
    [taken] = UnpublishStage(planning(world)).run([world.claim(model)])
    assert (taken.seen.state, taken.goes, taken.is_over) == (SidecarState.EDITED, False, False)
    assert (cards / CARD).read_bytes() == b"mine"


def test_a_card_that_changes_between_the_look_and_the_removal_stays(
    world: World, model: Path, cards: Path
) -> None:
    world.publish(world.claim(model))
    stage = UnpublishStage(planning(world))
    claim = world.claim(model)
    with stage._ground.batch() as batch:
        [seen] = look_beside(stage._ground, claim, batch)
        (cards / CARD).write_bytes(b"mine")
        taken = stage._take(seen, claim, batch, [])
    assert (taken.seen.state, taken.goes) == (SidecarState.EDITED, False)
    assert (cards / CARD).read_bytes() == b"mine"


def test_a_look_at_a_tree_changes_nothing_at_all(world: World, model: Path, cards: Path) -> None:
    world.publish(world.claim(model))
    stray = (cards / CARD).with_name(".hashtagd-0123456789abcdef")
    stray.write_bytes(b"left by a killed process")
    os.utime(stray, (1e9, 1e9))
    before = everything(cards)
    [taken] = UnpublishStage(looking(world)).run([world.claim(model)])
    assert taken.goes
    assert everything(cards) == before


def test_where_the_settings_name_no_tree_any_more_its_card_stays_known(
    world: World, model: Path, cards: Path
) -> None:
    world.publish(world.claim(model))
    without: Ground = replace(planning(world), writers={None: []})
    [taken] = UnpublishStage(without).run([world.claim(model)])
    assert (kind_of(taken.trouble), taken.is_over) == ("tree_unknown", False)
    assert (cards / CARD).is_file()


def test_a_tree_behind_a_link_is_left_alone(world: World, model: Path, cards: Path, tmp_path: Path) -> None:
    world.publish(world.claim(model))
    (cards / "loras").rename(tmp_path / "kept")
    (cards / "loras").symlink_to(tmp_path / "kept")
    [taken] = UnpublishStage(planning(world)).run([world.claim(model)])
    assert (kind_of(taken.trouble), taken.is_over) == ("tree_not_writable", False)
    assert (tmp_path / "kept" / "styles" / "wisp.safetensors.json").is_file()


def test_a_wanted_card_is_looked_at_although_nobody_wrote_it(world: World, model: Path, cards: Path) -> None:
    def states() -> list[SidecarState | None]:
        with looking(world).batch() as batch:
            return [it.state for it in look_beside(looking(world), world.claim(model), batch)]

    assert states() == [SidecarState.MISSING]
    (cards / CARD).parent.mkdir(parents=True)
    (cards / CARD).write_bytes(b"theirs")
    assert states() == [SidecarState.FOREIGN]


def test_a_rehearsal_shows_the_card_and_makes_no_folder(world: World, model: Path, cards: Path) -> None:
    [shown] = rehearse(world, world.claim(model))
    assert isinstance(shown, Proposal)
    assert (shown.action, shown.where, shown.before) == (Action.WRITE, (cards / CARD).as_posix(), None)
    assert not cards.exists()
    world.publish(world.claim(model))
    assert (cards / CARD).read_bytes() == shown.after
    assert rehearse(world, world.claim(model)) == [], "nothing is left to show"


def test_a_rehearsal_shows_what_lies_in_the_tree_now(world: World, model: Path, cards: Path) -> None:
    world.publish(world.claim(model, card=None))
    before = everything(cards)
    [shown] = rehearse(world, world.claim(model))
    assert isinstance(shown, Proposal)
    assert shown.before == (cards / CARD).read_bytes() != shown.after
    assert everything(cards) == before


def test_a_rehearsal_tells_that_the_disk_of_a_tree_is_away(world: World, model: Path, cards: Path) -> None:
    world.options = {"json-tree": {"path": str(cards / "unmounted" / "cards")}}
    [hindrance] = rehearse(world, world.claim(model))
    assert isinstance(hindrance, Hindrance)
    assert (kind_of(hindrance.trouble), hindrance.where) == (
        "tree_not_writable",
        "loras/styles/wisp.safetensors",
    )


def test_a_rehearsed_sweep_shows_the_card_and_leaves_it(world: World, model: Path, cards: Path) -> None:
    world.publish(world.claim(model))
    model.unlink()
    before = everything(cards)
    [shown] = rehearse(world, world.gone("styles/wisp.safetensors"))
    assert isinstance(shown, Proposal)
    assert (shown.action, shown.where) == (Action.REMOVE, (cards / CARD).as_posix())
    assert everything(cards) == before


def test_a_batch_that_empties_a_folder_of_the_tree_can_write_there_again(
    world: World, model: Path, cards: Path
) -> None:
    world.publish(world.claim(model))
    model.unlink()
    other = world.model("styles/new.safetensors", b"another model")
    world.publish(world.gone("styles/wisp.safetensors"), world.claim(other, file_id=2))
    assert [path.name for path in cards.rglob("*.json")] == ["new.safetensors.json"]
