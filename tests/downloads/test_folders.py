"""Folders on the way to a download: made where they are missing, and never left by a link."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.core.work import Defer, Park
from support.downloads import CONTENT, Meanwhile, Serve, errand, fetched, gives, kind_of, mirror
from support.fault_server import FaultServer
from support.stage_fakes import as_nobody, root_away


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Run the block as a service with this umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_missing_folders_below_the_root_are_made(serve: Serve) -> None:
    job, server = serve(gives())
    fetched(job.run(mirror(server.url), name="a/b/c/x.ckpt"))
    assert job.names == ["a", "a/b", "a/b/c", "a/b/c/x.ckpt"]


def test_a_missing_root_is_never_made(serve: Serve) -> None:
    """F06: its disk may be away."""
    job, server = serve(gives())
    job.folder.rmdir()
    outcome = job.run(mirror(server.url), name="a/x.ckpt")
    assert isinstance(outcome, Defer)
    assert not job.folder.exists()
    assert server.requests == []


def test_a_root_that_is_away_is_waited_for(serve: Serve) -> None:
    """F06."""
    job, server = serve(gives())
    job.stage._locator.trouble = root_away()  # type: ignore[attr-defined]
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "root_away"
    assert server.requests == []


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o750, 0o2775, 0o700])
def test_files_and_folders_are_as_open_as_the_folder_they_are_in(serve: Serve, mode: int) -> None:
    """The service's umask is 077, and who reads models is somebody else."""
    job, server = serve(gives())
    job.folder.chmod(mode)
    with umask(0o077):
        fetched(job.run(mirror(server.url), name="a/b/x.ckpt"))
    assert [mode_of(job.folder / name) for name in ("a", "a/b")] == [mode, mode]
    assert mode_of(job.path("a/b/x.ckpt")) == mode & 0o666


def test_the_unfinished_file_is_the_service_s_alone(serve: Serve) -> None:
    hook = Meanwhile()
    job, server = serve(gives(), told=hook)
    modes: list[int] = []
    hook.do = lambda: modes.append(mode_of(job.part()))
    with umask(0):
        fetched(job.run(mirror(server.url)))
    assert modes == [0o600]


def test_a_folder_that_is_there_keeps_its_mode(serve: Serve) -> None:
    """P1."""
    job, server = serve(gives())
    (job.folder / "a").mkdir(mode=0o711)
    fetched(job.run(mirror(server.url), name="a/x.ckpt"))
    assert mode_of(job.folder / "a") == 0o711


# ---- links


def test_a_link_within_the_root_is_followed(serve: Serve) -> None:
    """F17."""
    job, server = serve(gives())
    (job.folder / "real").mkdir()
    (job.folder / "link").symlink_to("real")
    fetched(job.run(mirror(server.url), name="link/below/x.ckpt"))
    assert job.path("real/below/x.ckpt").read_bytes() == CONTENT


def test_a_link_out_of_the_root_is_not(serve: Serve, tmp_path: Path) -> None:
    """F17, F93."""
    outside = tmp_path / "outside"
    outside.mkdir()
    job, server = serve(gives())
    (job.folder / "link").symlink_to(outside)
    for name in ("link/x.ckpt", "link/below/x.ckpt"):
        outcome = job.run(mirror(server.url), name=name)
        assert isinstance(outcome, Park)
        assert isinstance(outcome.trouble, AskOperator)
        assert kind_of(outcome) == "outside_root"
    assert server.requests == []
    assert list(outside.iterdir()) == []


def test_a_root_that_is_a_link_itself_is_one(tmp_path: Path) -> None:
    """F17."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to("disk")
    with FaultServer(gives()) as server, errand(tmp_path / "root", origins=[server.url]) as job:
        fetched(job.run(mirror(server.url), name="a/x.ckpt"))
    assert (tmp_path / "disk" / "a" / "x.ckpt").read_bytes() == CONTENT


def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere(serve: Serve, tmp_path: Path) -> None:
    """F94: the folder stays open, so the file lands in it, wherever it is by now."""
    outside = tmp_path / "outside"
    outside.mkdir()
    hook = Meanwhile()
    job, server = serve(gives(), told=hook)

    def swap() -> None:
        (job.folder / "a").rename(job.folder / "moved")
        (job.folder / "a").symlink_to(outside)

    hook.do = swap
    fetched(job.run(mirror(server.url), name="a/x.ckpt"))
    assert list(outside.iterdir()) == []
    assert job.path("moved/x.ckpt").read_bytes() == CONTENT


def test_a_file_in_the_way_of_a_folder_is_left_alone(serve: Serve) -> None:
    job, server = serve(gives())
    (job.folder / "a").write_bytes(b"a file")
    outcome = job.run(mirror(server.url), name="a/x.ckpt")
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "no_permission"
    assert (job.folder / "a").read_bytes() == b"a file"


# ---- folders of others


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("name", ["x.ckpt", "a/x.ckpt"])
def test_a_folder_that_may_not_be_written_to_waits_for_a_person(
    public_folder: Path, mode: int, name: str
) -> None:
    """F20, F79."""
    root = public_folder / "root"
    with FaultServer(gives()) as server, errand(root, origins=[server.url]) as job:
        root.chmod(mode)
        with as_nobody():
            outcome = job.run(mirror(server.url), name=name)
        root.chmod(0o755)
        assert isinstance(outcome, Park)
        assert isinstance(outcome.trouble, AskOperator)
        assert (kind_of(outcome), outcome.trouble.scope) == ("no_permission", Scope.FILE)
        assert "ReadWritePaths" in outcome.trouble.you
        assert server.requests == []
        assert job.names == []


def test_an_unfinished_file_of_somebody_else_waits_for_a_person(public_folder: Path) -> None:
    """F20."""
    root = public_folder / "root"
    with FaultServer(gives()) as server, errand(root, origins=[server.url]) as job:
        root.chmod(0o777)
        job.part().write_bytes(b"theirs")
        job.part().chmod(0o400 if os.geteuid() == 0 else 0)
        with as_nobody():
            outcome = job.run(mirror(server.url))
        assert isinstance(outcome, Park)
        assert kind_of(outcome) == "no_permission"
        job.part().chmod(0o600)
        assert job.part().read_bytes() == b"theirs"
