"""The final name: what lies there is never replaced, with hard links and without."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator
from hashtagd.core.work import Defer, Park
from hashtagd.stages.calls import Calls
from support.downloads import (
    CONTENT,
    OTHER,
    Meanwhile,
    Serve,
    fetched,
    gives,
    is_there,
    kind_of,
    mirror,
    without_links,
)

# ---- what lies at the final name


@pytest.mark.parametrize("size_bytes", [None, len(CONTENT)])
def test_the_wanted_file_that_is_there_already_is_not_fetched(serve: Serve, size_bytes: int | None) -> None:
    """P4. A kill between the file's last two names leaves both: the unfinished one goes."""
    job, server = serve(gives())
    job.path().write_bytes(CONTENT)
    os.link(job.path(), job.part())
    facts = fetched(job.run(mirror(server.url), size_bytes=size_bytes))
    assert facts.stamp.inode == job.path().stat().st_ino
    assert server.requests == []
    assert is_there(job)


def lay_other_bytes(path: Path) -> None:
    path.write_bytes(OTHER)


def lay_other_size(path: Path) -> None:
    path.write_bytes(b"short")


def lay_link_to_it(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(CONTENT)
    path.symlink_to("elsewhere")


def lay_dangling(path: Path) -> None:
    path.symlink_to("nothing")


LAY = [lay_other_bytes, lay_other_size, lay_link_to_it, lay_dangling, os.mkdir, os.mkfifo]


@pytest.mark.parametrize("lay", LAY)
def test_what_lies_at_the_final_name_is_never_replaced(serve: Serve, lay: Callable[[Path], None]) -> None:
    """P6."""
    job, server = serve(gives())
    lay(job.path())
    before, names = job.path().lstat(), job.names
    outcome = job.run(mirror(server.url), size_bytes=len(CONTENT))
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, AskOperator)
    assert kind_of(outcome) == "place_taken"
    assert server.requests == []
    assert (job.path().lstat(), job.names) == (before, names)


@pytest.mark.parametrize("calls", [None, without_links(errno.EPERM)])
@pytest.mark.parametrize("lay", LAY)
def test_what_appears_at_the_final_name_meanwhile_is_never_replaced(
    serve: Serve, lay: Callable[[Path], None], calls: Calls | None
) -> None:
    """P6, F94: with hard links and without."""
    hook = Meanwhile()
    job, server = serve(gives(), told=hook, calls=calls)
    hook.do = lambda: lay(job.path())
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Park)
    assert kind_of(outcome) == "place_taken"
    assert job.part().read_bytes() == CONTENT
    lay_again = job.path().with_name("again")
    lay(lay_again)
    kinds = [stat.S_IFMT(path.lstat().st_mode) for path in (job.path(), lay_again)]
    assert kinds[0] == kinds[1]
    if job.path().is_file() and not job.path().is_symlink():
        assert job.path().read_bytes() == lay_again.read_bytes()


def test_the_same_bytes_that_appear_meanwhile_end_the_download_at_the_next_try(serve: Serve) -> None:
    """P4."""
    hook = Meanwhile()
    job, server = serve(gives(), told=hook)
    hook.do = lambda: job.path().write_bytes(CONTENT)
    assert kind_of(job.run(mirror(server.url))) == "place_taken"
    fetched(job.run(mirror(server.url)))
    assert len(server.requests) == 1
    assert is_there(job)


# ---- file systems without hard links


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.ENOENT])
def test_where_there_are_no_hard_links_the_file_is_renamed(serve: Serve, code: int) -> None:
    """F81: FAT, some network shares, a machine without /proc."""
    job, server = serve(gives(), calls=without_links(code))
    fetched(job.run(mirror(server.url)))
    assert is_there(job)
    assert job.path().stat().st_nlink == 1


def test_a_link_that_fails_for_another_reason_is_told_and_the_file_is_kept(serve: Serve) -> None:
    """F80."""
    job, server = serve(gives(), calls=without_links(errno.EIO))
    outcome = job.run(mirror(server.url))
    assert isinstance(outcome, Defer)
    assert kind_of(outcome) == "write_error"
    assert job.part().read_bytes() == CONTENT
