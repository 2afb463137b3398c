"""An answer that begins at 0 where a part of the file is here already: what is equal stays.

Not every host gives the rest of a file. Where one sends all of it, what others brought is compared with what
comes, and not thrown away: should this answer break off as well, nothing is lost.
"""

from collections.abc import Callable

from hashtagd.core.ports import Incoming
from hashtagd.stages.intake import BLOCK_BYTES, Intake


def pass_over(incoming: Incoming, intake: Intake, watch: Callable[[int], None]) -> int | None:
    """Take what is here once more, and keep as much as is equal; then whatever comes next follows it.

    Args:
        incoming: begins at 0.
        intake: what is here.
        watch: told after each piece how many bytes were passed over; may raise.

    Returns None; or how many bytes came, and are equal, where the answer ended before it was through.

    Raises:
        TryLater: the connection broke; what is here is as it was.
        OSError: the disk refused.
    """
    have, passed = intake.length_bytes, 0
    block = memoryview(bytearray(BLOCK_BYTES))
    while passed < have and (count := incoming.read_into(block[: have - passed])):
        equal = intake.equal_bytes(block[:count], passed)
        if equal < count:
            intake.cut_to(passed + equal)
            intake.put(block[equal:count])
            return None
        passed += count
        watch(passed)
    return passed if passed < have else None
