"""Holds hashing up while ComfyUI generates: both want the disk, and the page cache holds its models.

Looking things up, publishing and fetching go on meanwhile.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from hashtagd.comfyui.busy import ANSWER_WITHIN_S, ASK_EVERY_S, is_generating
from hashtagd.core.ports import Clock, Pause, Stopping
from hashtagd.nudges import Unreachable, Unusable
from hashtagd.nudges.line import Line

#: a server that answered and then is silent for a moment is likelier at work than gone, but not for ever
_BELIEVED_S: Final = 600.0
#: whoever does not answer, or is not there, is asked this rarely
_ASK_AGAIN_S: Final = 15.0
#: what `status` says meanwhile
PAUSED: Final = "paused: ComfyUI is generating"


class Manners:
    """Asks ComfyUI every few seconds while something is hashed, and never else; for several threads.

    Args:
        url: ComfyUI's address; None: nobody is asked, and nothing is held up.
        changed: told when the pause begins and ends.
    """

    def __init__(
        self,
        url: str | None,
        *,
        clock: Clock,
        pause: Pause,
        changed: Callable[[bool], None] = lambda _paused: None,
    ) -> None:
        self._line = None if url is None else Line(url, clock)
        self._clock = clock
        self._pause = pause
        self._changed = changed
        self._lock = threading.Lock()
        self._busy = False
        self._ask_at_s = float("-inf")
        self._answered_s = float("-inf")
        self._waiting = 0
        #: when the last pause ended, by the monotonic clock; -inf: there was none
        self.resumed_s = float("-inf")

    @property
    def paused(self) -> bool:
        """Tell whether something waits for ComfyUI right now."""
        return self._waiting > 0

    def wait(self) -> None:
        """Return when reading is polite; asked before each block.

        Raises:
            Stopping: a stop was requested meanwhile.
        """
        if not self._is_busy():
            return
        self._count(+1)
        try:
            while self._is_busy():
                if self._pause.wait(ASK_EVERY_S):
                    raise Stopping
        finally:
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._lock:
            before, self._waiting = self._waiting > 0, self._waiting + step
            after = self._waiting > 0
            if before and not after:
                self.resumed_s = self._clock.monotonic_s()
        # at the end nothing is read again, and ComfyUI goes on
        if before != after and not (before and self._pause.stopping):
            self._changed(after)

    def _is_busy(self) -> bool:
        if self._line is None:
            return False
        with self._lock:
            if self._clock.monotonic_s() >= self._ask_at_s:
                self._busy = self._ask(self._line)
            return self._busy

    def _ask(self, line: Line) -> bool:
        now_s = self._clock.monotonic_s()
        try:
            busy = is_generating("", lambda path, within_s: _document(line, path, within_s))
        except Unreachable:
            self._ask_at_s = now_s + _ASK_AGAIN_S
            return False
        except Unusable:
            believed = now_s - self._answered_s < _BELIEVED_S
            self._ask_at_s = now_s + (ASK_EVERY_S if believed else _ASK_AGAIN_S)
            return believed and self._busy
        self._answered_s, self._ask_at_s = now_s, now_s + ASK_EVERY_S
        return busy


def _document(line: Line, path: str, within_s: float) -> Any:  # noqa: ANN401 - any JSON
    return line.get(path, until_s=line.until_s(max(within_s, ANSWER_WITHIN_S))).document()
