"""Fetches what a list misses, while sites are still being asked about the rest of it."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashtagd.catalog.transfers import TransferRow
from hashtagd.core.card import Card, Confidence
from hashtagd.core.picking import with_first
from hashtagd.core.transfer import CIVITAI, Wanted
from hashtagd.service.bringing import Hands, Watch, bring
from hashtagd.service.resolving import Told
from hashtagd.service.restoring import Ending, Missing, Result

#: the kinds of troubles that a key heals
_KEY_KINDS = frozenset({"login_wanted", "no_access"})
#: the site does not find a file: for a while, or, where it does not know the hash either, for good
_NOT_FOUND: Final = "file_not_found"
#: so many wishes are one commit
_COMMIT_ROWS: Final = 100
#: how long an answer that is under way is waited for after a stop
_GRACE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Feeding:
    """The `Fetch` of `service.restoring`.

    Args:
        hands: what bringing takes.
        watch: told several times a second how far everything is.
    """

    hands: Hands
    watch: Watch

    def __call__(self, missing: Iterable[Missing]) -> Iterator[Result]:
        """Fetch, verify and place; one result for each, in the order in which they came.

        Raises:
            Trouble, Stopping: whatever asking or fetching raised; what came is kept.
        """
        feed = _Feed(self.hands, missing)
        thread = threading.Thread(target=feed.run, name="feed", daemon=True)
        thread.start()
        try:
            rows = self._brought(feed.ids, feed)
        finally:
            feed.end()
            thread.join(_GRACE_S)
        if feed.broke is not None:
            raise feed.broke
        rows |= self._brought(self._once_more(feed, rows))
        results = [_result(it, rows.get(number)) for number, it in zip(feed.ids, feed.asked, strict=True)]
        # nobody has them: there is nothing that a daemon could try again
        gone = [number for number, it in zip(feed.ids, results, strict=True) if it.ending is Ending.GONE]
        for start in range(0, len(gone), _COMMIT_ROWS):
            self.hands.catalog.transfers.cancel(gone[start : start + _COMMIT_ROWS])
        yield from results

    def _brought(self, ids: Sequence[int], feed: "_Feed | None" = None) -> dict[int, TransferRow]:
        coming = (lambda: False) if feed is None else feed.is_coming
        return {row.transfer_id: row for row in bring(self.hands, ids, self.watch, coming=coming)}

    def _once_more(self, feed: "_Feed", rows: Mapping[int, TransferRow]) -> list[int]:
        """Wish again where somebody was fetching something else to the same place; gives the new numbers."""
        others = [
            index
            for index, (number, it) in enumerate(zip(feed.ids, feed.asked, strict=True))
            if number in rows and rows[number].sha256 != it.step.entry.sha256
        ]
        again = self.hands.catalog.transfers.want([_wanted(feed.asked[index]) for index in others])
        for index, number in zip(others, again, strict=True):
            feed.ids[index] = number
        return again


class _Feed:
    """Takes what comes on a thread of its own; whoever waits makes wishes of it."""

    def __init__(self, hands: Hands, missing: Iterable[Missing]) -> None:
        self._hands = hands
        self._missing = missing
        self._came: deque[Missing] = deque()
        #: what came was left for one look, so that more could come
        self._waited = False
        self._ended = threading.Event()
        #: numbers of the transfers, and of each what is kept until its result; both only grow
        self.ids: list[int] = []
        self.asked: list[Missing] = []
        self.broke: BaseException | None = None

    def is_coming(self) -> bool:
        """Wish for what came, and tell whether more may come."""
        more = not self._ended.is_set()  # looked at first: what came before the end is not left behind
        count = len(self._came)
        if more and 0 < count < _COMMIT_ROWS and not self._waited:
            # a site answers about many at once, in an order of its own: it may not be through yet
            self._waited = True
            return True
        self._waited = False
        # in the order that was planned, as far as it has come
        came = sorted((self._came.popleft() for _ in range(count)), key=lambda it: it.position)
        for start in range(0, len(came), _COMMIT_ROWS):
            some = came[start : start + _COMMIT_ROWS]
            ids = self._hands.catalog.transfers.want([_wanted(it) for it in some])
            self.asked += map(_slim, some)
            self.ids += ids
        return more

    def end(self) -> None:
        """Take nothing more."""
        self._ended.set()

    def run(self) -> None:
        """Take all that comes."""
        try:
            for it in self._missing:
                if self._ended.is_set() or self._hands.outside.pause.stopping:
                    return
                self._came.append(it)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.broke = error
        finally:
            self._ended.set()


def _slim(it: Missing) -> Missing:
    """Keep the addresses and who knows it, not what else sites said: of thousands of models that is much."""
    told = it.told
    cards = tuple(
        Card(provider=card.provider, by=card.by, confidence=card.confidence, availability=card.availability)
        for card in told.cards
    )
    entry = replace(told.entry, urls=told.urls)
    return replace(it, told=Told(listed=told.listed, entry=entry, cards=cards, trouble=told.trouble))


def _wanted(it: Missing) -> Wanted:
    target = it.step.target
    if target is None:
        raise ValueError("what has no place cannot be fetched")
    entry = it.step.entry
    return Wanted(
        place=target,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        sources=it.told.urls,
        card=_card(it.told),
    )


def _card(told: Told) -> Card | None:
    """Give what is known of the bytes with this hash; a card that does not show them says nothing of them."""
    sha256 = told.entry.sha256
    for card in told.cards:
        file = next((item for item in card.downloads if item.sha256 == sha256), None)
        if sha256 is not None and file is not None:
            return replace(with_first(card, file), by="sha256", confidence=Confidence.EXACT)
    return None


def _result(it: Missing, row: TransferRow | None) -> Result:
    if row is not None and row.sha256 != it.step.entry.sha256:
        why = "another file is being fetched to this place"
        return Result(step=it.step, ending=Ending.OCCUPIED, why=why, told=it.told)
    if row is not None and row.state == "done":
        return Result(step=it.step, ending=Ending.FETCHED, told=it.told)
    trouble: Mapping[str, object] = {} if row is None or row.trouble is None else row.trouble
    why = str(trouble.get("what", "it was taken back meanwhile"))
    return Result(step=it.step, ending=_ending(it, row, trouble), why=why, told=it.told)


def _ending(it: Missing, row: TransferRow | None, trouble: Mapping[str, object]) -> Ending:
    kind = trouble.get("kind")
    if kind in _KEY_KINDS:
        return Ending.NEEDS_KEY
    if kind == "place_taken":
        return Ending.OCCUPIED
    if (
        kind == _NOT_FOUND
        and it.told.trouble is None
        and CIVITAI not in {card.provider for card in it.told.cards}
    ):
        return Ending.GONE
    if row is not None and row.state != "parked":
        return Ending.LATER
    return Ending.GONE if trouble.get("class") == "GiveUp" else Ending.FAILED
