"""Which file system a folder lies on, and whether its changes reach us as events.

Source: proc(5), `/proc/self/mountinfo`: spaces and backslashes are written as octal escapes, the optional
fields end with a lone hyphen, later lines are mounted over earlier ones.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

#: file systems that other machines change, and those that are changed behind this kernel's back
_NETWORK = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
    }
    | {"nfs4", "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs"}
)
_BEHIND_US = frozenset(
    {"aufs", "drvfs", "fakeowner", "fuse", "overlay", "prl_fs", "vboxsf", "virtiofs", "vmhgfs", "wslfs"}
)
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mounted file system."""

    mount_point: str
    fs_type: str

    @property
    def tells_all(self) -> bool:
        """Tell whether inotify hears of every change on it."""
        return self.fs_type not in _NETWORK | _BEHIND_US and not self.fs_type.startswith("fuse.")

    def lies_below(self, other: "Mount") -> bool:
        """Tell whether this one is mounted somewhere inside the other."""
        return self.mount_point != other.mount_point and _is_inside(self.mount_point, other.mount_point)


def read_mounts(mountinfo: Path = MOUNTINFO) -> tuple[Mount, ...]:
    """Read what is mounted, in the order of mounting.

    Raises:
        OSError: there is no such file (not Linux, or no /proc).
    """
    return tuple(_parse(mountinfo.read_text(errors="surrogateescape").splitlines()))


def mount_of(real_path: str, mounts: Iterable[Mount]) -> Mount:
    """Find the mount that a path without symbolic links lies on; the root mount where nothing is known."""
    best = Mount(mount_point="/", fs_type="unknown")
    for mount in mounts:
        if _is_inside(real_path, mount.mount_point) and len(mount.mount_point) >= len(best.mount_point):
            best = mount
    return best


def _parse(lines: Iterable[str]) -> Iterable[Mount]:
    for line in lines:
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if separator and len(fields) > 4 and right:  # noqa: PLR2004 - the mount point is the fifth field
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            yield Mount(mount_point=point, fs_type=right.split(" ")[0])


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
