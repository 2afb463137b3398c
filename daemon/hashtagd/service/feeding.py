"""Fetches what a list misses, while sites are still being asked about the rest of it."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from hashtagd.catalog.transfers import TransferRow
from hashtagd.core.card import Card, Confidence
from hashtagd.core.picking import with_first
from hashtagd.core.transfer import Wanted
from hashtagd.service.bringing import Hands, Watch, bring
from hashtagd.service.resolving import Told
from hashtagd.service.restoring import Ending, Missing, Result

#: the kinds of troubles that a key heals
_KEY_KINDS = frozenset({"login_wanted", "no_access"})


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
        rows = {
            row.transfer_id: row for row in bring(self.hands, feed.ids, self.watch, coming=feed.is_coming)
        }
        if feed.broke is not None:
            raise feed.broke
        for number, wanted in feed.wanted:
            yield _result(wanted, rows.get(number))


class _Feed:
    """Turns what comes into wishes, on a thread of its own."""

    def __init__(self, hands: Hands, missing: Iterable[Missing]) -> None:
        self._hands = hands
        self._missing = missing
        self._ended = threading.Event()
        #: grows
        self.ids: set[int] = set()
        self.wanted: list[tuple[int, Missing]] = []
        self.broke: BaseException | None = None

    def is_coming(self) -> bool:
        return not self._ended.is_set()

    def run(self) -> None:
        try:
            for it in self._missing:
                if self._hands.outside.pause.stopping:
                    return
                (number,) = self._hands.catalog.transfers.want([_wanted(it)])
                self.wanted.append((number, it))
                self.ids = {*self.ids, number}
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.broke = error
        finally:
            self._ended.set()


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
    if row is not None and row.state == "done":
        return Result(step=it.step, ending=Ending.FETCHED, told=it.told)
    trouble: Mapping[str, object] = {} if row is None or row.trouble is None else row.trouble
    why = str(trouble.get("what", "it was taken back meanwhile"))
    return Result(step=it.step, ending=_ending(row, trouble), why=why, told=it.told)


def _ending(row: TransferRow | None, trouble: Mapping[str, object]) -> Ending:
    if trouble.get("kind") in _KEY_KINDS:
        return Ending.NEEDS_KEY
    if trouble.get("kind") == "place_taken":
        return Ending.OCCUPIED
    if row is not None and row.state != "parked":
        return Ending.LATER
    return Ending.GONE if trouble.get("class") == "GiveUp" else Ending.FAILED
