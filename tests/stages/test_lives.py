"""Models that are renamed, moved, swapped and replaced: what lies beside them follows."""

import errno
import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import Advance, Defer, Swept
from hashtagd.stages.calls import Calls
from support.lives import (
    Neighbourhood,
    address,
    aimed_at,
    card_of,
    content_of,
    intended_over,
    put_elsewhere,
)
from support.metadata_reader import read_metadata
from support.publish_fakes import World, card, host_closed, kind_of, png, preview, published
from support.stage_fakes import root_away

SUFFIXES = (".civitai.info", ".metadata.json", ".preview.png")


@pytest.fixture
def near(tmp_path: Path) -> Neighbourhood:
    """Pictures of every level that a test has are wanted."""
    return Neighbourhood(World(tmp_path, options={"preview": {"max_nsfw_level": 3}}))


def edit(near: Neighbourhood, name: str, **changes: object) -> None:
    (near.world.folder / name).write_text(json.dumps({**near.sidecar(name), **changes}), "utf-8")


def sweep(near: Neighbourhood, relpath: str, file_id: int) -> None:
    [outcome] = near.world.publish(near.world.gone(relpath, file_id))
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Swept)


# ---- other bytes under the same name


def test_sidecars_of_a_namesake_that_is_gone_are_written_from_scratch(near: Neighbourhood) -> None:
    """P5. A sidecar must never hold one model's hash and another one's name."""
    near.put("same.safetensors", 31)
    near.put("same.sft", 32)
    near.publish("same.safetensors", 31)
    near.publish("same.sft", 32)
    assert near.tells_of("same", 31)
    (near.world.folder / "same.safetensors").unlink()
    near.publish("same.sft", 32)
    assert near.tells_of("same", 32)
    assert read_metadata((near.world.folder / "same.metadata.json").read_bytes())["sha256"] == sha256_of(32)
    assert near.world.known[31] == ()
    before = near.world.tree()
    sweep(near, "same.safetensors", 31)
    near.publish("same.sft", 32)
    assert near.world.tree() == before


def test_what_a_namesake_left_goes_where_the_owner_of_the_name_has_no_use_for_it(near: Neighbourhood) -> None:
    """P5."""
    near.put("same.safetensors", 31)
    near.put("same.sft", 32)
    near.publish("same.safetensors", 31)
    (near.world.folder / "same.safetensors").unlink()
    near.publish("same.sft", 32, card=None)
    assert set(near.world.tree()) == {"same.sft", "same.metadata.json"}
    data = near.sidecar("same.metadata.json")
    assert (data["model_name"], data["preview_url"], data["civitai"]) == ("same", "", {})
    assert near.world.known[31] == ()


def test_what_a_namesake_left_and_somebody_edited_is_merged_without_the_other_models_words(
    near: Neighbourhood,
) -> None:
    """P6."""
    near.put("same.safetensors", 31)
    near.put("same.sft", 32)
    near.publish("same.safetensors", 31)
    edit(near, "same.metadata.json", notes="mine", tags=["tag31", "my own"], favorite=True)
    (near.world.folder / "same.safetensors").unlink()
    near.publish("same.sft", 32)
    data = near.sidecar("same.metadata.json")
    assert (data["sha256"], data["size"]) == (sha256_of(32), len(content_of(32)))
    assert (data["notes"], data["favorite"], data["tags"]) == ("mine", True, ["my own"])
    edit(near, "same.metadata.json", tags=["tag32"])
    assert near.tells_of("same", 32)
    assert "lora-manager" not in {item.writer for item in near.world.known[32]}


