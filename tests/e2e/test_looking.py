"""A daemon that can be looked at: real requests to a real process."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hashtagd.standin import Standin
from support.daemon_process import is_tagged, make_home, publish, running
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def figures(text: bytes) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        sample.name: {
            tuple(other.labels.values()): other.value
            for family in text_string_to_metric_families(text.decode())
            for other in family.samples
            if other.name == sample.name
        }
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_health_and_figures_tell_what_the_daemon_did(tmp_path: Path, site: Standin) -> None:
    port = free_port()
    home = make_home(tmp_path / "home", site=site.url, web={"listen": f"127.0.0.1:{port}"})
    content = lora(1)
    publish(site, content, "Ink")
    with running(home) as daemon:
        (home.loras / "ink.safetensors").write_bytes(content)
        daemon.until(lambda: is_tagged(home.loras / "ink.safetensors", "Ink", picture=False))
        # the file lies there a moment before the catalog says so
        daemon.until(lambda: figures(get(port, "/metrics")[1])["hashtagd_files"]["published",] == 1)
        status, body = get(port, "/health")
        health: dict[str, Any] = json.loads(body)
        assert (status, health["alive"], health["well"], health["reasons"]) == (200, True, True, [])
        told = figures(get(port, "/metrics")[1])
        assert told["hashtagd_hashed_bytes_total"][()] == len(content)
        assert told["hashtagd_requests_total"][site.url,] >= 2
        assert told["hashtagd_gate_open"][site.url,] == 1
        assert told["hashtagd_event_overflows_total"][()] == 0
        assert told["hashtagd_well"][()] == 1
        assert told["hashtagd_queue_files"]["digest",] == 0
        assert sum(told["hashtagd_bugs_total"].values()) == 0
        assert daemon.terminate() == 0


def test_a_root_that_is_away_makes_it_unwell_and_says_why(tmp_path: Path, site: Standin) -> None:
    port = free_port()
    home = make_home(tmp_path / "home", site=site.url, scan_interval_s=1, web={"listen": f"127.0.0.1:{port}"})
    with running(home) as daemon:
        home.loras.rename(home.folder / "away")

        def told() -> bool:
            status, body = get(port, "/health")
            return status == 503 and any("root loras" in reason for reason in json.loads(body)["reasons"])

        daemon.until(told)


def test_a_port_that_is_taken_stops_nothing_else(tmp_path: Path, site: Standin) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        home = make_home(
            tmp_path / "home", site=site.url, web={"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        )
        with running(home) as daemon:
            assert daemon.events("page_not_served")
            assert daemon.terminate() == 0
