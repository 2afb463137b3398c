"""Users, signals and sockets of this process's surroundings."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from shutil import which

if sys.platform == "win32":
    #: what a closed terminal, or a service manager that wants a reload, sends; None: there is no such thing
    HANG_UP: signal.Signals | None = None

    def is_root() -> bool:
        """Say no: there is no such user."""
        return False

    def has_user(name: str) -> bool:
        """Say no: nobody looks here."""
        del name
        return False

    def may(user: str, path: Path, rights: str) -> bool:
        """Say yes: nobody looks here."""
        del user, path, rights
        return True

    def group_that_may_write(folder: Path) -> str | None:
        """Say that there is none: nobody looks here."""
        del folder
        return None

    def datagram_socket() -> socket.socket:
        """Say that there are no such sockets."""
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

else:
    import grp
    import pwd

    _TEST = which("test") or "/usr/bin/test"
    #: whose members are, or can become, root: nobody is put into them for the sake of a folder
    _POWERFUL = frozenset(
        ("adm", "disk", "docker", "incus-admin", "kmem", "libvirt", "lxd", "root", "shadow", "sudo", "wheel")
    )

    HANG_UP: signal.Signals | None = signal.SIGHUP

    def is_root() -> bool:
        """Tell whether this process may do everything."""
        return os.geteuid() == 0

    def has_user(name: str) -> bool:
        """Tell whether this machine knows a user."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def may(user: str, path: Path, rights: str) -> bool:
        """Tell whether a user has all of these rights (`r`, `w`, `x`), by asking the kernel as that user.

        Raises:
            OSError: this process may not become that user.
            KeyError: there is no such user.
        """
        entry = pwd.getpwnam(user)
        groups = os.getgrouplist(user, entry.pw_gid)
        return all(
            subprocess.run(  # noqa: S603 - fixed words, and a path that is one argument
                [_TEST, f"-{right}", path],
                user=entry.pw_uid,
                group=entry.pw_gid,
                extra_groups=groups,
                check=False,
            ).returncode
            == 0
            for right in rights
        )

    def group_that_may_write(folder: Path) -> str | None:
        """Name the group whose members may list a folder and write to it, if it is one that people are in."""
        status = folder.stat()
        if status.st_mode & stat.S_IRWXG != stat.S_IRWXG:
            return None
        try:
            name = grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            return None
        return None if name in _POWERFUL else name

    def datagram_socket() -> socket.socket:
        """Make a socket of this machine; Python closes it in child processes.

        Raises:
            OSError: no descriptor is left.
        """
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