def test_a_name_that_a_person_gave_survives_other_bytes(near: Neighbourhood) -> None:
    """P6."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    edit(near, "a.metadata.json", model_name="Mine", preview_nsfw_level=8, base_model="My base")
    near.put("a.safetensors", 32)
    near.publish("a.safetensors", 1)
    data = near.sidecar("a.metadata.json")
    assert (data["model_name"], data["base_model"], data["preview_nsfw_level"]) == ("Mine", "My base", 8)
    assert (data["sha256"], data["civitai"]["id"], data["trainedWords"]) == (sha256_of(32), 32, ["word32"])


def test_a_model_that_is_replaced_gets_the_picture_of_its_new_bytes(near: Neighbourhood) -> None:
    """P5."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    near.put("a.safetensors", 32)
    near.publish("a.safetensors", 1)
    assert near.tells_of("a", 32)
    assert near.world.temporary() == []
    before = near.world.tree()
    near.publish("a.safetensors", 1)
    assert near.world.tree() == before
    assert near.world.fetcher.asked == [address(31), address(32)]


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("tame", [False, True])
def test_a_picture_of_ours_goes_or_gives_way_when_the_owner_wants_less_to_be_shown(
    tmp_path: Path, *, edited: bool, tame: bool
) -> None:
    explicit = preview(address(1), nsfw_level=8)
    shown = (explicit, preview(address(2))) if tame else (explicit,)
    world = World(tmp_path, options={"preview": {"max_nsfw_level": 32}})
    model = world.model()
    world.publish(world.claim(model, card=card(previews=shown)))
    sidecar = tmp_path / "wisp.metadata.json"
    assert json.loads(sidecar.read_bytes())["preview_nsfw_level"] == 8
    if edited:
        sidecar.write_bytes(sidecar.read_bytes().replace(b'"notes": ""', b'"notes": "mine"'))
    world.options = {"preview": {"max_nsfw_level": 1}}
    world.publish(world.claim(model, card=card(previews=shown)))
    picture = tmp_path / "wisp.preview.png"
    assert picture.exists() is tame
    data = json.loads(sidecar.read_bytes())
    assert data["preview_nsfw_level"] == int(tame)
    assert data["preview_url"] == (str(picture) if tame else "")
    before = world.tree()
    published(world.publish(world.claim(model, card=card(previews=shown)))[0])
    assert world.tree() == before


def test_a_picture_that_a_person_put_there_is_under_no_limit(tmp_path: Path) -> None:
    world = World(tmp_path, options={"preview": {"max_nsfw_level": 32}})
    model = world.model()
    said = card(previews=(preview(nsfw_level=8),))
    world.publish(world.claim(model, card=said))
    (tmp_path / "wisp.preview.png").write_bytes(b"theirs")
    world.options = {"preview": {"max_nsfw_level": 1}}
    world.publish(world.claim(model, card=said))
    assert (tmp_path / "wisp.preview.png").read_bytes() == b"theirs"


@pytest.mark.parametrize("names", [("lora-manager", "civitai-info", "preview"), ("lora-manager",)])
def test_a_picture_of_other_bytes_goes_where_the_new_ones_have_none(
    near: Neighbourhood, names: tuple[str, ...]
) -> None:
    """P5."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    near.put("a.safetensors", 32)
    near.world.names = names
    near.publish("a.safetensors", 1, card=None)
    assert set(near.world.tree()) == {"a.safetensors", "a.metadata.json"}
    data = near.sidecar("a.metadata.json")
    assert (data["preview_url"], data["preview_nsfw_level"]) == ("", 0)
    assert "preview" not in {item.writer for item in near.world.known[1]}


def test_an_edited_sidecar_forgets_the_picture_that_goes(near: Neighbourhood) -> None:
    """P5, P6."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    edit(near, "a.metadata.json", notes="mine")
    near.put("a.safetensors", 32)
    near.publish("a.safetensors", 1, card=None)
    data = near.sidecar("a.metadata.json")
    assert (data["notes"], data["preview_url"], data["preview_nsfw_level"]) == ("mine", "", 0)
    assert (data["model_name"], data["base_model"], data["tags"]) == ("a", "SDXL", [])


def test_a_picture_of_other_bytes_goes_at_once_when_the_new_one_cannot_be_had_yet(
    near: Neighbourhood,
) -> None:
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    near.put("a.safetensors", 32)
    near.world.fetcher.pages[address(32)] = host_closed(90.0)
    facts = published(near.publish("a.safetensors", 1))
    assert (facts.again_in_s, kind_of(facts.trouble)) == (90.0, "gate_closed")
    assert "a.preview.png" not in near.world.tree()
    assert near.sidecar("a.metadata.json")["preview_url"] == ""
    near.world.fetcher.pages[address(32)] = (png(32), "image/png")
    near.publish("a.safetensors", 1)
    assert near.tells_of("a", 32)


