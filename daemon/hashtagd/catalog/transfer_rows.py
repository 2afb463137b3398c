"""Rows of transfers and what they mean: wishes as columns, claims, what people see.

What another machine filled with nonsense is never obeyed: a row that names no place or no address is no
claim, and a card or a beginning that is none counts as not there.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from hashtagd.catalog.rows import Record, card_of, place_of
from hashtagd.catalog.storable import is_storable, storable_json
from hashtagd.core.card import DownloadUrl
from hashtagd.core.declared import is_as_declared
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun, TransferClaim, Wanted
from hashtagd.core.troubles import AskOperator, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """One transfer as people see it."""

    transfer_id: int
    place: Place
    #: of a transfer that ended: what came
    sha256: str | None
    size_bytes: int | None
    bytes_done: int
    #: `waiting`, `fetching`, `parked`, `done`
    state: str
    #: by the clock of this process, as `done_at`
    due_at: datetime | None
    trouble: Mapping[str, Any] | None
    done_at: datetime | None


def wanted_values(wanted: Wanted) -> dict[str, Any]:
    """Give the columns of a wish.

    Raises:
        AskOperator: scope `file`: no catalog can keep the path.
    """
    if not is_storable(wanted.place):
        raise AskOperator(
            "the path for a download is too long, or is no text",
            does="nothing is fetched",
            you="choose another folder with `--to`",
            scope=Scope.FILE,
            kind="name_too_long",
        )
    data = None if wanted.card is None else storable_json(wanted.card.to_json())
    return {
        "root": wanted.place.root,
        "relpath": wanted.place.relpath,
        "sha256": wanted.sha256,
        # a size that no store can keep is no size of a file
        "size_bytes": storable_json(wanted.size_bytes),
        "sources": [asdict(source) for source in wanted.sources],
        "raw": None if data is None else data.pop("raw"),
        "card": data,
    }


def claim_of(row: Record) -> TransferClaim:
    """Read a row as a claim.

    Raises:
        ValueError: another machine filled the row with nonsense; so does TypeError say.
    """
    return TransferClaim(
        transfer_id=row.id,
        fence=row.fence,
        attempts=row.attempts,
        unended=row.unended,
        wanted=Wanted(
            place=place_of(row),
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            sources=sources_of(row.sources),
            card=card_of(storable_json(row.card), storable_json(row.raw)),
        ),
        begun=_begun_of(row.begun),
    )


def sources_of(stored: Any) -> tuple[DownloadUrl, ...]:  # noqa: ANN401 - JSON is any of its types
    """Read where a file may come from.

    Raises:
        TypeError: another machine wrote nonsense.
    """
    return tuple(_source_of(data) for data in storable_json(stored))


def _source_of(data: Any) -> DownloadUrl:  # noqa: ANN401 - JSON is any of its types
    source = DownloadUrl(**data)
    if not is_as_declared(source):
        raise TypeError("an address that is none")
    return source


def _begun_of(data: Any) -> Begun | None:  # noqa: ANN401 - same
    """Read where the bytes that are here came from: only a hint, without which they are fetched anew."""
    try:
        begun = Begun(**storable_json(data))
    except TypeError:
        return None
    return begun if is_as_declared(begun) else None


def rows_of(
    records: Iterable[Record], now: datetime, local: Callable[[datetime], datetime]
) -> list[TransferRow]:
    """Read rows for people; one whose path leads out of its root is another machine's nonsense.

    Args:
        records: rows as they are stored.
        now: by the clock of the store.
        local: says when a moment of the store is by the clock of this process.
    """
    rows: list[TransferRow] = []
    for row in records:
        with suppress(ValueError):
            rows.append(_row_of(row, now, local))
    return rows


def _row_of(row: Record, now: datetime, local: Callable[[datetime], datetime]) -> TransferRow:
    return TransferRow(
        transfer_id=row.id,
        place=place_of(row),
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        bytes_done=row.bytes_done,
        state=_state(row, now),
        due_at=None if row.due_at is None else local(row.due_at),
        trouble=row.trouble,
        done_at=None if row.done_at is None else local(row.done_at),
    )


def _state(row: Record, now: datetime) -> str:
    if row.done_at is not None:
        return "done"
    if row.parked_at is not None:
        return "parked"
    return "fetching" if row.lease_until is not None and row.lease_until > now else "waiting"
