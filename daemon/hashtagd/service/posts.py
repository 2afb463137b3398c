"""What programs beside us are still to be told, and when they are left alone. In memory only."""

from dataclasses import dataclass, field
from typing import Final

from hashtagd.core import schedule
from hashtagd.nudges import Program

#: so much waits for one program; more is dropped, the oldest first, and made up for later
MOST_WAITING: Final = 10_000
#: who takes longer for one file has other work: LoRA Manager saves its whole cache for each that is new to it
_SLOW_S: Final = 0.2
#: so many times as long as it took lie between that file and the next
_PAUSES: Final = 2.0
NEVER: Final = float("inf")


@dataclass(slots=True)
class Rest:
    """Until when somebody is left alone; times are monotonic."""

    misses: int = 0
    until_s: float = -NEVER
    #: it was only late, once
    was_late: bool = False

    def missed(self, now_s: float) -> None:
        """Leave it alone, longer with each time."""
        self.misses += 1
        self.until_s = now_s + schedule.program_rest_s(self.misses)

    def late(self, now_s: float) -> None:
        """Leave somebody alone for a moment who answered until now; the next time counts as missed."""
        if self.was_late:
            self.missed(now_s)
        else:
            self.was_late, self.until_s = True, now_s + schedule.PROGRAM_LATE_S

    def took(self, now_s: float, seconds: float) -> None:
        """Leave somebody who was slow alone for longer than what he was asked to do took him."""
        if seconds > _SLOW_S:
            self.until_s = now_s + _PAUSES * seconds

    def met(self) -> None:
        """Note that it answered."""
        self.misses, self.until_s, self.was_late = 0, -NEVER, False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to tell of; small, because thousands may wait: what is known of it is read when it is told."""

    file_id: int
    #: monotonic
    taken_s: float
    due_s: float = -NEVER
    #: the program had not met the file, and was given time to
    again: bool = False


@dataclass(slots=True, kw_only=True)
class Post:
    """One program, and the files that it is still to be told of, the oldest first."""

    program: Program
    waiting: dict[int, Item] = field(default_factory=dict)
    #: something was dropped: once there is nothing else to tell, it is told of all files again
    lost: bool = False
    #: those of them that are left, and when to go on with them
    left: list[int] = field(default_factory=list)
    left_due_s: float = -NEVER
    rest: Rest = field(default_factory=Rest)
    #: when it last said that it is there (never, once it failed), and when it was last asked to look around
    there_s: float = -NEVER
    looked_s: float = -NEVER
    #: when it was last asked in vain
    tried_s: float = -NEVER
    #: the last line in the log: when, and why
    logged: tuple[float, str] = (-NEVER, "")

    def put(self, item: Item) -> None:
        """Add the newest; what was said of the same file before is void."""
        self.waiting.pop(item.file_id, None)
        self.waiting[item.file_id] = item
        if len(self.waiting) > MOST_WAITING:
            del self.waiting[next(iter(self.waiting))]
            self.lost = True

    def pop(self, now_s: float) -> Item | None:
        """Take out the oldest that is due; one of those that are told again only when nothing else waits."""
        file_id = next((file_id for file_id, item in self.waiting.items() if item.due_s <= now_s), None)
        if file_id is not None:
            return self.waiting.pop(file_id)
        if self.waiting or not self.left or self.left_due_s > now_s:
            return None
        # a file that it does not know now is not one of those it was to look for
        return Item(file_id=self.left.pop(), taken_s=now_s, again=True)

    def give_up(self, now_s: float) -> None:
        """Keep nothing for it any more; it is asked once in a while whether it is there again."""
        self.lost = True
        self.waiting.clear()
        self.left.clear()
        self.tried_s = now_s

    @property
    def is_behind(self) -> bool:
        """Tell whether it has missed something, and nothing else is to be told."""
        return self.lost and not self.waiting and not self.left

    @property
    def back_s(self) -> float:
        """Say when to see whether it is there (again)."""
        return -NEVER if self.there_s > -NEVER else self.tried_s + schedule.PROGRAM_BACK_S

    def due_s(self) -> float:
        """Say when it is worth speaking to the program; never, if there is nothing to say."""
        if self.is_behind:
            due_s = self.back_s
        elif self.left and not self.waiting:
            due_s = self.left_due_s
        else:
            due_s = min((item.due_s for item in self.waiting.values()), default=NEVER)
        return max(self.rest.until_s, due_s)
