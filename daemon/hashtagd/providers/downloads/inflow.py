"""The bytes of an answer, read into memory that somebody else owns."""

from collections.abc import Iterator
from typing import Final

import httpcore
import httpx

from hashtagd.providers.connections import Stream

_NOTHING: Final = memoryview(b"")


class Inflow:
    """Reads a body once, from its begin to its end.

    The library parses the head, decides how the body is framed, and gives what it read along with the head.
    Where the length is known, what is left after that is so many bytes of the connection and nothing else, so
    they are read from it directly; the library then finds its body unread, and closes the connection.

    Args:
        response: its body is unread.
        length_bytes: of the body, where the answer states it; None: only the library can tell the end.
        patience_s: how long to wait for a byte.
    """

    def __init__(self, response: httpx.Response, *, length_bytes: int | None, patience_s: float) -> None:
        stream = response.extensions.get("network_stream")
        self._stream = stream if isinstance(stream, Stream) and length_bytes is not None else None
        #: kept to the end: to let go of it is to hang up
        self._pieces: Iterator[bytes] = response.iter_raw()
        self._by_library = True
        self._left_bytes = length_bytes or 0
        self._patience_s = patience_s
        self._given = _NOTHING

    def read_into(self, buffer: memoryview) -> int:
        """Put the next bytes where the buffer begins; returns how many, 0 at the end.

        Raises:
            TRANSPORT_ERRORS: the connection broke, or ended before the body did.
            Stopping: a stop is wanted.
        """
        if not self._given and self._by_library:
            self._given = memoryview(self._next_piece())
        if self._given:
            count = min(len(buffer), len(self._given))
            buffer[:count] = self._given[:count]
            self._given = self._given[count:]
            return count
        return self._directly(buffer)

    def _next_piece(self) -> bytes:
        piece = next(self._pieces, b"")
        self._left_bytes -= len(piece)
        if not piece or (self._stream is not None and self._left_bytes > 0):
            # the library holds nothing back: its next byte would come from the connection, too
            self._by_library = False
        return piece

    def _directly(self, buffer: memoryview) -> int:
        if self._stream is None or self._left_bytes <= 0:
            return 0
        count = self._stream.read_into(buffer[: self._left_bytes], self._patience_s)
        if count == 0:
            raise httpcore.RemoteProtocolError("the connection ended before the body did")
        self._left_bytes -= count
        return count
