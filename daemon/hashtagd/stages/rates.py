"""How slow a source may be."""

from typing import Final

#: a source that gives less than this, averaged over the window, is left for the next one, or for later
LEAST_BYTES_PER_S: Final = 1024
#: the same where others have not been tried yet; at the least of all a model would take months
LEAST_BESIDE_OTHERS: Final = 16 * 1024
RATE_WINDOW_S: Final = 60.0


class Rate:
    """Judges what a source gives, window after window."""

    def __init__(self, since_s: float, since_bytes: int, least_bytes_per_s: int) -> None:
        self._since_s = since_s
        self._since_bytes = since_bytes
        self._least_bytes_per_s = least_bytes_per_s

    def is_too_low(self, now_s: float, length_bytes: int) -> bool:
        """Tell whether a window has ended in which less came than the least."""
        spent_s, came = now_s - self._since_s, length_bytes - self._since_bytes
        if spent_s < RATE_WINDOW_S:
            return False
        self._since_s, self._since_bytes = now_s, length_bytes
        return came < self._least_bytes_per_s * spent_s
