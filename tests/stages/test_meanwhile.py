"""What others do beside a model while it is published, and what stands in the way.

Nothing of theirs is lost, nothing of ours is forgotten, and publishing comes to an end.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hashtagd.core.artifacts import in_tree
from hashtagd.core.card import Card
from hashtagd.core.work import Advance, Defer, Swept
from support.lives import Neighbourhood, address
from support.moments import Moments
from support.publish_fakes import PowerCut, World, before_renames, card, kind_of, png, published
from support.stage_fakes import as_nobody
from support.untouched import untouched

SUFFIXES = (".civitai.info", ".metadata.json", ".preview.png")
WRITERS_OF_FILES = ("lora-manager", "civitai-info", "preview", "sha256-line", "json-tree")
COMMENT = "user.xdg.comment"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def near(tmp_path: Path) -> Neighbourhood:
    return Neighbourhood(World(tmp_path, options={"preview": {"max_nsfw_level": 3}}))


def writers_of(world: World) -> set[str]:
    return {it.writer for it in world.known[1]}


def once(act: Callable[[], object]) -> Callable[[], None]:
    left = iter([act])
    return lambda: (next(left, lambda: None)(), None)[1]


# ---- at the very moment


@pytest.mark.parametrize("name", ["wisp.metadata.json", "wisp.civitai.info", "wisp.preview.png"])
def test_a_file_that_somebody_puts_there_at_the_moment_of_our_rename_stays(world: World, name: str) -> None:
    """P6."""
    model = world.model()
    theirs = b'{"mine": 1}'

    def put() -> None:
        if not (world.folder / name).exists():
            (world.folder / name).write_bytes(theirs)

    world.calls = before_renames(put)
    [outcome] = world.publish(world.claim(model))
    assert isinstance(outcome, Defer)
    assert outcome.trouble is None
    assert world.tree()[name] == theirs
    assert world.temporary() == []


def test_an_edit_at_the_moment_of_our_rename_stays(world: World) -> None:
    """P6."""
    model = world.model()
    world.publish(world.claim(model))
    at = world.folder / "wisp.metadata.json"
    world.calls = before_renames(once(lambda: at.write_bytes(b'{"notes": "mine"}')))
    [outcome] = world.publish(world.claim(model, card=card(model_name="Newer")))
    assert isinstance(outcome, Defer)
    assert at.read_bytes() == b'{"notes": "mine"}'
    world.calls = None
    published(world.publish(world.claim(model, card=card(model_name="Newer")))[0])
    assert (json.loads(at.read_bytes())["notes"], json.loads(at.read_bytes())["model_name"]) == (
        "mine",
        "Newer",
    )


def test_an_edit_at_the_moment_of_a_sweep_stays(world: World) -> None:
    """P6."""
    world.publish(world.claim(world.model()))
    (world.folder / "wisp.safetensors").unlink()
    at = world.folder / "wisp.civitai.info"
    world.calls = before_renames(once(lambda: at.write_bytes(b"theirs")))
    [outcome] = world.publish(world.gone("wisp.safetensors"))
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Swept)
    assert world.tree() == {"wisp.civitai.info": b"theirs"}
    assert [it.place.name for it in outcome.facts.publications] == ["wisp.civitai.info"]


@pytest.mark.parametrize("said", [card(model_name="Newer"), None])
def test_what_was_written_and_never_reported_stays_ours_over_the_next_intention(
    world: World, said: Card | None
) -> None:
    """P4. Two processes die, the second one before it wrote anything."""
    model = world.model()
    world.names = WRITERS_OF_FILES
    world.options = {"json-tree": {"path": str(world.folder / "cards")}}
    world.stage().run([world.claim(model)])
    world.remember_intentions()

    def die() -> None:
        raise PowerCut

    world.calls = before_renames(die)
    with pytest.raises(PowerCut):
        world.stage().run([world.claim(model, card=said)])
    world.remember_intentions()
    model.unlink()
    world.calls = None
    world.publish(world.gone("wisp.safetensors"))
    assert world.tree() == {}


# ---- attributes


def with_attributes(world: World) -> Path:
    model = world.model()
    try:
        os.setxattr(model, "user.theirs", b"1")
    except OSError:
        pytest.skip("SKIPPED ALOUD: this file system has no extended attributes")
    world.names = ("lora-manager", "xattrs")
    return model


@pytest.mark.parametrize("before", [False, True])
def test_a_comment_that_somebody_attaches_while_we_publish_stays(world: World, *, before: bool) -> None:
    """P6."""
    model = with_attributes(world)
    if before:
        world.publish(world.claim(model))
    world.calls = before_renames(once(lambda: os.setxattr(model, COMMENT, b"mine")))
    published(world.publish(world.claim(model, card=card(model_name="Newer")))[0])
    assert os.getxattr(model, COMMENT) == b"mine"
    assert f"xattrs:{COMMENT}" not in writers_of(world)
    assert f"xattrs:{'user.checksum.sha256'}" in writers_of(world)


def test_a_comment_that_is_attached_between_our_look_and_our_setting_it_stays(world: World) -> None:
    """P6."""
    model = with_attributes(world)
    moments = Moments(below=world.folder)
    with moments.listen():
        world.publish(world.claim(model))
    sets = [at for at, event in moments.seen if event.startswith("os.setxattr")]
    assert sets
    for at in sets:
        for name in os.listxattr(model):
            os.removexattr(model, name)
        (world.folder / "wisp.metadata.json").unlink()
        world.known.clear()
        claim = world.claim(model)
        with moments.listen(at, lambda: os.setxattr(model, COMMENT, b"mine")):
            world.publish(claim)
        ours = f"xattrs:{COMMENT}" in writers_of(world)
        assert ours or os.getxattr(model, COMMENT) == b"mine"


def test_a_model_that_was_renamed_before_its_attributes_were_set_keeps_what_was_written(
    world: World,
) -> None:
    """Its sidecars are known, so that they are swept, or follow."""
    model = with_attributes(world)
    moved = world.folder / "moved.safetensors"
    world.calls = before_renames(once(lambda: model.rename(moved)))
    claim = world.claim(model)
    facts = published(world.publish(claim)[0])
    assert {it.writer for it in facts.publications} == {"lora-manager"}
    assert os.listxattr(moved) == ["user.theirs"]


def test_another_model_that_took_the_name_gets_no_attributes_of_the_first(world: World) -> None:
    """P5."""
    model = with_attributes(world)
    other = world.model("other.safetensors", b"quite another model")
    world.calls = before_renames(once(lambda: other.replace(model)))
    world.publish(world.claim(model))
    assert os.listxattr(model) == []


# ---- what stands in the way


def test_a_folder_at_the_pictures_name_is_told_of_and_holds_nothing_up(world: World) -> None:
    """P12. Nor is the picture fetched again and again."""
    model = world.model()
    (world.folder / "wisp.preview.png").mkdir()
    for _ in range(2):
        facts = published(world.publish(world.claim(model))[0])
        assert kind_of(facts.trouble) == "foreign_sidecar"
        assert facts.again_in_s is None
    assert world.fetcher.asked == []
    assert {"wisp.metadata.json", "wisp.civitai.info"} <= set(world.tree())
    (world.folder / "wisp.preview.png").rmdir()
    published(world.publish(world.claim(model))[0])
    assert world.tree()["wisp.preview.png"] == png()


def test_a_sidecar_that_cannot_be_read_for_a_while_stays_ours(public_folder: Path) -> None:
    """P6. Else it would be a stranger's for ever, and be left behind by its model."""
    world = World(public_folder / "root")
    model = world.model()
    model.parent.chmod(0o777)
    claim = world.claim(model)
    with as_nobody():
        published(world.publish(claim)[0])
    names = [f"wisp{suffix}" for suffix in SUFFIXES]
    for name in names:
        os.chown(world.folder / name, 0, 0) if os.geteuid() == 0 else None
        (world.folder / name).chmod(0)
    for said in (card(), None):
        claim = world.claim(model, card=said)
        with as_nobody():
            facts = published(world.publish(claim)[0])
        assert kind_of(facts.trouble) == "sidecar_unreadable"
        assert writers_of(world) == {"lora-manager", "civitai-info", "preview"}
    for name in names:
        (world.folder / name).chmod(0o600)
    model.unlink()
    world.publish(world.gone("wisp.safetensors"))
    assert world.tree() == {}


