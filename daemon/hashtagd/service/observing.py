"""What can be looked at from outside while the daemon runs: its health, and figures for a collector."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.pending import queues
from hashtagd.service.counting import Tally
from hashtagd.service.health import Health
from hashtagd.service.lanes import Lane
from hashtagd.web.metrics import CONTENT_TYPE, Figure, render
from hashtagd.web.server import Page, Routes

_UNWELL = 503


class Observatory:
    """Makes the pages.

    Args:
        roots: names of those that this process works on.
        lanes: gives the lanes that run.
        health: gives how everything was a second ago.
        overflows: gives how often the kernel lost events.
        now: the wall clock.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        roots: Sequence[str],
        tally: Tally,
        lanes: Callable[[], Sequence[Lane]],
        health: Callable[[], Health | None],
        overflows: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._roots = list(roots)
        self._tally = tally
        self._lanes = lanes
        self._health = health
        self._overflows = overflows
        self._now = now

    @property
    def routes(self) -> Routes:
        """What is served."""
        return {"/health": self.health_page, "/metrics": self.metrics_page}

    def health_page(self) -> Page:
        """Say whether everything makes progress; status 503 when something does not."""
        health = self._health()
        told = {
            "alive": True,
            "well": health is not None and health.well,
            "reasons": ["it has only just started"] if health is None else list(health.reasons),
            "paused": None if health is None else health.paused,
        }
        body = json.dumps(told, ensure_ascii=False).encode() + b"\n"
        status = 200 if told["well"] else _UNWELL
        return Page(body=body, content_type="application/json", status=status)

    def metrics_page(self) -> Page:
        """Give all figures."""
        return Page(body=render(self.figures()), content_type=CONTENT_TYPE)

    def figures(self) -> list[Figure]:
        """Collect the figures; each is one short look into the catalog."""
        return [*self._of_files(), *self._of_sites(), *self._of_process()]

    def _of_files(self) -> list[Figure]:
        reports, now = self._catalog.reports, self._now()
        states = reports.states(roots=self._roots)
        waiting = queues(self._catalog.database, self._roots)
        troubles = Counter(
            (str(it.trouble["scope"]), str(it.trouble["kind"])) for it in reports.troubles(roots=self._roots)
        )
        downloads = Counter(row.state for row in self._catalog.transfers.rows())
        return [
            _gauge("hashtagd_files", "Files by state.", "state", states),
            _gauge(
                "hashtagd_queue_files",
                "Files that are due, by stage.",
                "stage",
                {it.stage: it.due for it in waiting},
            ),
            _gauge(
                "hashtagd_queue_oldest_seconds",
                "How long the file that is due longest has waited, by stage.",
                "stage",
                {
                    it.stage: max(0.0, (now - it.oldest_due_at).total_seconds())
                    for it in waiting
                    if it.oldest_due_at
                },
            ),
            Figure(
                name="hashtagd_troubles",
                help="Troubles that are told of, by scope and kind.",
                kind="gauge",
                samples=[
                    ({"scope": scope, "kind": kind}, n) for (scope, kind), n in sorted(troubles.items())
                ],
            ),
            _gauge(
                "hashtagd_downloads", "Downloads of today, and those that did not end.", "state", downloads
            ),
        ]

    def _of_sites(self) -> list[Figure]:
        questions, gates = self._catalog.reports.questions(), self._catalog.reports.gates()
        return [
            _gauge(
                "hashtagd_questions",
                "Questions to sites: due, waiting for their time, or behind all others.",
                "state",
                {"due": questions.due, "waiting": questions.waiting, "background": questions.background},
            ),
            _gauge(
                "hashtagd_gate_open",
                "1 where a site may be asked.",
                "origin",
                {it.origin: it.open for it in gates},
            ),
            _gauge(
                "hashtagd_gate_opens_timestamp_seconds",
                "When a closed gate opens.",
                "origin",
                {it.origin: it.opens_at.timestamp() for it in gates if not it.open and it.opens_at},
            ),
            _counter("hashtagd_requests", "Requests since the start.", "origin", self._tally.requests),
            _counter(
                "hashtagd_rate_limited",
                "Answers that said we ask too often.",
                "origin",
                self._tally.rate_limited,
            ),
        ]

    def _of_process(self) -> list[Figure]:
        health = self._health()
        bugs = {lane.work.name: lane.pulse.bugs for lane in self._lanes()}
        return [
            Figure(
                name="hashtagd_hashed_bytes",
                help="Bytes hashed since the start.",
                kind="counter",
                samples=[({}, self._tally.sum("bytes_hashed"))],
            ),
            Figure(
                name="hashtagd_artifacts_written",
                help="Files written beside models since the start.",
                kind="counter",
                samples=[({}, self._tally.sum("written"))],
            ),
            Figure(
                name="hashtagd_event_overflows",
                help="Times the kernel had more changes to tell than it keeps; each brought a scan.",
                kind="counter",
                samples=[({}, self._overflows())],
            ),
            Figure(
                name="hashtagd_well",
                help="1 where everything makes progress.",
                kind="gauge",
                samples=[({}, health is not None and health.well)],
            ),
            _counter("hashtagd_bugs", "Errors of hashtagd itself, by lane.", "lane", bugs),
        ]


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Figure:
    return Figure(
        name=name, help=text, kind="gauge", samples=[({label: it}, n) for it, n in sorted(values.items())]
    )


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> Figure:
    return Figure(
        name=name, help=text, kind="counter", samples=[({label: it}, n) for it, n in sorted(values.items())]
    )
