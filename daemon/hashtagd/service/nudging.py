"""Tells programs that run beside us what was published.

All of it is kept in memory only and may be lost: what counts lies beside the files. Whatever goes wrong here
is one line in the log now and then, and no outcome of any file.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hashtagd.core import schedule
from hashtagd.core.ports import Clock, Locator, Pause
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Advance, Claim, Outcome, Published
from hashtagd.nudges import News, Program, Unreachable, Unusable, news_of
from hashtagd.service.lanes import Tell
from hashtagd.service.stories import newly_recorded

#: so much waits for one program; more is dropped, the oldest first
MOST_WAITING: Final = 1000
#: so many are told in one turn, then the next program has its turn
_AT_ONCE: Final = 50
#: after so many misses in a row nothing is kept for later
_PATIENCE: Final = 3
#: the log hears of one program at most this often, and of the same reason over and over much more rarely
_LOGGED_AGAIN_S: Final = 60.0
_SAME_AGAIN_S: Final = 3600.0
#: a run that ends by itself waits no longer than this for programs to be told
_ENDS_AFTER_S: Final = 15.0
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Rest:
    """Until when somebody is left alone; times are monotonic."""

    misses: int = 0
    until_s: float = -_NEVER

    def missed(self, now_s: float) -> None:
        self.misses += 1
        self.until_s = now_s + schedule.program_rest_s(self.misses)

    def met(self) -> None:
        self.misses, self.until_s = 0, -_NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One thing to tell."""

    news: News
    #: monotonic
    taken_s: float
    due_s: float = -_NEVER
    #: the program had not met the file, and was given time to
    again: bool = False


@dataclass(slots=True, kw_only=True)
class _Post:
    """One program, and what it is still to be told, by path, the oldest first."""

    program: Program
    waiting: dict[str, _Item] = field(default_factory=dict)
    rest: _Rest = field(default_factory=_Rest)
    #: when it last said that it is there, and when it was last asked to look around
    there_s: float = -_NEVER
    looked_s: float = -_NEVER
    #: the last line in the log: when, and why
    logged: tuple[float, str] = (-_NEVER, "")

    def put(self, item: _Item) -> None:
        """Add the newest; what was said of the same file before is void."""
        self.waiting.pop(item.news.path, None)
        self.waiting[item.news.path] = item
        if len(self.waiting) > MOST_WAITING:
            del self.waiting[next(iter(self.waiting))]

    def pop(self, now_s: float) -> _Item | None:
        """Take out the oldest that is due."""
        path = next((path for path, item in self.waiting.items() if item.due_s <= now_s), None)
        return None if path is None else self.waiting.pop(path)

    def due_s(self) -> float:
        """Say when it is worth speaking to the program; never, if there is nothing to say."""
        return max(self.rest.until_s, min((item.due_s for item in self.waiting.values()), default=_NEVER))


class Nudger:
    """The work of one lane, which speaks to all programs; the lanes of files only leave word here.

    Args:
        programs: they live on one server.
        locator: says where files lie.
    """

    name = "nudges"

    def __init__(
        self, *, programs: Sequence[Program], locator: Locator, clock: Clock, pause: Pause, tell: Tell
    ) -> None:
        self._posts = [_Post(program=program) for program in programs]
        self._locator = locator
        self._clock = clock
        self._pause = pause
        self._tell = tell
        #: of the server that all of them live on
        self._rest = _Rest()
        self._taken_s = -_NEVER
        self._lock = threading.Lock()

    @property
    def works(self) -> tuple["Nudger", ...]:
        """Give what a lane is needed for: itself, if there is anybody to tell."""
        return (self,) if self._posts else ()

    def take(self, claim: Claim, outcome: Outcome) -> None:
        """Note an outcome that was committed; from any thread, and returns at once."""
        if not self._posts or not _is_news(claim, outcome):
            return
        try:
            path = self._locator.locate(claim.place)
        except Trouble:
            return  # its disk went away meanwhile, so no program could read it
        news = news_of(path, claim.stamp.size_bytes, claim.card)
        item = _Item(news=news, taken_s=self._clock.monotonic_s())
        with self._lock:
            self._taken_s = item.taken_s
            for post in self._posts:
                post.put(item)

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left that a run which ends by itself should wait for."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            resting = self._rest.until_s > now_s
            open_posts = [post for post in self._posts if post.waiting and post.rest.until_s <= now_s]
        return resting or not open_posts or now_s - self._taken_s > _ENDS_AFTER_S

    def turn(self) -> float:
        """Tell what is due; see `Work`."""
        for post in self._posts:
            self._serve(post)
        with self._lock:
            due_s = min((post.due_s() for post in self._posts), default=_NEVER)
        return max(0.0, max(self._rest.until_s, due_s) - self._clock.monotonic_s())

    def _serve(self, post: _Post) -> None:
        for _ in range(_AT_ONCE):
            now_s = self._clock.monotonic_s()
            if self._pause.stopping or max(self._rest.until_s, post.rest.until_s) > now_s:
                return
            with self._lock:
                item = post.pop(now_s)
            if item is None:
                return
            try:
                self._deliver(post, item, now_s)
            except Unreachable as error:
                self._missed(post, item, self._rest, str(error))
            except Unusable as error:
                self._missed(post, item, post.rest, str(error))

    def _deliver(self, post: _Post, item: _Item, now_s: float) -> None:
        if now_s - post.there_s >= schedule.PROGRAM_THERE_S:
            there = post.program.present()
            self._rest.met()
            if not there:
                # nobody said that this program must be here: no reason for a line
                self._missed(post, item, post.rest, None)
                return
            post.there_s = now_s
        known = post.program.tell(item.news)
        post.rest.met()
        if not known and not item.again:
            self._tell_later(post, item, now_s)

    def _tell_later(self, post: _Post, item: _Item, now_s: float) -> None:
        """Give the program time to find a new file by itself, and tell it once more."""
        opens_s = post.looked_s + schedule.PROGRAM_LOOKS_AGAIN_S
        if item.taken_s <= post.looked_s:
            later = replace(item, due_s=now_s + schedule.PROGRAM_LOOKS_S, again=True)
        elif now_s < opens_s:
            later = replace(item, due_s=opens_s)
        else:
            post.looked_s = now_s
            post.program.look_around()
            later = replace(item, due_s=now_s + schedule.PROGRAM_LOOKS_S, again=True)
        self._put_back(post, later)

    def _put_back(self, post: _Post, item: _Item) -> None:
        with self._lock:
            if item.news.path not in post.waiting:
                post.put(item)

    def _missed(self, post: _Post, item: _Item, rest: _Rest, why: str | None) -> None:
        """Leave the program, or the whole server, alone for a while; what waits is kept a few times."""
        now_s = self._clock.monotonic_s()
        rest.missed(now_s)
        post.there_s = -_NEVER
        self._put_back(post, item)
        if rest.misses >= _PATIENCE:
            with self._lock:
                for one in self._posts if rest is self._rest else (post,):
                    one.waiting.clear()
        logged_s, logged = post.logged
        again_s = _SAME_AGAIN_S if why == logged else _LOGGED_AGAIN_S
        if why is not None and now_s - logged_s >= again_s:
            post.logged = (now_s, why)
            self._tell(
                "nudge_failed", program=post.program.name, what=why, rests_s=round(rest.until_s - now_s)
            )


def _is_news(claim: Claim, outcome: Outcome) -> bool:
    """Tell whether something lies beside the file that was not there, or whether it lies there anew."""
    match outcome:
        case Advance(facts=Published() as facts):
            return facts.wrote or newly_recorded(claim, facts) > 0
        case _:
            return False
