"""Tell systemd how the service is, in the protocol of sd_notify(3); without systemd nothing happens.

Best effort throughout: a service manager that does not listen is no reason to stop working, and nothing here
blocks.
"""

import socket
from collections.abc import Mapping

from hashtagd.system.process import datagram_socket


class Notifier:
    """Sends datagrams to the service manager.

    Args:
        address: `$NOTIFY_SOCKET`: a path, or `@name` in the abstract name space; None: there is no manager.
        watchdog_interval_s: the process is killed after so long without a sign of life; None: never.
    """

    def __init__(self, address: str | None, *, watchdog_interval_s: float | None = None) -> None:
        self._address = None if address is None else _kernel_address(address)
        self.watchdog_interval_s = watchdog_interval_s
        self._socket: socket.socket | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], pid: int) -> "Notifier":
        """Read what the manager put into the environment; a watchdog for another process is not ours."""
        address = environ.get("NOTIFY_SOCKET", "")
        return cls(
            address if address[:1] in ("/", "@") else None, watchdog_interval_s=_interval_s(environ, pid)
        )

    @property
    def enabled(self) -> bool:
        """Tell whether there is a manager to talk to."""
        return self._address is not None

    def ready(self) -> bool:
        """Say that the service is up. Returns whether it was sent, as all of these do."""
        return self._send("READY=1")

    def status(self, text: str) -> bool:
        """Show one line in `systemctl status`."""
        return self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> bool:
        """Give the sign of life."""
        return self.watchdog_interval_s is not None and self._send("WATCHDOG=1")

    def reloading(self, monotonic_s: float) -> bool:
        """Say that the settings are read anew, until `ready`; the manager has the same monotonic clock."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_s * 1e6:.0f}")

    def stopping(self) -> bool:
        """Say that the service is on its way down."""
        return self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket; a later message opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> bool:
        if self._address is None:
            return False
        try:
            if self._socket is None:
                # kept open: in want of file descriptors the sign of life must still get out
                self._socket = datagram_socket()
                self._socket.settimeout(0)
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:  # the manager restarts, or its queue is full: the next message says the same
            return False
        return True


def _kernel_address(address: str) -> str:
    return "\0" + address[1:] if address.startswith("@") else address


def _interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    usec, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    if not (usec.isascii() and usec.isdigit()) or int(usec) == 0 or meant != str(pid):
        return None
    return int(usec) / 1e6