@pytest.mark.parametrize("name", ["a.preview.png", "a.png"])
def test_a_picture_that_a_person_put_there_stays_with_whatever_bytes(near: Neighbourhood, name: str) -> None:
    """P6."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / name).write_bytes(b"theirs")
    near.put("a.safetensors", 32)
    near.publish("a.safetensors", 1)
    pictures = {it: data for it, data in near.world.tree().items() if it.endswith(".png")}
    assert pictures == {name: b"theirs"}
    assert near.sidecar("a.metadata.json")["preview_url"] == str(near.world.folder / name)
    assert near.world.fetcher.asked == [address(31)]


def test_a_picture_is_told_to_be_of_other_bytes_after_a_kill_before_or_after_its_rename(
    near: Neighbourhood,
) -> None:
    """P4."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    old = (near.world.folder / "a.preview.png").read_bytes()
    near.put("a.safetensors", 32)
    claim = near.claim("a.safetensors", 1)
    near.world.stage().run([claim])
    near.world.remember_intentions()
    near.publish("a.safetensors", 1)
    assert near.tells_of("a", 32)
    assert near.world.fetcher.asked == [address(31), address(32)]
    (near.world.folder / "a.preview.png").write_bytes(old)
    near.world.known[1] = tuple(
        it if it.writer != "preview" else intended_over(it, old) for it in near.world.known[1]
    )
    near.publish("a.safetensors", 1)
    assert near.tells_of("a", 32)


# ---- letter case


def test_a_model_is_never_given_the_picture_of_its_case_twin(near: Neighbourhood) -> None:
    """F18."""
    near.put("UPPER.safetensors", 31)
    near.put("upper.safetensors", 32)
    near.publish("UPPER.safetensors", 31)
    near.publish("upper.safetensors", 32)
    assert near.tells_of("UPPER", 31)
    assert near.tells_of("upper", 32)


def test_a_picture_in_other_letter_case_is_a_models_own_where_nobody_else_has_the_name(
    near: Neighbourhood,
) -> None:
    (near.world.folder / "UPPER.png").write_bytes(b"theirs")
    (near.world.folder / "UPPER.txt").write_bytes(b"no model")
    near.put("upper.safetensors", 32)
    near.publish("upper.safetensors", 32)
    assert near.sidecar("upper.metadata.json")["preview_url"] == str(near.world.folder / "UPPER.png")
    assert near.world.fetcher.asked == []


def test_of_pictures_in_other_letter_case_one_that_nobody_owns_is_found(near: Neighbourhood) -> None:
    """F18."""
    near.put("UPPER.safetensors", 31)
    near.put("upper.safetensors", 32)
    (near.world.folder / "UPPER.png").write_bytes(b"of the twin")
    (near.world.folder / "Upper.png").write_bytes(b"of nobody else")
    near.publish("upper.safetensors", 32)
    assert near.sidecar("upper.metadata.json")["preview_url"] == str(near.world.folder / "Upper.png")


# ---- renamed and moved


@pytest.mark.parametrize("target", ["b.safetensors", "deep/a.safetensors"])
def test_artifacts_follow_a_model_that_moves(near: Neighbourhood, target: str) -> None:
    """F16. Nobody is asked for the picture again."""
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / target).parent.mkdir(exist_ok=True)
    model.rename(near.world.folder / target)
    near.publish(target, 2)
    sweep(near, "a.safetensors", 1)
    stem = target.removesuffix(".safetensors")
    assert set(near.world.tree()) == {target, *(stem + suffix for suffix in SUFFIXES)}
    data = near.sidecar(f"{stem}.metadata.json")
    assert (data["preview_nsfw_level"], data["file_path"]) == (2, str(near.world.folder / target))
    assert (near.world.folder / f"{stem}.preview.png").read_bytes() == png(31)
    assert near.world.fetcher.asked == [address(31)]
    assert near.world.known[1] == ()


