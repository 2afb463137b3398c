"""Tells programs that run beside us what was published.

All of it is kept in memory only and may be lost: what counts lies beside the files. Whatever goes wrong here
is one line in the log now and then, and no outcome of any file.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from hashtagd.core import schedule
from hashtagd.core.ports import Clock, Locator, Pause
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Advance, Claim, Outcome, Published, Stage
from hashtagd.nudges import News, Program, Unreachable, Unusable, news_of
from hashtagd.service.lanes import Tell
from hashtagd.service.posts import NEVER, Item, Post, Rest
from hashtagd.service.stories import newly_recorded

#: so many are told in one turn, then the next program has its turn
_AT_ONCE: Final = 50
#: after so many misses in a row nothing is kept for later
_PATIENCE: Final = 3
#: the log hears of one program at most this often, and of the same reason over and over much more rarely
_LOGGED_AGAIN_S: Final = 60.0
_SAME_AGAIN_S: Final = 3600.0
#: a run that ends by itself waits no longer than this for programs to be told
_ENDS_AFTER_S: Final = 15.0


class Files(Protocol):
    """What is known of files; the catalog's `peeks`."""

    def claims(self, ids: Sequence[int]) -> list[Claim]:
        """Read files with all that is known of them; those that are not there are left out."""
        ...

    def published(self, roots: Sequence[str]) -> list[int]:
        """List the files of these roots that something lies beside, or should."""
        ...


class Nudger:
    """The work of one lane, which speaks to all programs; the lanes of files only leave word here.

    Args:
        programs: they live on one server.
        files: says what is known of files when they are told of.
        roots: whose files those are.
        locator: says where files lie.
    """

    name = "nudges"

    def __init__(
        self,
        *,
        programs: Sequence[Program],
        files: Files,
        roots: Sequence[str],
        locator: Locator,
        clock: Clock,
        pause: Pause,
        tell: Tell,
    ) -> None:
        self._posts = [Post(program=program) for program in programs]
        self._files = files
        self._roots = list(roots)
        self._locator = locator
        self._clock = clock
        self._pause = pause
        self._tell = tell
        #: of the server that all of them live on
        self._rest = Rest()
        #: when something was last taken, or told
        self._moved_s = -NEVER
        self._lock = threading.Lock()

    @property
    def works(self) -> tuple["Nudger", ...]:
        """Give what a lane is needed for: itself, if there is anybody to tell."""
        return (self,) if self._posts else ()

    def take(self, claim: Claim, outcome: Outcome) -> None:
        """Note an outcome that was committed; from any thread, and returns at once."""
        if not self._posts or not _is_news(claim, outcome):
            return
        item = Item(file_id=claim.file_id, taken_s=self._clock.monotonic_s())
        with self._lock:
            self._moved_s = item.taken_s
            for post in self._posts:
                post.put(item)

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left that a run which ends by itself should wait for."""
        now_s = self._clock.monotonic_s()
        ends_s = self._moved_s + _ENDS_AFTER_S
        with self._lock:
            awaited = [
                post
                for post in self._posts
                if (post.waiting or post.left) and max(post.rest.until_s, self._rest.until_s) <= ends_s
            ]
        return not awaited or now_s > ends_s

    def turn(self) -> float:
        """Tell what is due; see `Work`."""
        for post in self._posts:
            self._serve(post)
        with self._lock:
            due_s = min((post.due_s() for post in self._posts), default=NEVER)
        return max(0.0, max(self._rest.until_s, due_s) - self._clock.monotonic_s())

    def _serve(self, post: Post) -> None:
        for _ in range(_AT_ONCE):
            now_s = self._clock.monotonic_s()
            if self._pause.stopping or max(self._rest.until_s, post.rest.until_s) > now_s:
                return
            with self._lock:
                item = post.pop(now_s)
            if item is None:
                if post.is_behind:
                    self._catch_up(post, now_s)
                return
            try:
                self._deliver(post, item, now_s)
            except Unreachable as error:
                self._missed(post, item, self._rest, str(error))
            except Unusable as error:
                self._missed(post, item, post.rest, str(error))
            except Trouble:
                self._put_back(post, item)
                raise

    def _deliver(self, post: Post, item: Item, now_s: float) -> None:
        """Tell of one file.

        Raises:
            Unreachable, Unusable: see `Program`.
            Trouble: the catalog does not answer.
        """
        if not self._is_there(post, now_s):
            # nobody said that this program must be here: no reason for a line
            self._missed(post, item, post.rest, None)
            return
        news = self._news(item.file_id)
        known = news is None or post.program.tell(news)
        told_s = self._clock.monotonic_s()
        post.rest.met()
        post.rest.took(told_s, told_s - now_s)
        self._moved_s = told_s
        if not known and not item.again:
            self._tell_later(post, item, now_s)

    def _is_there(self, post: Post, now_s: float) -> bool:
        if now_s - post.there_s < schedule.PROGRAM_THERE_S:
            return True
        there = post.program.present()
        self._rest.met()
        post.there_s = now_s if there else -NEVER
        return there

    def _news(self, file_id: int) -> News | None:
        """Say what is known of a file now; None: it is gone, or read anew, or no program could read it."""
        claims = self._files.claims([file_id])
        if not claims or claims[0].stage is not Stage.PUBLISH:
            return None
        try:
            path = self._locator.locate(claims[0].place)
        except Trouble:
            return None  # its disk is away
        return news_of(path, claims[0].stamp.size_bytes, claims[0].card)

    def _catch_up(self, post: Post, now_s: float) -> None:
        """Tell a program that missed something of all files once it is there; no word while it is not."""
        if now_s < post.back_s:
            return
        post.tried_s = now_s
        try:
            if not self._is_there(post, now_s):
                return
            post.program.look_around()
        except (Unreachable, Unusable):
            post.there_s = -NEVER
            return
        everything = self._files.published(self._roots)
        with self._lock:
            post.lost = False
            post.left = everything[::-1]
            post.looked_s, post.left_due_s = now_s, now_s + schedule.PROGRAM_LOOKS_S

    def _tell_later(self, post: Post, item: Item, now_s: float) -> None:
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

    def _put_back(self, post: Post, item: Item) -> None:
        with self._lock:
            if item.file_id not in post.waiting:
                post.put(item)

    def _missed(self, post: Post, item: Item, rest: Rest, why: str | None) -> None:
        """Leave the program, or the whole server, alone for a while; what waits is kept a few times."""
        now_s = self._clock.monotonic_s()
        if rest is post.rest and post.there_s > -NEVER:
            rest.late(now_s)
        else:
            rest.missed(now_s)
        post.there_s = -NEVER
        self._put_back(post, item)
        if rest.misses >= _PATIENCE:
            with self._lock:
                for one in self._posts if rest is self._rest else (post,):
                    one.give_up(now_s)
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
