"""What a single run came to, for people and for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.filters import Filters
from hashtagd.core.troubles import AskOperator, Trouble
from hashtagd.service.counting import Tally
from hashtagd.service.once import Verdict
from hashtagd.service.presence import told_troubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end of `run --once`."""

    files: int
    named: int
    #: published, and no site knows them
    unknown: int
    waiting: int
    parked: int
    #: requests of this run by origin
    requests: Mapping[str, int]
    bytes_hashed: int
    #: files that were written beside models
    written: int
    took_s: float
    #: origin -> why it is closed and until when, in words
    closed_gates: Mapping[str, str]
    #: files that are still arriving
    growing: int
    #: files that shall be fetched into these roots, and wait for time
    downloads_waiting: int
    #: those that wait for a person
    downloads_parked: int
    #: something waits for a person: a parked file, a copy that died half-way, a root that needs a look
    for_a_person: bool
    #: what is wrong with roots and in them, with the keys that `status --json` has
    troubles: Sequence[Mapping[str, Any]]
    #: files that a trouble of their own keeps waiting
    troubled_files: bool

    def to_json(self) -> dict[str, Any]:
        """Give the documented keys."""
        data = asdict(self)
        data["requests"] = dict(self.requests)
        data["closed_gates"] = dict(self.closed_gates)
        del data["troubled_files"]
        data["took_s"] = round(self.took_s, 3)
        return data


def sum_up(
    *,
    catalog: Catalog,
    roots: Sequence[str],
    verdict: Verdict,
    troubled_roots: Mapping[str, Trouble],
    tally: Tally,
    took_s: float,
    remarks: Mapping[str, Sequence[Trouble]] = MappingProxyType({}),
) -> Summary:
    """Join what the catalog knows of these roots with what this run did."""
    states: dict[str, int] = {}
    for root in roots:
        for state, count in catalog.reports.states(root).items():
            states[state] = states.get(state, 0) + count
    gates = {
        origin: f"{closed.trouble.what}; opens {closed.opens_at:%Y-%m-%d %H:%M:%S} UTC"
        for origin, closed in verdict.gates.items()
        if verdict.questions_waiting and closed.trouble is not None
    }
    troubles = [
        told
        for root in roots
        for told in told_troubles(
            root,
            troubled_roots[root].to_json() if root in troubled_roots else None,
            [remark.to_json() for remark in remarks.get(root, ())],
        )
    ]
    asks = any(isinstance(remark, AskOperator) for some in remarks.values() for remark in some)
    downloads = Counter(row.state for row in catalog.transfers.rows() if row.place.root in roots)
    parked = bool(states.get("parked") or downloads["parked"])
    return Summary(
        files=sum(states.values()) - states.get("gone", 0),
        named=states.get("published", 0),
        unknown=states.get("unknown", 0),
        waiting=states.get("waiting", 0) + states.get("hashing", 0) + states.get("asking", 0),
        parked=states.get("parked", 0),
        requests=tally.requests,
        bytes_hashed=tally.sum("bytes_hashed"),
        written=tally.sum("written"),
        took_s=took_s,
        closed_gates=gates,
        growing=verdict.growing,
        downloads_waiting=downloads["waiting"],
        downloads_parked=downloads["parked"],
        for_a_person=bool(parked or verdict.stalled or troubled_roots or asks),
        troubles=troubles,
        troubled_files=any(
            catalog.reports.list_files(Filters(root=root, trouble=True, limit=1)) for root in roots
        ),
    )