def test_bytes_of_ours_that_lie_there_already_are_not_written_once_more(world: World) -> None:
    """Somebody emptied the object, and what was merged into it is what we would have written."""
    model = world.model()
    world.publish(world.claim(model))
    at = world.folder / "wisp.metadata.json"
    at.write_bytes(b"{}")
    newer = card(model_name="Newer")
    published(world.publish(world.claim(model, card=newer))[0])
    for _ in range(2):
        before, calls = untouched(at), world.ledger.calls
        published(world.publish(world.claim(model, card=newer))[0])
        assert (untouched(at), world.ledger.calls) == (before, calls)


def test_a_card_whose_edit_is_undone_is_ours_again(tmp_path: Path) -> None:
    root, cards = tmp_path / "root", tmp_path / "cards"
    root.mkdir()
    world = World(root, names=("json-tree",), options={"json-tree": {"path": str(cards)}})
    model = world.model()
    world.publish(world.claim(model))
    at = cards / in_tree(world.claim(model).place).relpath
    ours = at.read_bytes()
    at.write_bytes(b"mine")
    facts = published(world.publish(world.claim(model))[0])
    assert kind_of(facts.trouble) == "foreign_tree_file"
    at.write_bytes(ours)
    published(world.publish(world.claim(model, card=card(model_name="Newer")))[0])
    assert json.loads(at.read_bytes())["model_name"] == "Newer"