def test_a_picture_that_was_changed_or_has_a_rating_that_is_not_wanted_any_more_does_not_follow(
    near: Neighbourhood,
) -> None:
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    model = model.rename(near.world.folder / "b.safetensors")
    claim = near.claim("b.safetensors", 2, card=card_of(sha256_of(31), 32))
    near.world.fetcher.pages[address(32)] = (png(32), "image/png")
    near.world.publish(claim)
    assert (near.world.folder / "b.preview.png").read_bytes() == png(32)
    (near.world.folder / "a.preview.png").write_bytes(b"theirs")
    model.rename(near.world.folder / "c.safetensors")
    near.world.known[2] = ()
    near.publish("c.safetensors", 3)
    assert near.world.fetcher.asked == [address(31), address(32), address(31)]


@pytest.mark.parametrize("how", ["gone", "a folder", "a link", "away"])
def test_a_picture_that_cannot_be_read_where_it_was_is_asked_for_again(near: Neighbourhood, how: str) -> None:
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / "deep").mkdir()
    model.rename(near.world.folder / "deep" / "a.safetensors")
    picture = near.world.folder / "a.preview.png"
    claim = near.claim("deep/a.safetensors", 2)
    if how == "away":
        moved = tuple(put_elsewhere(it) for it in claim.twins)
        claim = near.claim("deep/a.safetensors", 2, twins=moved)
    else:
        aside = picture.rename(near.world.folder / "aside")
        if how == "a folder":
            picture.mkdir()
        if how == "a link":
            picture.symlink_to(aside)
    near.world.publish(claim)
    assert near.world.fetcher.asked == [address(31)] * 2


def test_two_models_that_swap_their_names_swap_their_artifacts(near: Neighbourhood) -> None:
    """F16."""
    near.put("a.safetensors", 31)
    near.put("b.safetensors", 32)
    near.publish("a.safetensors", 1)
    near.publish("b.safetensors", 2)
    near.put("a.safetensors", 32)
    near.put("b.safetensors", 31)
    near.world.publish(near.claim("a.safetensors", 1), near.claim("b.safetensors", 2))
    assert near.tells_of("a", 32)
    assert near.tells_of("b", 31)
    assert near.world.fetcher.asked == [address(31), address(32)]
    before = near.world.tree()
    near.world.publish(near.claim("a.safetensors", 1), near.claim("b.safetensors", 2))
    assert near.world.tree() == before


@pytest.mark.parametrize("rewritten", [False, True])
def test_sidecars_that_another_program_moved_along_stay_ours_and_are_not_doubled(
    near: Neighbourhood, *, rewritten: bool
) -> None:
    """F16. LoRA Manager moves everything that begins with the model's name, and may write paths anew."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    deep = near.world.folder / "deep"
    deep.mkdir()
    for path in list(near.world.folder.glob("a.*")):
        path.rename(deep / path.name)
    if rewritten:
        edit(near, "deep/a.metadata.json", file_path=str(deep / "a.safetensors"))
    facts = published(near.publish("deep/a.safetensors", 2))
    assert facts.trouble is None
    sweep(near, "a.safetensors", 1)
    assert set(near.world.tree()) == {"deep/a.safetensors", *("deep/a" + suffix for suffix in SUFFIXES)}
    assert near.world.fetcher.asked == [address(31)]
    data = read_metadata((deep / "a.metadata.json").read_bytes(), deep / "a.safetensors")
    assert data["preview_url"] == str(deep / "a.preview.png")
    ours = {item.writer for item in near.world.known[2]}
    assert ours == {"civitai-info", "preview"} | (set() if rewritten else {"lora-manager"})


def test_a_sidecar_that_was_renamed_along_says_the_new_stem(near: Neighbourhood) -> None:
    """P6. LoRA Manager rewrites a file with another stem in it."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    edit(near, "a.metadata.json", notes="mine")
    for path in list(near.world.folder.glob("a.*")):
        path.rename(path.with_name("b" + path.name.removeprefix("a")))
    near.publish("b.safetensors", 2)
    data = near.sidecar("b.metadata.json")
    assert (data["file_name"], data["notes"]) == ("b", "mine")
    assert data["file_path"] == str(near.world.folder / "b.safetensors")


