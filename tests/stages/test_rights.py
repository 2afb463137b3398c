"""Who may read and write a file of somebody's is as it was after something was merged into it."""

import os
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from hashtagd.stages.effects import Folder
from support.publish_fakes import World, published
from support.stage_fakes import as_nobody

THEIRS = b'{"notes": "mine"}'
SIDECAR = "wisp.metadata.json"


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o640, 0o444])
def test_a_file_of_somebody_keeps_its_mode_when_facts_are_merged_into_it(tmp_path: Path, mode: int) -> None:
    world = World(tmp_path)
    model = world.model()
    path = tmp_path / SIDECAR
    path.write_bytes(THEIRS)
    path.chmod(mode)
    published(world.publish(world.claim(model))[0])
    assert path.read_bytes() != THEIRS
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_of_somebody_keeps_its_owner_and_group_where_hashtagd_runs_as_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    world = World(tmp_path)
    model = world.model()
    path = tmp_path / SIDECAR
    path.write_bytes(THEIRS)
    path.chmod(0o600)
    os.chown(path, 12345, 23456)
    published(world.publish(world.claim(model))[0])
    found = path.stat()
    assert path.read_bytes() != THEIRS
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o600)


def test_where_the_owner_cannot_be_kept_nobody_who_could_read_is_shut_out(public_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path = public_folder / "x"
    path.write_bytes(b"theirs")
    os.chown(path, 12345, 23456)
    path.chmod(0o660)
    public_folder.chmod(0o777)
    with as_nobody(), ExitStack() as stack:
        folder = stack.enter_context(Folder.open(public_folder, token=lambda: "t"))
        assert folder.prepare("x", b"merged", mode=0o644, instead_of=folder.here("x")).commit()
    found = path.stat()
    assert found.st_uid != 12345
    assert stat.S_IMODE(found.st_mode) == 0o664


def test_a_further_name_of_a_file_elsewhere_gives_nobody_its_owner_or_mode(tmp_path: Path) -> None:
    """F93."""
    victim = tmp_path / "victim"
    victim.write_bytes(THEIRS)
    victim.chmod(0o4777)
    folder = tmp_path / "root"
    folder.mkdir()
    world = World(folder)
    model = world.model()
    model.chmod(0o644)
    os.link(victim, folder / SIDECAR)
    published(world.publish(world.claim(model))[0])
    assert victim.read_bytes() == THEIRS
    assert stat.S_IMODE(victim.stat().st_mode) == 0o4777
    assert stat.S_IMODE((folder / SIDECAR).stat().st_mode) == 0o644
