"""Taking back what was written: exactly ours and unchanged, never anything else."""

import json
import os
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.cli.context import load_settings
from hashtagd.service.clock import SystemClock
from hashtagd.service.lock import DaemonLock
from hashtagd.service.roots import plan_roots
from hashtagd.service.sidecars import make_ground, unpublish
from hashtagd.stages.calls import Calls
from hashtagd.stages.effects import Folder
from hashtagd.standin.pictures import png
from support.commands import Home
from support.publish_fakes import PowerCut

INK = "styles/ink.safetensors"
OURS = {
    "styles/ink.metadata.json",
    "styles/ink.civitai.info",
    "styles/ink.preview.png",
    "private.metadata.json",
}
MODELS = {INK, "private.safetensors"}


def tree(home: Home) -> set[str]:
    return {path.relative_to(home.loras).as_posix() for path in home.loras.rglob("*") if path.is_file()}


def edit(home: Home, name: str, **changes: object) -> bytes:
    path = home.loras / name
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}, indent=2), "utf-8")
    return path.read_bytes()


def test_what_nobody_changed_goes_and_nothing_else(library: Home) -> None:
    mine = edit(library, "private.metadata.json", notes="mine")
    (library.loras / "styles" / "ink.json").write_bytes(b"{}")
    models = {name: (library.loras / name).read_bytes() for name in MODELS}
    done = library.cli("unpublish")
    assert done.code == 0
    assert done.out.startswith("3 removed\nleft alone: 1 that somebody changed\n")
    assert tree(library) == MODELS | {"private.metadata.json", "styles/ink.json"}
    assert (library.loras / "private.metadata.json").read_bytes() == mine
    assert {name: (library.loras / name).read_bytes() for name in MODELS} == models


def test_the_next_run_writes_it_all_again_without_reading_or_asking_anything(library: Home) -> None:
    before = {name: (library.loras / name).read_bytes() for name in OURS}
    library.cli("unpublish", "loras")
    assert tree(library) == MODELS
    asked = [request for request in library.site.requests if "/api/" in request.path]
    done = library.cli("--quiet", "run", "--once", "--json")
    assert (done.code, done.json["bytes_hashed"], done.json["written"]) == (0, 0, 4)
    assert {name: (library.loras / name).read_bytes() for name in OURS} == before
    assert [request for request in library.site.requests if "/api/" in request.path] == asked


def test_without_writers_it_stays_away(library: Home) -> None:
    library.settle(writers=[])
    library.cli("unpublish")
    assert library.cli("--quiet", "run", "--once").code == 0
    assert tree(library) == MODELS


def test_a_second_one_finds_nothing(library: Home) -> None:
    library.cli("unpublish")
    done = library.cli("unpublish")
    assert (done.code, done.out) == (0, "0 removed\n")


def test_what_goes_and_what_stays_is_listed_before_anything_is_removed(library: Home) -> None:
    edit(library, "private.metadata.json", notes="mine")
    before = tree(library)
    done = library.cli("unpublish", "--dry-run")
    assert done.code == 0
    assert set(done.out.splitlines()) == {
        "would remove loras/styles/ink.civitai.info",
        "would remove loras/styles/ink.metadata.json",
        "would remove loras/styles/ink.preview.png",
        "stays loras/private.metadata.json: somebody changed it since hashtagd wrote it",
        "3 would be removed",
        "left alone: 1 that somebody changed",
    }
    assert tree(library) == before
    assert library.cli("unpublish").out.startswith("3 removed")


def test_programs_get_a_line_for_each_artifact(library: Home) -> None:
    edit(library, "private.metadata.json", notes="mine")
    looked = library.cli("unpublish", "--dry-run", "--json").lines
    done = library.cli("unpublish", "--json").lines
    assert {line["action"] for line in looked} == {"would_remove", "stays"}
    assert [(it["path"], it["state"]) for it in done] == [(it["path"], it["state"]) for it in looked]
    stays = next(it for it in done if it["action"] == "stays")
    assert (stays["root"], stays["writer"], stays["state"]) == ("loras", "lora-manager", "edited")
    assert "somebody changed it" in stays["why"]


def test_files_that_were_there_before_stay_and_are_counted(home: Home) -> None:
    """F88. Merged into or left alone: they are somebody's."""
    home.put("a.safetensors")
    (home.loras / "a.metadata.json").write_text('{"notes": "mine", "model_name": "Mine"}', "utf-8")
    (home.loras / "a.civitai.info").write_text('{"id": 5}', "utf-8")
    (home.loras / "a.png").write_bytes(b"my picture")
    home.cli("--quiet", "run", "--once")
    before = {name: (home.loras / name).read_bytes() for name in tree(home)}
    assert json.loads(before["a.metadata.json"])["sha256"], "it was merged into"
    looked = home.cli("unpublish", "--dry-run")
    assert "stays loras/a.civitai.info: it is not hashtagd's" in looked.out
    done = home.cli("unpublish")
    assert done.out == "0 removed\nleft alone: 3 that are not hashtagd's\n"
    assert {name: (home.loras / name).read_bytes() for name in tree(home)} == before


def test_while_a_daemon_runs_only_a_look_is_possible(library: Home) -> None:
    before = tree(library)
    with DaemonLock(library.state, owner="x", pid=4242):
        refused = library.cli("unpublish")
        looked = library.cli("unpublish", "--dry-run")
    assert refused.code == 1
    for words in ("a daemon runs (pid 4242)", "nothing was removed", "stop the daemon first"):
        assert words in refused.err
    assert tree(library) == before
    assert (looked.code, looked.out.count("would remove")) == (0, 4)