@pytest.mark.parametrize("number", [31, 32])
def test_of_two_models_of_one_name_published_at_once_the_second_takes_nothing_from_the_first(
    near: Neighbourhood, number: int
) -> None:
    """P5. The sidecars were the second one's until now; the first may have the same bytes."""
    near.put("a.sft", 31)
    near.publish("a.sft", 2)
    near.put("a.safetensors", number)
    for outcome in near.world.publish(near.claim("a.sft", 2), near.claim("a.safetensors", 1)):
        published(outcome)
    assert near.tells_of("a", number)
    assert set(near.world.tree()) == {"a.sft", "a.safetensors", *(f"a{suffix}" for suffix in SUFFIXES)}


# ---- copied and renamed


def test_what_moved_along_is_known_at_its_new_place_even_if_the_end_is_never_reported(
    near: Neighbourhood,
) -> None:
    """P5. The model is overwritten meanwhile; else its sidecars would tell of the first one for ever."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    deep = near.world.folder / "deep"
    deep.mkdir()
    for path in list(near.world.folder.glob("a.*")):
        path.rename(deep / path.name)
    near.world.stage().run([near.claim("deep/a.safetensors", 2)])
    near.world.remember_intentions()
    near.put("deep/a.safetensors", 32)
    near.publish("deep/a.safetensors", 2)
    assert near.sidecar("deep/a.metadata.json")["model_name"] == "Model 32"
    assert near.sidecar("deep/a.civitai.info")["id"] == 32
    assert (deep / "a.preview.png").read_bytes() == png(32)


def test_sidecars_that_were_copied_into_another_folder_say_where_their_model_lies(
    near: Neighbourhood,
) -> None:
    """Else they would lead to the picture of the first model, until that goes."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / "deep").mkdir()
    for path in list(near.world.folder.glob("a.*")):
        (near.world.folder / "deep" / path.name).write_bytes(path.read_bytes())
    claim = near.claim("deep/a.safetensors", 2, twins=())
    published(near.world.publish(claim)[0])
    data = near.sidecar("deep/a.metadata.json")
    deep = near.world.folder / "deep"
    assert (data["file_path"], data["preview_url"]) == (
        str(deep / "a.safetensors"),
        str(deep / "a.preview.png"),
    )


def test_a_model_renamed_in_letter_case_only_takes_its_picture_along_and_leaves_nothing(
    near: Neighbourhood,
) -> None:
    """F18. On a disk that tells them apart."""
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    model.rename(near.world.folder / "A.safetensors")
    near.publish("A.safetensors", 2)
    near.world.publish(near.world.gone("a.safetensors", 1))
    assert near.tells_of("A", 31)
    assert near.world.fetcher.asked == [address(31)]
    assert set(near.world.tree()) == {"A.safetensors", *(f"A{suffix}" for suffix in SUFFIXES)}
    (near.world.folder / "A.safetensors").unlink()
    near.world.publish(near.world.gone("A.safetensors", 2))
    assert near.world.tree() == {}


def test_where_the_disk_knows_no_case_the_picture_is_the_models_own(near: Neighbourhood) -> None:
    """F18. Two names of one file stand for such a disk."""
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    model.rename(near.world.folder / "A.safetensors")
    claim = near.claim("A.safetensors", 2)
    for path in list(near.world.folder.glob("a.*")):
        os.link(path, path.with_name("A" + path.name[1:]))
    (near.world.folder / "A.preview.png").rename(near.world.folder / "aside")
    stage = near.world.stage()
    moments = Moments(below=near.world.folder)
    # after the folder was listed
    with moments.listen(2, lambda: (near.world.folder / "aside").rename(near.world.folder / "A.preview.png")):
        published(stage.run([claim])[0])
    assert near.world.fetcher.asked == [address(31)]
    assert (near.world.folder / "A.preview.png").samefile(near.world.folder / "a.preview.png")
