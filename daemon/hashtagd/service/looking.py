"""Opens the door through which the daemon can be looked at, where the owner wants one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hashtagd.service.process import Process

if TYPE_CHECKING:
    from hashtagd.service.observing import Observatory


@contextmanager
def looked_at(listen: str | None, make: "Callable[[], Observatory]", process: Process) -> Iterator[None]:
    """Serve health and figures for the time of a block.

    Args:
        listen: `host:port`; None: nothing is served.
        make: gives what makes the pages.
        process: told when nobody can be served; that stops nothing else.
    """
    if listen is None:
        yield
        return
    # megabytes that a daemon nobody looks at has no use for
    from hashtagd.web.server import LocalServer  # noqa: PLC0415

    host, _, port = listen.rpartition(":")
    try:
        server = LocalServer(
            host, int(port), make().routes, lambda error: process.bug("web", error), process.clock
        )
    except OSError as error:
        process.tell(
            "page_not_served",
            kind="listen_failed",
            what=f"nothing can listen at {listen} ({error.strerror})",
            you="choose another port in `web.listen`",
        )
        yield
        return
    server.start()
    process.tell("page_served", listen=f"{host}:{server.port}")
    try:
        yield
    finally:
        server.close()
