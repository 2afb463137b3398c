"""`run --dry-run`: everything but the writing."""

import hashlib
import json
import os
import re
from pathlib import Path

from hashtagd.cli.rehearsal import Rehearsed
from hashtagd.core.place import Place
from hashtagd.stages.rehearse import Action, Proposal
from support.commands import Home


def tree(home: Home) -> dict[str, bytes]:
    return {
        path.relative_to(home.loras).as_posix(): path.read_bytes()
        for path in home.loras.rglob("*")
        if path.is_file()
    }


def test_nothing_is_written_and_everything_is_shown(home: Home) -> None:
    sha256 = home.put("ink.safetensors", trained_words=("inkwash",))
    home.put("private.safetensors", known=False)
    before = tree(home)
    folder_times = home.loras.stat().st_mtime_ns
    done = home.cli("--quiet", "run", "--dry-run")
    assert done.code == 0
    assert tree(home) == before
    assert home.loras.stat().st_mtime_ns == folder_times, "not even for a moment"
    lines = done.out.splitlines()
    for name in ("ink.metadata.json", "ink.civitai.info", "private.metadata.json"):
        assert lines[lines.index(f"+++ loras/{name}") - 1] == "--- /dev/null"
    assert f'+  "sha256": "{sha256}",' in lines
    assert any(
        re.fullmatch(r"would write loras/ink\.preview\.png \([\d.]+ K?B picture\)", it) for it in lines
    )
    assert "2 files: 0 named, 0 unknown to every site, 2 waiting, 0 parked" in lines
    assert any("0 written" in it for it in lines)


def test_an_ordinary_run_afterwards_writes_what_was_shown(home: Home) -> None:
    home.put("ink.safetensors")
    shown = home.cli("--quiet", "run", "--dry-run").out
    asked = sum("/api/" in request.path for request in home.site.requests)
    done = home.cli("--quiet", "run", "--once", "--json").json
    assert (done["files"], done["named"], done["bytes_hashed"]) == (1, 1, 0)
    assert sum("/api/" in request.path for request in home.site.requests) == asked, "nothing is asked twice"
    text = (home.loras / "ink.civitai.info").read_text("utf-8")
    assert all(f"+{line}" in shown.splitlines() for line in text.splitlines())


def test_a_second_look_shows_the_same_and_after_a_run_there_is_nothing_to_show(home: Home) -> None:
    home.put("ink.safetensors")
    first = home.cli("--quiet", "run", "--dry-run").out.splitlines()[:-2]
    again = home.cli("--quiet", "run", "--dry-run").out.splitlines()[:-2]
    assert first == again
    home.cli("--quiet", "run", "--once")
    over = home.cli("--quiet", "run", "--dry-run")
    assert over.out.startswith("1 files: 1 named")


def test_a_merge_shows_only_the_lines_that_change(home: Home) -> None:
    home.put("ink.safetensors")
    theirs = home.loras / "ink.metadata.json"
    theirs.write_text(json.dumps({"notes": "mine", "model_name": "Mine"}, indent=2), "utf-8")
    lines = home.cli("--quiet", "run", "--dry-run").out.splitlines()
    at = lines.index("--- loras/ink.metadata.json")
    assert lines[at + 1] == "+++ loras/ink.metadata.json"
    assert '   "notes": "mine",' in lines
    assert not [it for it in lines if it.startswith(("-  ", "+  ")) and '"notes"' in it]


def test_what_would_go_is_shown_and_stays(home: Home) -> None:
    home.put("ink.safetensors")
    home.cli("--quiet", "run", "--once")
    (home.loras / "ink.safetensors").unlink()
    home.put("other.safetensors", known=False)
    before = tree(home)
    done = home.cli("--quiet", "run", "--dry-run")
    for name in ("ink.metadata.json", "ink.civitai.info", "ink.preview.png"):
        assert f"would remove loras/{name}" in done.out
    assert tree(home) == before


def test_programs_get_one_document(home: Home) -> None:
    home.put("ink.safetensors")
    told = home.cli("run", "--dry-run", "--json").json
    assert (told["files"], told["written"]) == (1, 0)
    would = {it["path"]: it for it in told["would"]}
    assert {it["action"] for it in would.values()} == {"write"}
    assert would["ink.preview.png"]["diff"] is None
    assert would["ink.preview.png"]["size_bytes"] > 0
    assert would["ink.metadata.json"]["writer"] == "lora-manager"
    assert would["ink.metadata.json"]["diff"].startswith("--- /dev/null\n+++ loras/ink.metadata.json\n")


def test_why_something_would_not_be_written_is_told(home: Home) -> None:
    home.put("ink.safetensors")
    (home.loras / "ink.metadata.json").write_bytes(b"not JSON")
    done = home.cli("--quiet", "run", "--dry-run")
    assert "loras/ink.safetensors: the .metadata.json file beside the model is left alone" in done.out
    assert "hashtagd retry FILE" in done.out
    (told,) = [it for it in home.cli("run", "--dry-run", "--json").json["would"] if it["action"] == "none"]
    assert told["path"] == "ink.safetensors"
    assert all(len(told[clause]) > 8 for clause in ("what", "does", "you"))


def test_sidecars_of_other_people_in_other_encodings_and_attributes_are_one_line(home: Home) -> None:
    place = Place(root="loras", relpath="a.txt")
    rehearsed = Rehearsed(as_json=False)
    home.capsys.readouterr()
    rehearsed.tell(Proposal(action=Action.WRITE, place=place, writer="w", after=b"\xff" * 2000))
    rehearsed.tell(Proposal(action=Action.SET, place=place, writer="xattrs:user.tags", after=b"abc"))
    rehearsed.tell(Proposal(action=Action.REMOVE, place=place, writer="xattrs:user.tags"))
    rehearsed.tell(Proposal(action=Action.WRITE, place=place, writer="w", after=b"a\x1b[2J\n"))
    lines = home.capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "would write loras/a.txt (2.0 KB)",
        "would set user.tags of loras/a.txt (3 B)",
        "would remove user.tags of loras/a.txt",
    ]
    assert lines[-1] == "+a\\x1b[2J"


def test_a_closed_gate_ends_it_as_it_ends_a_single_run(home: Home) -> None:
    home.put("ink.safetensors")
    home.site.fail_next(None, status=503)
    done = home.cli("--quiet", "run", "--dry-run")
    assert done.code == 75
    assert "+++ loras/ink.metadata.json" in done.out, "what the header says would be written"
    assert list(tree(home)) == ["ink.safetensors"]


def test_folders_of_the_command_line_need_no_settings(home: Home) -> None:
    extra = home.folder / "extra"
    extra.mkdir()
    model = extra / "a.safetensors"
    home.put("a.safetensors", known=False)
    Path(home.loras / "a.safetensors").rename(model)
    os.utime(model, (1e9, 1e9))
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    done = home.cli("--quiet", "run", "--dry-run", extra)
    assert done.code == 0
    assert sha256 in done.out
    assert [path.name for path in extra.iterdir()] == ["a.safetensors"]
