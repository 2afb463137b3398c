"""Publishing on real files: what is written, what is left alone, and what a second run does."""

import json
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from hashtagd.core.place import Place
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Scope
from hashtagd.core.work import Advance, Defer, Forget, Publication, Published, Release, Restart
from support.metadata_reader import read_metadata
from support.publish_fakes import (
    SMALL_PICTURE,
    ListLedger,
    PowerCut,
    World,
    before_renames,
    gone,
    host_closed,
    kind_of,
    png,
    preview,
    published,
)
from support.stage_fakes import place_silent, root_away
from support.untouched import untouched

SIDECARS = {"wisp.civitai.info", "wisp.metadata.json", "wisp.preview.png", "wisp.safetensors"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_known_model_gets_its_sidecars_and_picture(world: World) -> None:
    model = world.model()
    [outcome] = world.publish(world.claim(model))
    facts = published(outcome)
    assert set(world.tree()) == SIDECARS
    assert (facts.trouble, facts.again_in_s) == (None, None)
    data = read_metadata(world.tree()["wisp.metadata.json"], model)
    assert data["preview_url"] == str(world.folder / "wisp.preview.png")
    assert data["preview_nsfw_level"] == 1
    assert data["size"] == 9
    assert world.tree()["wisp.preview.png"] == png()
    assert world.fetcher.asked == [SMALL_PICTURE]


def test_the_model_itself_is_never_touched(world: World) -> None:
    """P1."""
    model = world.model()
    before = model.stat()
    world.publish(world.claim(model))
    after = model.stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_ino, before.st_size, before.st_ctime_ns) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_ino,
        after.st_size,
        after.st_ctime_ns,
    )


def test_a_second_run_writes_fetches_and_intends_nothing(world: World) -> None:
    model = world.model()
    first = published(world.publish(world.claim(model))[0])
    before = {path: untouched(path) for path in world.folder.iterdir()}
    world.ledger = ListLedger()
    second = published(world.publish(world.claim(model))[0])
    assert {path: untouched(path) for path in world.folder.iterdir()} == before
    assert world.ledger.calls == 0
    assert len(world.fetcher.asked) == 1
    assert set(second.publications) == set(first.publications)


def test_intentions_are_committed_once_for_the_whole_batch_and_before_any_rename(world: World) -> None:
    claims = [world.claim(world.model(f"m{number}.safetensors"), file_id=number) for number in range(1, 6)]
    seen: list[set[str]] = []

    class Looking(ListLedger):
        def intend(self, intentions: object) -> frozenset[int]:
            seen.append({name for name in world.tree() if not name.startswith((".", "m"))})
            seen.append({name for name in world.tree() if name.endswith(".json")})
            return super().intend(intentions)  # type: ignore[arg-type]

    world.ledger = Looking()
    world.publish(*claims)
    assert world.ledger.calls == 1
    assert seen == [set(), set()]
    assert len(world.tree()) == 20


def test_outcomes_come_in_the_order_of_the_claims(world: World) -> None:
    fine = world.claim(world.model("a.safetensors"), file_id=1)
    grown = world.claim(world.model("b.safetensors"), file_id=2)
    world.model("b.safetensors", b"now longer")
    missing = world.claim(world.model("c.safetensors"), file_id=3)
    (world.folder / "c.safetensors").unlink()
    outcomes = world.publish(grown, missing, fine)
    assert isinstance(outcomes[0], Restart)
    assert outcomes[0].stamp.size_bytes == 10
    assert isinstance(outcomes[1], Forget)
    assert isinstance(outcomes[2], Advance)


def test_no_inode_is_compared_where_inodes_cannot_be_trusted(world: World) -> None:
    claim = world.claim(world.model())
    [outcome] = world.publish(replace(claim, stamp=replace(claim.stamp, inode=0)))
    assert isinstance(outcome, Advance)


def test_a_claim_without_hashes_is_a_bug(world: World) -> None:
    with pytest.raises(ValueError, match="hashes"):
        world.publish(world.claim(world.model(), digests=None))


def test_without_writers_nothing_is_written(world: World) -> None:
    world.names = ()
    [outcome] = world.publish(world.claim(world.model()))
    assert published(outcome).publications == ()
    assert set(world.tree()) == {"wisp.safetensors"}
    assert world.ledger.calls == 0


