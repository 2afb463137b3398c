"""PostgreSQL: how to connect so that a dead link is noticed, and what the server's words mean."""

from typing import Any, Final

from sqlalchemy.engine import URL

#: a link that is cut is noticed within half a minute
_LINK: Final = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "hashtagd",
}


def with_driver(url: URL) -> URL:
    """Name the driver we use, whatever the owner wrote."""
    return url.set(drivername="postgresql+psycopg")


def connect_args(url: URL) -> dict[str, Any]:
    """List what the connection is told; what the owner wrote into the address wins."""
    return {name: value for name, value in _LINK.items() if name not in url.query}
