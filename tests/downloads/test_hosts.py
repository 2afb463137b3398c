"""How hosts are found and reached: names that lie, proxies, the environment, and how many at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagd.core.card import DownloadUrl
from hashtagd.core.ports import Stopping
from hashtagd.core.work import Defer, Park
from hashtagd.providers.downloads import MOST_AT_ONCE, FileDownloader
from hashtagd.providers.wire import Limits
from support.downloads import CONTENT, KIND, QUICK, Serve, errand, fetched, gives, kind_of, mirror
from support.fault_server import FaultServer, Line, reply
from support.surroundings import World

PATIENT = Limits(read_s=20.0, total_s=30.0)


# ---- names


def test_a_name_that_turns_inward_the_second_time_is_not_connected_to(tmp_path: Path) -> None:
    """F92: it was public when it was judged, and each connection is judged anew."""
    answers = iter([["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], []])
    with FaultServer(gives()) as victim, errand(tmp_path, resolve=lambda _h, _p: next(answers)) as job:
        for _ in range(4):
            outcome = job.run(DownloadUrl(url="https://rebound.example/x", source="mirror"))
            assert isinstance(outcome, Park)
            assert kind_of(outcome) == "address_refused"
        assert next(answers, None) is None
        assert victim.requests == []
        assert job.world.gates.closings == []


def test_the_connection_goes_to_the_address_that_was_judged(tmp_path: Path) -> None:
    """F92: a name is resolved once for each connection, so it cannot answer differently in between."""
    with FaultServer(gives()) as server:
        answers = iter([["127.0.0.1"], ["127.0.0.2"]])
        origin = f"http://named.example:{server.port}"
        with errand(tmp_path, origins=[origin], resolve=lambda _h, _p: next(answers)) as job:
            fetched(job.run(mirror(origin)))
        assert next(answers) == ["127.0.0.2"]
        assert b"\r\nhost: named.example:" in server.requests[0].lower()


@pytest.mark.parametrize(
    "error", [OSError("no such name"), UnicodeError("label too long"), ValueError("NUL")]
)
def test_a_name_that_cannot_be_resolved_closes_the_gate_of_its_host(tmp_path: Path, error: Exception) -> None:
    """F36."""

    def resolve(_host: str, _port: int) -> list[str]:
        raise error

    with errand(tmp_path, resolve=resolve) as job:
        outcome = job.run(DownloadUrl(url="https://gone.example/x", source="mirror"))
        assert isinstance(outcome, Defer)
        assert kind_of(outcome) == "unreachable"
        assert [origin for origin, _, _ in job.world.gates.closings] == ["https://gone.example"]


@pytest.mark.parametrize(
    "url",
    [
        "http://mirror.example/x",
        "https://127.0.0.1/x",
        "https://user:secret@mirror.example/x",
        "ftp://mirror.example/x",
        "file:///etc/passwd",
        "https:///x",
        "//mirror.example/x",
        "https://mirror.example:8443/x",
        "https://mirror.example/" + "x" * 4_000,
        "https://mirror.example/\r\nX: y",
        "",
    ],
)
def test_an_address_on_a_card_is_judged_like_any_stranger_s(tmp_path: Path, url: str) -> None:
    """F49, F92: the store may hold rows that somebody else made."""

    def resolve(_host: str, _port: int) -> list[str]:
        raise AssertionError("it was looked for")

    with errand(tmp_path, resolve=resolve) as job:
        outcome = job.run(DownloadUrl(url=url, source="mirror"))
        assert isinstance(outcome, Park)
        assert kind_of(outcome) == "address_refused"
        assert "secret" not in str(outcome.trouble)


def test_a_connection_that_ends_before_a_word_is_tried_once_more(serve: Serve) -> None:
    """F40: the host may have closed it just then, because it had been idle."""
    job, server = serve(b"", gives())
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 2
    assert job.world.gates.closings == []


def test_a_probe_after_an_outage_is_one_request(serve: Serve) -> None:
    """P9: one probe, and no second try."""
    job, server = serve(reply(b"", status="503 Busy"), b"", gives())
    for requests in (1, 2):
        assert kind_of(job.run(mirror(server.url))) == "unreachable"
        assert len(server.requests) == requests
        job.world.clock.elapsed_s += 60.0
    fetched(job.run(mirror(server.url)))


def test_a_host_that_refuses_the_connection_closes_its_gate(tmp_path: Path) -> None:
    """F36."""
    with FaultServer(b"") as server:
        url = server.url
    with errand(tmp_path, origins=[url]) as job:
        assert kind_of(job.run(mirror(url))) == "unreachable"
        assert [origin for origin, _, _ in job.world.gates.closings] == [url]


# ---- proxies


def test_the_proxy_of_the_settings_is_asked_for_every_hop(tmp_path: Path) -> None:
    """F54: it resolves the names, so nobody here does."""

    def resolve(host: str, _port: int) -> list[str]:
        assert host == "127.0.0.1"
        return [host]

    origin = "http://far.example"
    away = reply(b"", status="302 Found", headers=["Location: http://far.example/file"])
    with FaultServer(away, gives()) as proxy:
        world = World(running=True)
        world.surroundings = replace(world.surroundings, proxy=proxy.url)
        with errand(tmp_path, origins=[origin], world=world, resolve=resolve) as job:
            fetched(job.run(mirror(origin)))
        lines = [request.split(b"\r\n")[0] for request in proxy.requests]
        assert lines == [b"GET http://far.example/x.bin HTTP/1.1", b"GET http://far.example/file HTTP/1.1"]


def test_behind_a_proxy_the_text_of_an_address_is_judged_all_the_same(tmp_path: Path) -> None:
    """F92: a proxy may stand where the inner network is."""
    with FaultServer(gives()) as proxy:
        world = World(running=True)
        world.surroundings = replace(world.surroundings, proxy=proxy.url)
        with errand(tmp_path, world=world) as job:
            for url in ("https://127.0.0.1/x", "https://169.254.169.254/x", "http://far.example/x"):
                assert kind_of(job.run(DownloadUrl(url=url, source="mirror"))) == "address_refused"
        assert proxy.requests == []


def test_what_the_environment_says_of_proxies_and_passwords_is_ignored(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F54: neither a proxy, nor a netrc that knows a password for the host."""
    with FaultServer(b"") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login me password planted\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        job, server = serve(gives())
        fetched(job.run(mirror(server.url)))
        assert proxy.requests == []
        assert b"authorization" not in server.requests[0].lower()