def test_only_the_named_roots_are_touched(home: Home) -> None:
    vae = home.folder / "vae"
    vae.mkdir()
    home.settle(
        roots=[
            {"name": "loras", "path": str(home.loras), "quiet_s": 0},
            {"name": "vae", "path": str(vae), "quiet_s": 0},
        ]
    )
    home.put("a.safetensors", known=False)
    home.put("../vae/b.safetensors", known=False)
    home.cli("--quiet", "run", "--once")
    home.cli("unpublish", "vae")
    assert not (vae / "b.metadata.json").exists()
    assert (home.loras / "a.metadata.json").exists()
    unknown = home.cli("unpublish", "nas")
    assert unknown.code == 1
    assert "choose from: loras, vae" in unknown.err


def test_a_root_that_is_away_is_told_and_the_others_are_done(library: Home) -> None:
    away = library.loras.rename(library.folder / "away")
    done = library.cli("unpublish")
    assert done.code == 1
    assert "loras: the folder of root loras is not there" in done.err
    assert "  you:      " in done.err
    away.rename(library.loras)
    assert library.cli("unpublish").out.startswith("4 removed")


def test_a_link_planted_at_a_sidecars_name_leads_nowhere(library: Home) -> None:
    """F93."""
    sidecar = library.loras / "private.metadata.json"
    victim = library.folder / "victim.json"
    victim.write_bytes(sidecar.read_bytes())
    sidecar.unlink()
    sidecar.symlink_to(victim)
    done = library.cli("unpublish")
    assert done.out.startswith("3 removed\nleft alone: 1 that are not hashtagd's\n")
    assert sidecar.is_symlink()
    assert victim.exists()


def test_what_a_model_left_that_is_gone_goes_as_well(library: Home) -> None:
    (library.loras / INK).unlink()
    library.cli("rescan")
    library.cli("unpublish")
    assert tree(library) == MODELS - {INK}


def test_killed_in_the_middle_it_loses_nothing(library: Home) -> None:
    """What was removed is written again by the next run; what was not is still known to be ours."""

    def cut(_fd: int) -> None:
        raise PowerCut

    before = tree(library)
    loaded = load_settings(library.config, dict(os.environ))
    plan = plan_roots(loaded, (), environ=os.environ, state_folder=None)
    ground = make_ground(loaded, plan, SystemClock(), Folder)
    catalog = Catalog.open(loaded.settings.catalog.url, clock=SystemClock(), owner="test", chance=lambda: 0.0)
    with closing(catalog), pytest.raises(PowerCut):
        list(unpublish(catalog, replace(ground, calls=Calls(fsync=cut)), ["loras"]))
    assert tree(library) == MODELS, "it died after the removals, and before they were known"
    shown = library.cli("show", "--json", "ink").json["sidecars"]
    assert {it["state"] for it in shown} == {"missing"}
    library.cli("--quiet", "run", "--once")
    assert tree(library) == before
    assert library.cli("unpublish").out.startswith("4 removed")


def test_without_a_catalog_there_is_nothing_and_none_is_made(home: Home) -> None:
    assert home.cli("unpublish").out == "0 removed\n"
    assert not home.state.exists()


def with_galleries(home: Home) -> list[Path]:
    """Publish one file in each of two roots, and the same bytes in both; returns all pictures."""
    other = home.folder / "more"
    other.mkdir()
    roots = [{"name": it.name, "path": str(it), "quiet_s": 0} for it in (home.loras, other)]
    home.settle(preview={"gallery": 2}, roots=roots)
    pictures = [png(8, 8, seed) for seed in range(2)]
    home.put("here.safetensors", previews=pictures)
    home.put("both.safetensors", previews=pictures)
    home.put("there.safetensors", previews=pictures)
    (home.loras / "there.safetensors").rename(other / "there.safetensors")
    shutil.copy(home.loras / "both.safetensors", other / "both.safetensors")
    assert home.cli("--quiet", "run", "--once").code == 0
    return sorted((home.state / "gallery").rglob("*.png"))


def test_galleries_go_as_well_and_come_back_unless_they_are_switched_off(home: Home) -> None:
    pictures = with_galleries(home)
    assert len(pictures) == 6
    looked = home.cli("unpublish", "--dry-run")
    assert [f"would remove {path}" in looked.out for path in pictures] == [True] * 6
    assert all(path.exists() for path in pictures)
    done = home.cli("unpublish")
    assert done.code == 0
    assert "unless the settings say `writers: []` and `preview: {gallery: 0}`" in done.out
    assert not (home.state / "gallery").exists()
    assert home.cli("--quiet", "run", "--once").code == 0
    assert all(path.exists() for path in pictures)


def test_of_one_root_only_those_galleries_go_that_no_other_root_has_a_model_of(home: Home) -> None:
    pictures = with_galleries(home)
    lines = [it for it in home.cli("unpublish", "--json", "loras").lines if it["writer"] == "gallery"]
    here = home.cli("show", "--json", "here").json["hashes"]["sha256"]
    assert {Path(it["path"]).parent.name for it in lines} == {here}
    assert {(it["root"], it["action"], it["state"], it["why"]) for it in lines} == {
        (None, "removed", "ours", None)
    }
    assert {path.parent.name for path in pictures if not path.exists()} == {here}


def test_a_gallery_that_cannot_be_removed_is_told_of_and_the_others_go(home: Home) -> None:
    pictures = with_galleries(home)
    (pictures[0].parent / ".hashtagd-x").mkdir()
    done = home.cli("unpublish", "--json")
    assert done.code == 1
    assert "the galleries in hashtagd's state folder cannot be written to (EISDIR)" in done.err
    stays = [it for it in done.lines if it["action"] == "stays"]
    assert [(it["writer"], it["path"]) for it in stays] == [("gallery", str(pictures[0].parent))]
    assert {path.parent for path in pictures[2:] if path.exists()} == set()
