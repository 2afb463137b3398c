"""Modes, room and numbers of files and the disks that they lie on."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":

    def set_mode(fd: int, mode: int) -> None:
        """Do nothing: rights are inherited from the folder there."""
        del fd, mode

    def keep_owner(fd: int, former: os.stat_result) -> bool:
        """Do nothing: the owner is inherited from the folder there."""
        del fd, former
        return True

    def free_bytes(folder: int | Path) -> int:
        """Tell how much may still be written.

        Raises:
            OSError: the folder is not there.
        """
        return shutil.disk_usage(folder).free

    def is_read_only(folder_fd: int) -> bool:
        """Say no; a write will tell."""
        del folder_fd
        return False

    def allocated_bytes(found: os.stat_result) -> int:
        """Take a file for a whole one: what it occupies is not told."""
        return found.st_size

    def device_number(major: int, minor: int) -> int:
        """Make a number that no file has."""
        del major, minor
        return -1

else:
    set_mode = os.fchmod
    device_number = os.makedev

    def keep_owner(fd: int, former: os.stat_result) -> bool:
        """Give a file the owner and group of another one; returns False where it has another owner then."""
        made = os.fstat(fd)
        if (made.st_uid, made.st_gid) != (former.st_uid, former.st_gid):
            with suppress(OSError):  # another group of one's own may be given, another owner by root only
                os.fchown(fd, -1, former.st_gid)
            with suppress(OSError):
                os.fchown(fd, former.st_uid, -1)
        return os.fstat(fd).st_uid == former.st_uid

    def free_bytes(folder: int | Path) -> int:
        """Tell how much a writer without privileges may still write.

        Raises:
            OSError: the folder is not there.
        """
        room = os.statvfs(folder)
        return room.f_bavail * room.f_frsize

    def is_read_only(folder_fd: int) -> bool:
        """Tell whether the file system is mounted so."""
        return bool(os.fstatvfs(folder_fd).f_flag & os.ST_RDONLY)

    def allocated_bytes(found: os.stat_result) -> int:
        """Tell what a file occupies on its disk; POSIX counts in units of 512 bytes on every disk."""
        return found.st_blocks * 512