def test_a_sidecar_that_was_renamed_along_names_its_model_even_if_another_has_the_old_name(
    near: Neighbourhood,
) -> None:
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    edit(near, "a.metadata.json", notes="mine")
    for path in list(near.world.folder.glob("a.*")):
        path.rename(path.with_name("b" + path.name.removeprefix("a")))
    near.put("a.safetensors", 32)
    near.publish("b.safetensors", 2)
    data = near.sidecar("b.metadata.json")
    assert (data["notes"], data["file_path"]) == ("mine", str(near.world.folder / "b.safetensors"))


@pytest.mark.parametrize("path", ["{}", "C:\\models\\a.safetensors", "/elsewhere/a.safetensors"])
def test_another_spelling_of_the_path_stays_as_long_as_something_lies_there(
    near: Neighbourhood, path: str
) -> None:
    """P6. Another machine or container may see the folder under another name."""
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    link = near.world.folder / "link"
    link.symlink_to(near.world.folder)
    edit(near, "a.metadata.json", file_path=path.format(link / "a.safetensors"))
    near.publish("a.safetensors", 1)
    stays = path == "{}"
    wanted = link / "a.safetensors" if stays else model
    assert near.sidecar("a.metadata.json")["file_path"] == str(wanted)


# ---- gone


def test_what_lies_beside_a_deleted_model_is_swept_if_it_is_ours_and_unchanged(near: Neighbourhood) -> None:
    near.put("a.safetensors", 31).parent.joinpath("a.txt").write_bytes(b"theirs")
    near.publish("a.safetensors", 1)
    edit(near, "a.metadata.json", notes="mine")
    (near.world.folder / "a.safetensors").unlink()
    sweep(near, "a.safetensors", 1)
    assert set(near.world.tree()) == {"a.metadata.json", "a.txt"}
    sweep(near, "a.safetensors", 1)
    assert set(near.world.tree()) == {"a.metadata.json", "a.txt"}


@pytest.mark.parametrize("how", ["back", "dangling link", "folder", "namesake"])
def test_nothing_is_swept_while_something_has_the_models_name(near: Neighbourhood, how: str) -> None:
    model = near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    if how != "back":
        model.unlink()
    if how == "dangling link":
        model.symlink_to("away/a.safetensors")
    if how == "folder":
        model.mkdir()
    if how == "namesake":
        near.put("a.sft", 32)
    known = near.world.known[1]
    before = near.world.tree()
    sweep(near, "a.safetensors", 1)
    assert near.world.tree() == before
    assert set(near.world.known[1]) == set(known)


def test_nothing_is_swept_where_the_folder_is_gone_or_leads_out_of_the_root(near: Neighbourhood) -> None:
    """F94."""
    near.put("deep/a.safetensors", 31)
    near.publish("deep/a.safetensors", 1)
    (near.world.folder / "deep" / "a.safetensors").unlink()
    outside = near.world.folder.parent / f"{near.world.folder.name} outside"
    (near.world.folder / "deep").rename(outside)
    known = near.world.known[1]
    sweep(near, "deep/a.safetensors", 1)
    (near.world.folder / "deep").symlink_to(outside)
    sweep(near, "deep/a.safetensors", 1)
    (near.world.folder / "deep").unlink()
    (near.world.folder / "deep").write_bytes(b"a file")
    sweep(near, "deep/a.safetensors", 1)
    assert {path.name for path in outside.iterdir()} == {"a" + suffix for suffix in SUFFIXES}
    assert set(near.world.known[1]) == set(known)


