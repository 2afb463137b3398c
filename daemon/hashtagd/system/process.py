"""Users, signals and sockets of this process's surroundings."""

import errno
import os
import signal
import socket
import sys

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

    def datagram_socket() -> socket.socket:
        """Say that there are no such sockets."""
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

else:
    import pwd

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

    def datagram_socket() -> socket.socket:
        """Make a socket of this machine; Python closes it in child processes.

        Raises:
            OSError: no descriptor is left.
        """
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
