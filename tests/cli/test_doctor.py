"""`hashtagd doctor` on a machine that tests make: real folders, a real event, a real site on loopback."""

import json
import signal
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support import fuse
from support.commands import Done, Home
from support.stage_fakes import as_nobody


def found(done: Done) -> dict[str, dict[str, Any]]:
    return {it["check"]: it for it in done.json}


def levels(done: Done) -> dict[str, str]:
    return {check: it["level"] for check, it in found(done).items()}


def test_a_machine_that_is_well_is_said_to_be_so(home: Home) -> None:
    done = home.cli("doctor", "--json")
    assert done.code == 0
    told = found(done)
    assert set(levels(done).values()) == {"ok"}
    assert "a change is told at once" in told["root loras: events"]["found"]
    assert told["root loras: writing"]["found"] == "sidecars can be written"
    assert "may be watched" in told["watch limit"]["found"]
    assert "SQLite" in told["catalog"]["found"]
    assert told[f"network: {home.site.url}"]["found"] == "it answers (status 200)"
    assert "not set" in told["key"]["found"]
    assert "not installed" in told["service"]["found"]


def test_it_leaves_nothing_behind_and_changes_nothing(home: Home) -> None:
    before = sorted(str(path) for path in home.folder.rglob("*"))
    assert home.cli("doctor").code == 0
    assert sorted(str(path) for path in home.folder.rglob("*")) == before


def test_people_see_a_line_for_each_thing_and_what_to_do(home: Home) -> None:
    home.settle(roots=[{"name": "nas", "path": str(home.folder / "away")}])
    done = home.cli("doctor", "--offline")
    assert done.code == 0
    assert "warn  root nas:" in done.out
    assert "you: mount its disk" in done.out


def test_a_root_that_may_not_be_written_to_is_a_warning_unless_nothing_is_written_there(home: Home) -> None:
    home.loras.chmod(0o555)
    for folder in (home.folder, *home.folder.parents):
        if folder.stat().st_mode & 0o755 != 0o755:
            folder.chmod(0o755)  # whoever we are then has to get there
    with as_nobody():
        assert levels(home.cli("doctor", "--json", "--offline"))["root loras: writing"] == "warn"
    home.settle(roots=[{"name": "loras", "path": str(home.loras), "writers": []}])
    with as_nobody():
        told = found(home.cli("doctor", "--json", "--offline"))
    assert told["root loras: writing"]["level"] == "ok"
    assert "not tried" in told["root loras: events"]["found"]


def test_a_root_that_is_polled_needs_no_events(home: Home) -> None:
    home.settle(roots=[{"name": "loras", "path": str(home.loras), "watch": "poll"}])
    told = found(home.cli("doctor", "--json", "--offline"))
    assert "`watch: poll`" in told["root loras: events"]["found"]


@pytest.mark.slow
def test_a_link_to_a_share_that_is_gone_is_told_of_and_its_root_is_not_called_silent(
    home: Home, tmp_path: Path
) -> None:
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    behind, point = tmp_path / "behind", tmp_path / "share"
    behind.mkdir()
    point.mkdir()
    (home.loras / "nas").symlink_to(point)
    with fuse.mounted(behind, point) as server:
        server.send_signal(signal.SIGSTOP)
        done = home.cli("doctor", "--json")
    told = found(done)
    assert levels(done)["root loras"] == "ok"
    assert told["root loras: events"]["level"] == "warn"
    assert (
        "nas in root loras lies on a disk or a server that does not answer"
        in told["root loras: events"]["found"]
    )


def test_a_site_that_is_away_fails_and_the_rest_is_still_looked_at(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        home.settle(providers=[{"kind": "civitai", "base_url": url}])
        done = home.cli("doctor", "--json")
    assert done.code == 1
    assert levels(done)[f"network: {url}"] == "fail"
    assert "key" in levels(done)


def test_a_closed_region_is_said_in_words(home: Home) -> None:
    home.site.fail_next(None, status=451)
    told = found(home.cli("doctor", "--json"))[f"network: {home.site.url}"]
    assert (told["level"], "network.proxy" in told["you"]) == ("fail", True)


class _Wrong(BaseHTTPRequestHandler):
    """A site whose clock is an hour ahead of ours, and which is no ComfyUI either."""

    def log_message(self, *_: object) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return "Thu, 01 Jan 2015 00:00:00 GMT"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")


@pytest.fixture
def wrong() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Wrong)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_wrong_clock_is_told_by_the_site_s(home: Home, wrong: str) -> None:
    home.settle(providers=[{"kind": "civitai", "base_url": wrong}])
    told = found(home.cli("doctor", "--json"))["clock"]
    assert told["level"] == "fail"
    assert "minutes ahead" in told["found"]


def test_what_answers_and_is_no_comfyui_is_named(home: Home, wrong: str) -> None:
    home.settle(comfyui={"path": None, "url": wrong})
    assert levels(home.cli("doctor", "--json", "--offline"))["comfyui"] == "warn"


def test_a_key_is_never_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "k" * 32
    monkeypatch.setenv("CIVITAI_API_KEY", key)
    done = home.cli("doctor", "--offline")
    assert "key: set" in done.out
    assert key not in done.out


def test_a_unit_that_does_not_name_a_root_is_told_of(home: Home) -> None:
    units = home.folder / "user" / ".config" / "systemd" / "user"
    assert home.cli("service", "install", "--user").code == 1
    assert levels(home.cli("doctor", "--json", "--offline"))["service"] == "ok"
    other = home.folder / "other"
    other.mkdir()
    home.settle(roots=[{"name": "loras", "path": str(home.loras)}, {"name": "other", "path": str(other)}])
    told = found(home.cli("doctor", "--json", "--offline"))["service"]
    assert (told["level"], str(other) in told["found"]) == ("warn", True)
    assert Path(units / "hashtagd.service").exists()


def test_settings_that_are_wrong_are_told_with_their_lines(home: Home) -> None:
    home.config.write_text("rots: []\n", encoding="utf-8")
    done = home.cli("doctor", "--json")
    assert done.code == 78
    assert ":1:" in done.err


def test_the_document_has_the_documented_keys(home: Home) -> None:
    for it in json.loads(home.cli("doctor", "--json", "--offline").out):
        assert set(it) == {"check", "level", "found", "you"}
        assert it["level"] in {"ok", "warn", "fail"}