# ---- how many at once


class Crowd:
    """Counts who is being served at one moment; lets go of all when it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, line: Line) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.arrived.release()
        line.send(reply(CONTENT[:500], kind=KIND, length=len(CONTENT)))
        self.go.wait(10)
        with self.lock:
            self.inside -= 1
        line.send(CONTENT[500:])


@contextmanager
def downloader_for(world: World, *origins: str) -> Iterator[FileDownloader]:
    made = FileDownloader(
        world.surroundings, base_url="https://civitai.com", allowed_origins=origins, limits=PATIENT
    )
    try:
        yield made
    finally:
        made.close()


def read_all(downloader: FileDownloader, source: DownloadUrl, into: list[bytes]) -> None:
    buffer, whole = memoryview(bytearray(1 << 16)), b""
    try:
        with downloader.open(source, offset=0, begun=None) as incoming:
            while count := incoming.read_into(buffer):
                whole += buffer[:count]
    except Stopping:
        whole = b"stopped"
    into.append(whole)


def begin(downloader: FileDownloader, source: DownloadUrl, into: list[bytes]) -> threading.Thread:
    thread = threading.Thread(target=read_all, args=(downloader, source, into), daemon=True)
    thread.start()
    return thread


def test_at_most_two_files_come_from_one_origin_at_once() -> None:
    """P9: the others wait, and come when a place is free."""
    crowd, got = Crowd(), list[bytes]()
    with FaultServer(crowd) as server, FaultServer(gives()) as other:
        with downloader_for(World(running=True), server.url, other.url) as downloader:
            threads = [begin(downloader, mirror(server.url), got) for _ in range(5)]
            for _ in range(MOST_AT_ONCE):
                assert crowd.arrived.acquire(timeout=10)
            # somebody else's place is free
            read_all(downloader, mirror(other.url), got)
            assert got == [CONTENT]
            assert not crowd.arrived.acquire(blocking=False)
            crowd.go.set()
            for thread in threads:
                thread.join(20)
        assert crowd.most == MOST_AT_ONCE
        assert got == [CONTENT] * 6
        assert len(server.requests) == 5


def test_a_stop_ends_the_waiting_for_a_place_and_for_bytes() -> None:
    """F84."""
    world, crowd, got = World(running=True), Crowd(), list[bytes]()
    with FaultServer(crowd) as server, downloader_for(world, server.url) as downloader:
        threads = [begin(downloader, mirror(server.url), got) for _ in range(4)]
        for _ in range(MOST_AT_ONCE):
            assert crowd.arrived.acquire(timeout=10)
        world.pause.stop_after = 0
        for thread in threads:
            thread.join(20)
        assert got == [b"stopped"] * 4
        crowd.go.set()
    assert crowd.most == MOST_AT_ONCE


def test_a_failed_transfer_gives_its_place_back() -> None:
    """P12."""
    with FaultServer(*[b""] * 4, gives()) as server:
        world, got = World(running=True), list[bytes]()
        with downloader_for(world, server.url) as downloader:
            for _ in range(3):
                with pytest.raises(Exception, match="no proper answer"):
                    read_all(downloader, mirror(server.url), got)
                world.clock.elapsed_s += 3_600.0
            read_all(downloader, mirror(server.url), got)
        assert got == [CONTENT]


def test_twenty_origins_can_be_fetched_from_at_once() -> None:
    """P12: nobody waits for the connection of somebody else."""
    assert QUICK.connections >= 20
    crowd, got = Crowd(), list[bytes]()
    with FaultServer(crowd) as server:
        origins = [f"http://h{n}.example:{server.port}" for n in range(20)]
        downloader = FileDownloader(
            World(running=True).surroundings,
            base_url="https://civitai.com",
            allowed_origins=origins,
            resolve=lambda _host, _port: ["127.0.0.1"],
        )
        threads = [begin(downloader, mirror(origin), got) for origin in origins]
        for _ in origins:
            assert crowd.arrived.acquire(timeout=20)
        crowd.go.set()
        for thread in threads:
            thread.join(20)
        downloader.close()
    assert got == [CONTENT] * 20
