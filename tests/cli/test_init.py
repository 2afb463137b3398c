"""`hashtagd init` proposes what `check-config` accepts."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from support.commands import Home

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def user(home: Home) -> Path:
    folder = home.folder / "user"
    folder.mkdir(exist_ok=True)
    return folder


def comfyui(folder: Path) -> Path:
    (folder / "models" / "loras").mkdir(parents=True)
    (folder / "main.py").write_bytes(b"")
    return folder


def test_what_is_proposed_is_accepted_and_says_why(home: Home, user: Path) -> None:
    own = comfyui(user / 'Comfy "UI"' / "ComfyUI")
    (user / "ComfyUI").symlink_to(own)
    done = home.bare("init", "--url", NOBODY)
    assert done.code == 0
    document = yaml.safe_load(done.out)
    assert document["comfyui"]["path"] == str(user / "ComfyUI")
    assert "it lies where ComfyUI usually does" in done.out
    path = home.folder / "proposed.yaml"
    path.write_text(done.out, encoding="utf-8")
    assert home.bare("--config", path, "check-config").code == 0


def test_it_is_written_only_when_told_and_replaces_nothing(home: Home, user: Path) -> None:
    comfyui(user / "ComfyUI")
    written = user / ".config" / "hashtagd" / "config.yaml"
    assert home.bare("init", "--url", NOBODY).code == 0
    assert not written.exists()
    done = home.bare("init", "--url", NOBODY, "--write")
    assert (done.code, written.exists()) == (0, True)
    assert str(written) in done.out
    before = written.read_bytes()
    again = home.bare("init", "--url", NOBODY, "--write")
    assert again.code == 1
    assert "is there already" in again.err
    assert written.read_bytes() == before
    assert home.bare("check-config").code == 0


def test_where_nothing_is_found_it_says_what_to_fill_in(home: Home, user: Path) -> None:
    del user
    done = home.bare("init", "--url", NOBODY)
    assert done.code == 0
    assert "found no folder" in done.err
    assert "# roots:" in done.out
    path = home.folder / "proposed.yaml"
    path.write_text(done.out, encoding="utf-8")
    assert home.bare("--config", path, "check-config").code == 0


@pytest.fixture
def server(home: Home) -> Iterator[str]:
    own = comfyui(home.folder / "elsewhere" / "ComfyUI")
    nas = home.folder / "nas"
    nas.mkdir()
    documents = {
        "/system_stats": {"system": {"argv": [str(own / "main.py")], "comfyui_version": "0.3.9"}},
        "/experiment/models": [{"name": "loras", "folders": [str(own / "models" / "loras"), str(nas)]}],
    }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = json.dumps(documents.get(self.path)).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()
    thread.join()


def test_a_running_comfyui_is_asked(home: Home, server: str) -> None:
    done = home.bare("init", "--url", server)
    document = yaml.safe_load(done.out)
    assert document["comfyui"] == {
        "path": str(home.folder / "elsewhere" / "ComfyUI"),
        "url": server,
    }
    assert [root["path"] for root in document["roots"]] == [str(home.folder / "nas")]


@pytest.mark.parametrize("name", ["new\nline", "tab\t", os.fsdecode(b"half \xff")])
def test_a_folder_whose_name_no_settings_can_hold_is_left_out_and_named(
    home: Home, user: Path, name: str
) -> None:
    comfyui(user / "ComfyUI")
    done = home.bare("init", "--url", NOBODY, comfyui(user / name))
    assert yaml.safe_load(done.out)["comfyui"]["path"] == str(user / "ComfyUI")
    assert "left out" in done.err
    path = home.folder / "proposed.yaml"
    path.write_text(done.out, encoding="utf-8")
    assert home.bare("--config", path, "check-config").code == 0


def test_folders_of_one_name_and_of_odd_names_are_proposed_as_settings_may_have_them(
    home: Home, user: Path
) -> None:
    names = ("nas/loras", "usb/loras", "ends with space ", "q" * 120, "100% 'é\"")
    named = [home.folder / name for name in names]
    for folder in named:
        folder.mkdir(parents=True)
    comfyui(user / "ComfyUI")
    done = home.bare("init", "--url", NOBODY, *named)
    roots = yaml.safe_load(done.out)["roots"]
    assert [root["path"] for root in roots] == [str(it) for it in named]
    assert [root.get("name") for root in roots][:2] == ["nas-loras", "usb-loras"]
    path = home.folder / "proposed.yaml"
    path.write_text(done.out, encoding="utf-8")
    accepted = home.bare("--config", path, "check-config")
    assert accepted.code == 0, accepted.err


def test_a_folder_that_no_root_may_be_is_left_out_and_named(home: Home, user: Path) -> None:
    done = home.bare("init", "--url", NOBODY, "/", user, home.loras)
    assert [root["path"] for root in yaml.safe_load(done.out)["roots"]] == [str(home.loras)]
    assert "left out /: a root must not be / itself" in done.err
    assert f"left out {user}: a root must not be your home" in done.err


def test_folders_that_are_named_come_first_whatever_they_hold(home: Home, user: Path, tmp_path: Path) -> None:
    comfyui(user / "ComfyUI")
    own, plain = comfyui(tmp_path / "elsewhere" / "ComfyUI"), tmp_path / "my models"
    plain.mkdir()
    done = home.bare("init", "--url", NOBODY, own, plain)
    document = yaml.safe_load(done.out)
    assert document["comfyui"]["path"] == str(own)
    assert [root["path"] for root in document["roots"]] == [str(plain), str(user / "ComfyUI" / "models")]
    assert "you named it" in done.out
    assert home.bare("init", tmp_path / "none").code == 2