def test_offline_a_model_gets_what_its_header_says_and_later_the_rest(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model, card=None, answered=False, checked_at=None))
    assert set(world.tree()) == {"wisp.safetensors", "wisp.metadata.json"}
    data = read_metadata(world.tree()["wisp.metadata.json"], model)
    assert (data["base_model"], data["model_name"], data["from_civitai"]) == ("SDXL", "wisp", True)
    world.publish(world.claim(model))
    data = read_metadata(world.tree()["wisp.metadata.json"], model)
    assert (data["base_model"], data["model_name"]) == ("Illustrious", "Will-o'-wisp")


def test_an_unknown_model_is_marked_as_asked(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model, card=None))
    assert set(world.tree()) == {"wisp.safetensors", "wisp.metadata.json"}
    assert read_metadata(world.tree()["wisp.metadata.json"], model)["civitai_deleted"] is True


def test_a_new_title_on_the_site_reaches_a_sidecar_that_nobody_edited(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    claim = world.claim(model)
    assert claim.card is not None
    world.publish(replace(claim, card=replace(claim.card, model_name="Renamed")))
    assert read_metadata(world.tree()["wisp.metadata.json"], model)["model_name"] == "Renamed"


def test_a_sidecar_that_a_person_edited_keeps_the_edit(world: World) -> None:
    """P6."""
    model = world.model()
    world.publish(world.claim(model))
    path = world.folder / "wisp.metadata.json"
    edited = {**json.loads(path.read_bytes()), "model_name": "Mine", "notes": "good at 0.7", "favorite": True}
    path.write_text(json.dumps(edited), "utf-8")
    claim = world.claim(model)
    assert claim.card is not None
    world.publish(replace(claim, card=replace(claim.card, model_name="Renamed", trained_words=("more",))))
    data = read_metadata(path.read_bytes(), model)
    assert (data["model_name"], data["notes"], data["favorite"]) == ("Mine", "good at 0.7", True)
    assert data["trainedWords"] == ["wisp", "pale light", "more"]


def test_a_merge_into_a_foreign_file_never_makes_it_ours(world: World) -> None:
    """P6. What counts as ours may be removed by `unpublish`."""
    model = world.model()
    (world.folder / "wisp.metadata.json").write_text('{"notes": "mine"}', "utf-8")
    facts = published(world.publish(world.claim(model))[0])
    assert json.loads((world.folder / "wisp.metadata.json").read_bytes())["notes"] == "mine"
    assert "lora-manager" not in {item.writer for item in facts.publications}
    assert "lora-manager" not in {item.writer for item in world.known[1]}


def test_a_foreign_civitai_info_stays_byte_for_byte(world: World) -> None:
    """P6."""
    (world.folder / "wisp.civitai.info").write_bytes(b'{"id": 5}')
    facts = published(world.publish(world.claim(world.model()))[0])
    assert world.tree()["wisp.civitai.info"] == b'{"id": 5}'
    assert facts.trouble is None
    assert "civitai-info" not in {item.writer for item in facts.publications}


@pytest.mark.parametrize("content", [b"{}", b'{"skeleton_file": true}'])
def test_a_placeholder_is_replaced(world: World, content: bytes) -> None:
    (world.folder / "wisp.civitai.info").write_bytes(content)
    world.publish(world.claim(world.model()))
    assert json.loads(world.tree()["wisp.civitai.info"])["id"] == 202


@pytest.mark.parametrize("content", [b"{ broken", b"[]", b'\xef\xbb\xbf{"a": 1}', b""])
def test_a_broken_foreign_sidecar_is_left_alone_and_reported(world: World, content: bytes) -> None:
    """P6, P11."""
    (world.folder / "wisp.metadata.json").write_bytes(content)
    facts = published(world.publish(world.claim(world.model()))[0])
    assert world.tree()["wisp.metadata.json"] == content
    assert kind_of(facts.trouble) == "foreign_sidecar"
    assert facts.again_in_s is None
    assert "wisp.civitai.info" in world.tree()


def test_broken_bytes_of_our_own_are_written_anew(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    path = world.folder / "wisp.metadata.json"
    path.write_bytes(b"{ torn")
    place = Place(root="loras", relpath="wisp.metadata.json")
    torn = sha256(b"{ torn").hexdigest()
    known = Publication(writer="lora-manager", place=place, intended_sha256=torn, written_sha256=None)
    world.publish(world.claim(model, publications=(known,)))
    read_metadata(path.read_bytes(), model)


@pytest.mark.parametrize("name", ["wisp.png", "wisp.webp", "wisp.preview.jpg", "Wisp.PNG", "wisp.mp4"])
def test_never_a_second_picture(world: World, name: str) -> None:
    (world.folder / name).write_bytes(b"theirs")
    model = world.model()
    world.publish(world.claim(model))
    assert world.fetcher.asked == []
    assert "wisp.preview.png" not in world.tree()
    assert read_metadata(world.tree()["wisp.metadata.json"], model)["preview_url"] == str(world.folder / name)


def test_our_picture_that_a_person_replaced_is_theirs(world: World) -> None:
    """P6."""
    model = world.model()
    world.publish(world.claim(model))
    (world.folder / "wisp.preview.png").write_bytes(png(9))
    facts = published(world.publish(world.claim(model))[0])
    assert world.tree()["wisp.preview.png"] == png(9)
    [known] = [item for item in facts.publications if item.writer == "preview"]
    assert not known.recognises(sha256(png(9)).hexdigest())
    assert len(world.fetcher.asked) == 1


def test_a_lost_artifact_comes_back(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    before = world.tree()
    for name in SIDECARS - {"wisp.safetensors"}:
        (world.folder / name).unlink()
    world.publish(world.claim(model))
    assert world.tree() == before


def test_a_closed_image_host_holds_up_no_sidecar_and_the_picture_follows(world: World) -> None:
    model = world.model()
    world.fetcher.pages[SMALL_PICTURE] = host_closed(90.0)
    facts = published(world.publish(world.claim(model))[0])
    assert (facts.again_in_s, kind_of(facts.trouble)) == (90.0, "gate_closed")
    assert read_metadata(world.tree()["wisp.metadata.json"], model)["preview_url"] == ""
    world.fetcher.pages.clear()
    facts = published(world.publish(world.claim(model))[0])
    assert (facts.again_in_s, facts.trouble) == (None, None)
    data = read_metadata(world.tree()["wisp.metadata.json"], model)
    assert data["preview_url"] == str(world.folder / "wisp.preview.png")
    assert data["preview_nsfw_level"] == 1


def test_a_silent_host_without_a_time_is_asked_again_after_a_while(world: World) -> None:
    world.fetcher.pages[SMALL_PICTURE] = host_closed(None)
    assert published(world.publish(world.claim(world.model()))[0]).again_in_s == 300.0


@pytest.mark.parametrize("trouble", [AskOperator, GiveUp])
def test_a_trouble_of_the_host_is_never_final_for_the_picture(
    world: World, trouble: type[AskOperator | GiveUp]
) -> None:
    other = "https://elsewhere.example/2.png"
    world.fetcher.pages[SMALL_PICTURE] = trouble(
        "untrusted", does="waits", you="look", scope=Scope.PROVIDER, kind="untrusted"
    )
    world.fetcher.pages[other] = gone()
    claim = world.claim(world.model())
    assert claim.card is not None
    two = replace(claim.card, previews=(preview(), preview(other)))
    facts = published(world.publish(world.claim(world.folder / "wisp.safetensors", card=two))[0])
    assert world.fetcher.asked == [SMALL_PICTURE, other]
    assert (facts.again_in_s, kind_of(facts.trouble)) == (900.0, "untrusted")


@pytest.mark.parametrize(
    "page",
    [
        gone(),
        (b"<html>not found</html>", "text/html"),
        (b"", "image/png"),
        (b"x" * 2_000, "image/png"),
        (b"<svg onload=evil()>", "image/svg+xml"),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
    ],
)
def test_a_picture_that_is_none_is_final_and_the_next_candidate_is_tried(
    world: World, page: tuple[bytes, str] | Exception
) -> None:
    world.options = {"preview": {"max_bytes": 1_024}}
    other = "https://elsewhere.example/2.png"
    world.fetcher.pages[SMALL_PICTURE] = page
    claim = world.claim(world.model())
    assert claim.card is not None
    facts = published(world.publish(claim)[0])
    assert facts.again_in_s is None
    assert facts.trouble is not None
    assert "wisp.preview.png" not in world.tree()
    two = replace(claim.card, previews=(preview(), preview(other)))
    world.publish(world.claim(world.folder / "wisp.safetensors", card=two))
    assert world.fetcher.asked[-2:] == [SMALL_PICTURE, other]
    assert world.tree()["wisp.preview.png"] == png()


def test_a_picture_is_not_asked_for_when_stopping(world: World) -> None:
    world.pause.stopping = True
    assert world.publish(world.claim(world.model())) == [Release()]
    assert world.fetcher.asked == []


def test_a_stop_during_a_fetch_gives_the_claim_back_and_leaves_nothing(world: World) -> None:
    world.fetcher.pages[SMALL_PICTURE] = Stopping()
    assert world.publish(world.claim(world.model())) == [Release()]
    assert set(world.tree()) == {"wisp.safetensors"}


def test_a_lost_fence_writes_nothing(world: World) -> None:
    lost = world.claim(world.model("a.safetensors"), file_id=1)
    held = world.claim(world.model("b.safetensors"), file_id=2)
    world.ledger.lost = frozenset({1})
    outcomes = world.publish(lost, held)
    assert outcomes[0] == Release()
    assert isinstance(outcomes[1], Advance)
    assert {name for name in world.tree() if name.startswith(("a.", "."))} == {"a.safetensors"}


def test_a_ledger_that_is_away_ends_the_run_and_leaves_nothing(world: World) -> None:
    away = AskOperator("x", does="y", you="z", scope=Scope.DAEMON, kind="catalog_away")
    world.ledger.trouble = away
    with pytest.raises(AskOperator):
        world.publish(world.claim(world.model()))
    assert set(world.tree()) == {"wisp.safetensors"}


def test_a_root_that_is_away_gives_the_claim_back(world: World) -> None:
    claim = world.claim(world.model())
    world.locator.trouble = root_away()
    [outcome] = world.publish(claim)
    assert isinstance(outcome, Release)
    assert outcome.trouble is world.locator.trouble


def test_a_claim_whose_file_does_not_answer_waits_and_nothing_is_written(world: World) -> None:
    claim, before = world.claim(world.model()), set(world.tree())
    world.locator.trouble = place_silent()
    assert world.publish(claim) == [Release(trouble=world.locator.trouble, wait_s=300.0)]
    assert set(world.tree()) == before


def test_bytes_that_change_while_a_picture_is_fetched_are_not_published_under(world: World) -> None:
    """P5."""
    model = world.model()
    claim = world.claim(model)
    world.fetcher.during = lambda: write(model, b"other bytes of the model")
    [outcome] = world.publish(claim)
    assert isinstance(outcome, Restart)
    assert set(world.tree()) == {"wisp.safetensors"}


def test_a_sidecar_that_appears_while_a_picture_is_fetched_wins(world: World) -> None:
    """P6."""
    claim = world.claim(world.model())
    theirs = world.folder / "wisp.preview.png"
    world.fetcher.during = lambda: write(theirs, b"theirs")
    [outcome] = world.publish(claim)
    assert isinstance(outcome, Defer)
    assert outcome.trouble is None
    assert theirs.read_bytes() == b"theirs"
    assert world.temporary() == []


def test_our_civitai_info_goes_when_the_bytes_became_others_but_not_an_edited_one(world: World) -> None:
    """P5. It would tell its readers another file's hash."""
    model = world.model()
    world.publish(world.claim(model))
    model.write_bytes(b"quite another model")
    facts = published(world.publish(world.claim(model, card=None, answered=False, checked_at=None))[0])
    assert "wisp.civitai.info" not in world.tree()
    assert "civitai-info" not in {item.writer for item in facts.publications}
    data = read_metadata(world.tree()["wisp.metadata.json"], model)
    assert (data["civitai"], data["size"], data["model_name"]) == ({}, 19, "wisp")


def test_an_edited_civitai_info_stays_even_when_the_bytes_became_others(world: World) -> None:
    """P6."""
    model = world.model()
    world.publish(world.claim(model))
    (world.folder / "wisp.civitai.info").write_bytes(b'{"mine": 1}')
    model.write_bytes(b"quite another model")
    world.publish(world.claim(model, card=None))
    assert world.tree()["wisp.civitai.info"] == b'{"mine": 1}'


def test_a_stale_sidecar_that_is_edited_while_another_models_picture_is_fetched_stays(world: World) -> None:
    """P6."""
    model = world.model()
    world.publish(world.claim(model))
    info = world.folder / "wisp.civitai.info"
    world.fetcher.during = lambda: write(info, b'{"mine": 1}')
    other = world.claim(world.model("other.safetensors", b"another"), file_id=2)
    facts = published(world.publish(world.claim(model, card=None), other)[0])
    assert info.read_bytes() == b'{"mine": 1}'
    assert "civitai-info" not in {item.writer for item in facts.publications}


def test_sidecars_that_moved_along_are_not_made_twice(world: World) -> None:
    model = world.model()
    world.publish(world.claim(model))
    styles = world.folder / "styles"
    styles.mkdir()
    for path in list(world.folder.glob("wisp.*")):
        path.rename(styles / path.name)
    world.publish(world.claim(styles / "wisp.safetensors"))
    data = read_metadata((styles / "wisp.metadata.json").read_bytes(), styles / "wisp.safetensors")
    assert data["preview_url"] == str(styles / "wisp.preview.png")
    assert {path.name for path in styles.iterdir()} == SIDECARS
    assert len(world.fetcher.asked) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_models_of_one_stem_the_first_by_name_owns_the_sidecars(
    world: World, order: tuple[int, int]
) -> None:
    """P5."""
    models = [world.model("wisp.safetensors"), world.model("wisp.sft", b"other bytes")]
    for _ in range(2):
        claims = [world.claim(model, file_id=number) for number, model in enumerate(models, start=1)]
        outcomes = world.publish(*(claims[index] for index in order))
        facts = [published(outcomes[order.index(index)]) for index in range(2)]
        assert [kind_of(some.trouble) for some in facts] == [None, "shared_stem"]
        assert (facts[1].publications, facts[1].again_in_s) == ((), None)
        assert set(world.tree()) == {*SIDECARS, "wisp.sft"}
        data = read_metadata(world.tree()["wisp.metadata.json"], models[0])
        assert data["sha256"] == sha256(b"the model").hexdigest()
    assert len(world.fetcher.asked) == 1
    assert world.temporary() == []


def test_a_model_with_a_stem_for_itself_has_namesakes_that_are_no_models(world: World) -> None:
    for name in ("wisp.json", "wisp.a", "wisp.txt"):
        (world.folder / name).write_bytes(b"{}")
    assert published(world.publish(world.claim(world.model()))[0]).trouble is None


def test_sidecars_go_over_to_a_model_that_comes_first_by_name(world: World) -> None:
    """P5."""
    second = world.model("wisp.sft", b"other bytes")
    world.publish(world.claim(second, file_id=2))
    first = world.model("wisp.safetensors")
    world.publish(world.claim(second, file_id=2))
    assert not {"wisp.civitai.info", "wisp.metadata.json"} & set(world.tree())
    published(world.publish(world.claim(first))[0])
    read_metadata(world.tree()["wisp.metadata.json"], first)
    assert "wisp.civitai.info" in world.tree()


def test_without_writers_a_shared_stem_is_no_trouble(world: World) -> None:
    world.names = ()
    world.model("wisp.safetensors")
    [outcome] = world.publish(world.claim(world.model("wisp.sft"), file_id=2))
    assert published(outcome).trouble is None


@pytest.mark.parametrize("extension", [".safetensors", ".sft"])
def test_a_name_that_leaves_no_room_is_left_out_with_a_reason(world: World, extension: str) -> None:
    stem = "n" * (255 - len(extension))
    [outcome] = world.publish(world.claim(world.model(stem + extension)))
    facts = published(outcome)
    assert kind_of(facts.trouble) == "name_too_long"
    assert all(len(name) <= 255 for name in world.tree())
    assert facts.again_in_s is None


def test_what_a_root_of_its_own_wants_overrides_the_common_list(world: World) -> None:
    stage = world.stage()
    stage._planning = replace(stage._planning, writers={**stage._planning.writers, "loras": ()})
    [outcome] = stage.run([world.claim(world.model())])
    assert outcome == Advance(facts=Published(publications=()))


def test_a_killed_run_is_finished_by_the_next_at_every_point(world: World) -> None:
    """P2, P4. The process ends between intention and rename, between renames, or before the report."""
    model = world.model()
    World(world.folder / "x").folder.mkdir()
    done = World(world.folder / "x")
    done.publish(done.claim(done.model()))
    for cut in range(4):
        for name in SIDECARS - {"wisp.safetensors"}:
            (world.folder / name).unlink(missing_ok=True)
        world.known.clear()
        run_until_cut(world, cut)
        world.remember_intentions()
        facts = published(world.publish(world.claim(model))[0])
        assert {name: world.tree()[name] for name in SIDECARS if name.endswith((".info", ".png"))} == {
            name: done.tree()[name] for name in SIDECARS if name.endswith((".info", ".png"))
        }
        assert {item.writer for item in facts.publications} == {"lora-manager", "civitai-info", "preview"}
        assert all(item.written_sha256 is not None for item in facts.publications)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def run_until_cut(world: World, renames: int) -> None:
    """Publish and end the process after so many renames; the report never reaches the catalog."""
    left = iter(range(renames))

    def cut() -> None:
        if next(left, None) is None:
            raise PowerCut

    world.calls = before_renames(cut)
    with suppress(PowerCut):
        world.stage().run([world.claim(world.folder / "wisp.safetensors")])
    world.calls = None