def test_nothing_is_swept_while_the_root_is_away(near: Neighbourhood) -> None:
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / "a.safetensors").unlink()
    near.world.locator.trouble = root_away()
    [outcome] = near.world.publish(near.world.gone("a.safetensors", 1))
    assert getattr(outcome, "trouble", None) is near.world.locator.trouble
    assert len(near.world.tree()) == 3


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_target_of_a_planted_link_is_never_swept(near: Neighbourhood, link: object) -> None:
    """F93."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / "a.safetensors").unlink()
    victim = near.world.folder / "victim"
    info = near.world.folder / "a.civitai.info"
    info.rename(victim)
    before = victim.read_bytes()
    assert callable(link)
    link(victim, info)
    sweep(near, "a.safetensors", 1)
    assert victim.read_bytes() == before
    assert info.is_symlink() is (link is os.symlink)


@pytest.mark.parametrize(
    "code, wanted, scope",
    [
        (errno.EROFS, Defer, Scope.ROOT),
        (errno.EIO, Defer, Scope.FILE),
        (errno.ENOMEM, Defer, Scope.DAEMON),
        (errno.EACCES, Advance, None),
    ],
)
def test_a_removal_that_may_not_be_on_the_disk_yet_keeps_its_record(
    near: Neighbourhood, code: int, wanted: type, scope: Scope | None
) -> None:
    """P4."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    (near.world.folder / "a.safetensors").unlink()
    known = near.world.known[1]

    def refuse(_fd: int) -> None:
        raise OSError(code, "refused")

    near.world.calls = Calls(fsync=refuse)
    if scope is Scope.DAEMON:
        with pytest.raises(TryLater):
            near.world.publish(near.world.gone("a.safetensors", 1))
    else:
        [outcome] = near.world.publish(near.world.gone("a.safetensors", 1))
        assert isinstance(outcome, wanted)
        assert getattr(getattr(outcome, "trouble", None), "scope", None) is scope
    assert set(near.world.known[1]) == set(known)
    near.world.calls = None
    sweep(near, "a.safetensors", 1)
    assert near.world.tree() == {}


def test_the_sidecar_of_a_case_twin_is_kept_where_the_disk_knows_no_case(near: Neighbourhood) -> None:
    """F18. Two names of one file stand for such a disk."""
    near.put("A.safetensors", 31).unlink()
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 2)
    for suffix in SUFFIXES:
        os.link(near.world.folder / f"a{suffix}", near.world.folder / f"A{suffix}")
    near.world.known[1] = tuple(
        replace(it, place=it.place.sibling("A" + it.place.name.removeprefix("a")))
        for it in near.world.known[2]
    )
    before = near.world.tree()
    sweep(near, "A.safetensors", 1)
    assert near.world.tree() == before


def test_no_record_makes_another_models_file_go(near: Neighbourhood) -> None:
    """F98. Whoever else writes into the catalog must not delete models by it."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    victims = [near.put(name, 32) for name in ("a.b.safetensors", "victim.safetensors", "deep/a.x")]
    template = near.world.known[1][0]
    near.world.known[1] += tuple(aimed_at(template, near.world, victim) for victim in victims)
    (near.world.folder / "a.safetensors").unlink()
    sweep(near, "a.safetensors", 1)
    assert all(victim.exists() for victim in victims)
    assert "a.civitai.info" not in near.world.tree()


def test_no_record_makes_a_publish_remove_another_models_file(near: Neighbourhood) -> None:
    """F98."""
    near.put("a.safetensors", 31)
    near.publish("a.safetensors", 1)
    victim = near.put("a.b.safetensors", 32)
    near.world.known[1] += (aimed_at(near.world.known[1][0], near.world, victim),)
    near.publish("a.safetensors", 1)
    assert victim.exists()


def test_sidecars_of_a_model_whose_name_only_begins_alike_are_left_alone(near: Neighbourhood) -> None:
    near.put("a.safetensors", 31)
    near.put("a.b.safetensors", 32)
    near.publish("a.b.safetensors", 2)
    near.publish("a.safetensors", 1)
    near.publish("a.b.safetensors", 2)
    assert near.tells_of("a", 31)
    assert near.tells_of("a.b", 32)
    (near.world.folder / "a.safetensors").unlink()
    sweep(near, "a.safetensors", 1)
    assert near.tells_of("a.b", 32)


def sha256_of(number: int) -> str:
    return sha256(content_of(number)).hexdigest()
