"""`hashtagd get` against the stand-in, with real files; the daemon has its part in whole runs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.commands import Done, Home
from support.getting import CONTENT, FACTS, SHA256, fetched, offer
from support.safetensors import lora


@pytest.fixture(autouse=True)
def _room(home: Home) -> None:
    home.settle(downloads={"min_free_bytes": 0})


def shown(home: Home, name: str = "loras/ink.safetensors") -> dict[str, Any]:
    card: dict[str, Any] = home.cli("show", "--json", name).json
    return card


@pytest.mark.parametrize(
    "named",
    [
        "22",
        "urn:air:sdxl:lora:civitai:11@22",
        "https://civitai.com/models/11?modelVersionId=22",
        "https://civitai.red/models/11/ink-wash?modelVersionId=22",
        "https://civitai.com/models/11/ink-wash",
        "https://civitai.com/api/download/models/22",
    ],
)
def test_a_model_is_fetched_by_any_of_its_names(home: Home, named: str) -> None:
    offer(home)
    done = home.cli("get", named)
    assert (done.code, done.out.splitlines()) == (0, ["loras/ink.safetensors"])
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


def test_what_is_fetched_is_named_and_published_at_once(home: Home) -> None:
    offer(home)
    assert home.cli("get", "22").code == 0
    sidecar = json.loads((home.loras / "ink.metadata.json").read_text(encoding="utf-8"))
    assert (sidecar["model_name"], sidecar["sha256"]) == ("Ink wash", SHA256)
    card = shown(home)
    assert card["match"]["confidence"] == "exact"
    assert card["trained_words"] == ["inkwash"]
    assert card["hashes"]["tensors_sha256"] is not None
    # read once, on its way in; and the site said all there is to say before
    story = home.cli("show", "loras/ink.safetensors").out
    assert "file_fetched" in story
    assert "file_digested" not in story
    asked = [it.path for it in home.site.requests if it.path.startswith("/api/v1")]
    assert asked == ["/api/v1/model-versions/22", "/api/v1/models/11"]


def test_a_run_after_it_has_nothing_to_do(home: Home) -> None:
    offer(home)
    assert home.cli("get", "22").code == 0
    home.site.forget_requests()
    summary = home.cli("run", "--once", "--json").json
    assert (summary["bytes_hashed"], summary["written"], summary["requests"]) == (0, 0, {})
    assert summary["named"] == 1


def test_what_is_here_already_is_not_fetched_again(home: Home) -> None:
    offer(home)
    assert home.cli("get", "22").code == 0
    home.site.forget_requests()
    done = home.cli("get", "22")
    assert done.code == 0
    assert "already there: loras/ink.safetensors" in done.out
    assert fetched(home) == []


def test_a_key_is_shown_only_where_one_is_asked_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "k" * 32
    home.site.routes.key = key
    offer(home, needs_key=True)
    refused = home.cli("get", "22")
    assert refused.code == 1
    assert "logged in" in refused.err
    assert "api_key_file" in refused.err
    assert list(home.loras.iterdir()) == []
    monkeypatch.setenv("CIVITAI_API_KEY", key)
    home.site.forget_requests()
    assert home.cli("get", "22").code == 0
    proofs = [(it.path.split("/")[1], "authorization" in it.headers) for it in home.site.requests]
    assert proofs == [("api", False)] * 2 + [("api", False), ("api", True), ("storage", False)]


def test_an_open_file_is_fetched_without_the_key(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVITAI_API_KEY", "k" * 32)
    offer(home)
    assert home.cli("get", "22").code == 0
    assert not any("authorization" in it.headers for it in home.site.requests)


@pytest.mark.parametrize(
    "facts, said",
    [
        ({"archived": True}, "archived"),
        ({"generation_only": True}, "does not allow downloads"),
        ({"early_access_ends_at": "2099-01-01T00:00:00.000Z"}, "early access"),
        ({"content": None}, "does not find this file"),
    ],
)
def test_why_a_file_cannot_be_had_is_said_in_words(home: Home, facts: dict[str, Any], said: str) -> None:
    offer(home)
    home.site.library.remove(SHA256)
    home.site.add(sha256=SHA256, size_bytes=len(CONTENT), **{**FACTS, "content": CONTENT, **facts})
    done = home.cli("get", "22")
    assert done.code != 0
    assert said in done.err
    assert list(home.loras.iterdir()) == []


def test_the_folder_of_comfyui_is_chosen_by_type(home: Home) -> None:
    comfyui = home.folder / "ComfyUI"
    for name in ("loras", "checkpoints", "vae"):
        (comfyui / "models" / name).mkdir(parents=True)
    home.settle(roots=[], comfyui={"path": str(comfyui), "url": None}, downloads={"min_free_bytes": 0})
    offer(home)
    offer(
        home, lora(8), kind="Checkpoint", version_id=23, model_id=12, file_id=34, file_name="big.safetensors"
    )
    offer(home, lora(9), kind="VAE", version_id=24, model_id=13, file_id=35, file_name="v.safetensors")
    assert home.cli("get", "22", "23", "24").code == 0
    found = sorted(path.relative_to(comfyui).as_posix() for path in comfyui.rglob("*.safetensors"))
    assert found == [
        "models/checkpoints/big.safetensors",
        "models/loras/ink.safetensors",
        "models/vae/v.safetensors",
    ]


def test_without_a_folder_for_the_type_nothing_is_fetched(home: Home) -> None:
    offer(home, kind="Checkpoint")
    done = home.cli("get", "22")
    assert done.code == 1
    assert "--to" in done.err
    assert fetched(home) == []


def test_a_folder_can_be_named(home: Home) -> None:
    offer(home, kind="Checkpoint")
    assert home.cli("get", "22", "--to", home.loras / "new" / "folder").code == 0
    assert (home.loras / "new" / "folder" / "ink.safetensors").read_bytes() == CONTENT


def test_a_root_can_be_named(home: Home) -> None:
    offer(home, kind="Checkpoint")
    assert home.cli("get", "22", "--to", "loras").out == "loras/ink.safetensors\n"


def test_a_folder_outside_every_root_is_refused(home: Home) -> None:
    offer(home)
    done = home.cli("get", "22", "--to", home.folder / "elsewhere")
    assert done.code == 1
    assert "no folder that hashtagd looks after" in done.err


def test_without_settings_the_named_folder_is_the_root(home: Home) -> None:
    home.settle(roots=[], downloads={"min_free_bytes": 0})
    offer(home)
    assert home.cli("get", "22").code == 78
    assert home.cli("get", "22", "--to", home.loras).code == 0
    assert (home.loras / "ink.metadata.json").exists()


def test_another_file_of_the_version_can_be_chosen(home: Home) -> None:
    offer(home)
    other = offer(home, lora(8), file_id=34, file_name="ink-fp32.safetensors")
    refused = home.cli("get", "22", "--file", "99")
    assert refused.code == 1
    assert "34 ink-fp32.safetensors" in refused.err
    assert home.cli("get", "22", "--file", "34").code == 0
    assert shown(home, "loras/ink-fp32.safetensors")["hashes"]["sha256"] == other


def test_a_name_that_is_taken_is_left_to_its_owner(home: Home) -> None:
    offer(home)
    (home.loras / "ink.safetensors").write_bytes(b"mine")
    assert home.cli("get", "22").out == "loras/ink-22.safetensors\n"
    assert (home.loras / "ink.safetensors").read_bytes() == b"mine"
    assert (home.loras / "ink-22.safetensors").read_bytes() == CONTENT


def test_a_list_has_names_comments_and_empty_lines(home: Home) -> None:
    offer(home)
    offer(home, lora(8), version_id=23, model_id=12, file_id=34, file_name="two.safetensors")
    names = home.folder / "names.txt"
    names.write_text("\ufeff# mine\n22\n\n  https://civitai.com/models/12 \n", encoding="utf-8")
    assert home.cli("get", "--list", names).out.splitlines() == [
        "loras/ink.safetensors",
        "loras/two.safetensors",
    ]


def test_what_cannot_be_read_as_a_list_is_refused(home: Home) -> None:
    names = home.folder / "names.bin"
    names.write_bytes(b"\xff\xfe\x00")
    done = home.cli("get", "--list", names)
    assert done.code == 1
    assert "UTF-8" in done.err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_call_without_names_is_a_wrong_call(home: Home, words: tuple[str, ...]) -> None:
    assert home.cli("get", *words).code == 2


@pytest.mark.parametrize("named", ["https://example.com/models/1", "abc", "0"])
def test_what_is_no_name_is_refused_and_the_rest_is_fetched(home: Home, named: str) -> None:
    offer(home)
    done = home.cli("get", named, "22")
    assert done.code == 1
    assert "names no model" in done.err
    assert (home.loras / "ink.safetensors").exists()


def test_a_version_that_nobody_shows_is_said_so(home: Home) -> None:
    done = home.cli("get", "404")
    assert done.code == 1
    assert "does not know version 404" in done.err


def test_a_site_that_is_away_is_tried_again_later(home: Home) -> None:
    offer(home)
    home.site.fail_next(None, status=503)
    done = home.cli("get", "22")
    assert done.code == 75
    assert "gave no proper answer" in done.err


def test_programs_read_events(home: Home) -> None:
    sha256 = offer(home)
    events = home.cli("get", "--json", "22", "404").lines
    assert [event["event"] for event in events][-2:] == ["refused", "ended"]
    ended = events[-1]
    assert (ended["state"], ended["sha256"], ended["path"]) == ("done", sha256, "ink.safetensors")
    assert ended["bytes_done"] == ended["size_bytes"] == len(CONTENT)


def test_without_a_daemon_a_detached_download_is_done_all_the_same(home: Home) -> None:
    offer(home)
    done: Done = home.cli("get", "--detach", "22")
    assert done.code == 0
    assert (home.loras / "ink.safetensors").exists()


def test_what_waits_is_shown_by_status_and_woken_by_retry(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "k" * 32
    home.site.routes.key = key
    offer(home, needs_key=True)
    assert home.cli("get", "22").code == 1
    (download,) = home.cli("status", "--json").json["downloads"]
    assert (download["state"], download["trouble"]["kind"]) == ("parked", "login_wanted")
    assert "logged in" in home.cli("status").out
    monkeypatch.setenv("CIVITAI_API_KEY", key)
    assert "1 downloads are due now" in home.cli("retry", home.loras / "ink.safetensors").out
    assert home.cli("run", "--once").code == 0
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


@pytest.mark.parametrize("named", ["loras/ink.safetensors", "ink.safetensors", "{loras}/ink.safetensors"])
def test_a_wish_can_be_taken_back(home: Home, named: str) -> None:
    home.site.routes.key = "k" * 32
    offer(home, needs_key=True)
    assert home.cli("get", "22").code == 1
    done = home.cli("get", "--cancel", named.format(loras=home.loras), "other.safetensors")
    assert done.code == 1, "one of them was not waited for"
    assert done.out == "loras/ink.safetensors: not waited for any more\n"
    assert "other.safetensors: no download is waited for under this name" in done.err
    assert home.cli("status", "--json").json["downloads"] == []
    home.site.forget_requests()
    assert home.cli("run", "--once").code == 0
    assert fetched(home) == []
    again = home.cli("get", "--cancel", "--json", "ink.safetensors")
    assert (again.code, again.out) == (1, "")


def test_programs_read_what_was_taken_back(home: Home) -> None:
    home.site.routes.key = "k" * 32
    offer(home, needs_key=True)
    assert home.cli("get", "22").code == 1
    done = home.cli("get", "--cancel", "--json", "loras/ink.safetensors")
    assert (done.code, done.lines) == (
        0,
        [{"event": "cancelled", "root": "loras", "path": "ink.safetensors"}],
    )


def test_no_secret_and_no_signed_address_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "secret-key-" + "k" * 32
    home.site.routes.key = key
    monkeypatch.setenv("CIVITAI_API_KEY", key)
    offer(home, needs_key=True)
    done = home.cli("get", "22")
    assert done.code == 0
    kept = [path for folder in (home.state, home.loras) for path in folder.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert key.encode() not in path.read_bytes()
        assert b"X-Amz-Signature" not in path.read_bytes()
    assert key not in done.out + done.err


def test_the_mode_follows_the_folder(home: Home) -> None:
    before = os.umask(0o077)
    try:
        offer(home)
        home.loras.chmod(0o755)
        assert home.cli("get", "22").code == 0
    finally:
        os.umask(before)
    assert Path(home.loras / "ink.safetensors").stat().st_mode & 0o777 == 0o644
