"""`python -m support.elsewhere SYSTEM WORDS...`: the command as it would find itself on another system.

Before any of hashtagd is imported, what that system's Python does not have is taken away. It cannot show what
that system does, only that nothing is used which is not there.
"""

import importlib
import os
import select
import signal
import socket
import stat
import sys
import types

_LINUX_ONLY = {
    os: (
        "O_DIRECT O_PATH RWF_NOWAIT ST_RELATIME XATTR_CREATE XATTR_REPLACE getxattr listxattr removexattr "
        "setxattr POSIX_FADV_DONTNEED POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED "
        "posix_fadvise memfd_create sched_setaffinity sched_getaffinity copy_file_range eventfd pwritev"
    ),
    select: "epoll",
    socket: "SOCK_CLOEXEC SOCK_NONBLOCK AF_NETLINK AF_VSOCK",
}
_POSIX_ONLY = {
    os: (
        "O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC ST_RDONLY WNOHANG chown fchmod fchown "
        "fork fstatvfs geteuid getgid getpgid getuid killpg lchown major makedev minor mkfifo mknod nice "
        "pread pwrite register_at_fork setsid statvfs uname"
    ),
    signal: "SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGCHLD SIGKILL pthread_sigmask",
    socket: "AF_UNIX",
    stat: "",
}
_POSIX_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog")

#: modules of the standard library and of others: they are as they are here, and not looked at
_AS_HERE = (
    *("asyncio", "ctypes", "logging.handlers", "mmap", "multiprocessing", "shutil", "sqlite3", "subprocess"),
    *(
        "tempfile",
        "click",
        "httpx",
        "prometheus_client",
        "pydantic",
        "rich.live",
        "rich.progress",
        "rich.table",
    ),
    *("sqlalchemy.dialects.sqlite", "structlog", "tenacity", "watchdog.observers.polling", "yaml"),
)


def become(system: str) -> None:
    """Take away what the system does not have; modules of others that are imported already keep theirs."""
    for name in _AS_HERE:
        importlib.import_module(name)
    lacking = [_LINUX_ONLY] if system == "darwin" else [_LINUX_ONLY, _POSIX_ONLY]
    for module, names in (item for it in lacking for item in it.items()):
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    if system == "win32":
        for name in _POSIX_MODULES:
            sys.modules[name] = None  # type: ignore[assignment] - an import then fails
        sys.modules["msvcrt"] = types.ModuleType("msvcrt")
        os.O_BINARY, os.O_NOINHERIT = 0x8000, 0x80  # type: ignore[attr-defined,unused-ignore]
        os.supports_dir_fd.clear()
    sys.platform = system


if __name__ == "__main__":
    become(sys.argv[1])
    from hashtagd.cli.main import main

    main(sys.argv[2:])
