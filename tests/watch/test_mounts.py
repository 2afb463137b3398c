from pathlib import Path

import pytest

from hashtagd.watch.mounts import Mount, mount_of, read_mounts

MOUNTINFO = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:25 / /mnt/nas rw shared:2 master:3 - cifs //nas/models rw
31 21 0:26 / /mnt/with\040space\134 rw - fuse.sshfs host:/ rw
32 30 8:1 / /mnt/nas/fast rw - xfs /dev/sda1 rw
33 21 0:27 / /over rw - ext4 /dev/vdb rw
34 33 0:28 / /over rw - tmpfs tmpfs rw
nonsense
"""


@pytest.fixture
def mounts(tmp_path: Path) -> tuple[Mount, ...]:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTINFO)
    return read_mounts(file)


@pytest.mark.parametrize(
    "path,fs_type,tells_all",
    [
        ("/home/x", "ext4", True),
        ("/mnt/nas", "cifs", False),
        ("/mnt/nas/loras", "cifs", False),
        ("/mnt/nasty", "ext4", True),
        ("/mnt/nas/fast/x", "xfs", True),
        ("/mnt/with space\\/x", "fuse.sshfs", False),
        ("/over/x", "tmpfs", True),
    ],
)
def test_the_innermost_and_latest_mount_counts(
    mounts: tuple[Mount, ...],
    path: str,
    fs_type: str,
    tells_all: bool,  # noqa: FBT001 - a table's column
) -> None:
    """F10. Network and user-space file systems are changed behind our back: those roots are polled."""
    mount = mount_of(path, mounts)
    assert (mount.fs_type, mount.tells_all) == (fs_type, tells_all)


@pytest.mark.parametrize(
    "fs_type", ["nfs4", "overlay", "9p", "virtiofs", "fuse", "fuse.mergerfs", "smb3", "drvfs"]
)
def test_file_systems_that_keep_changes_to_themselves_are_known(fs_type: str) -> None:
    """F10."""
    assert not Mount(mount_point="/x", fs_type=fs_type).tells_all


def test_nothing_known_means_the_root_mount() -> None:
    assert mount_of("/x", ()).mount_point == "/"


def test_a_mount_below_another_is_told_from_a_neighbour(mounts: tuple[Mount, ...]) -> None:
    top, nas = mount_of("/", mounts), mount_of("/mnt/nas", mounts)
    assert nas.lies_below(top)
    assert not top.lies_below(nas)
    assert not nas.lies_below(nas)
    assert not Mount(mount_point="/mnt/nas2", fs_type="x").lies_below(nas)


def test_this_machine_lists_its_mounts() -> None:
    assert any(mount.mount_point == "/" for mount in read_mounts())
