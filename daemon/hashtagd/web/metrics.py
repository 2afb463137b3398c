"""Figures in the text form that Prometheus reads, written by its own client library."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

#: of what `generate_latest` writes
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One family of samples.

    Args:
        name: with the unit at its end, without the `_total` of counters.
        samples: labels and values; all have the same labels.
    """

    name: str
    help: str
    kind: Literal["gauge", "counter"]
    samples: Sequence[tuple[Mapping[str, str], float]]


def render(figures: Sequence[Figure]) -> bytes:
    """Write the figures; each time anew, nothing is kept between two calls."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(figures))
    return generate_latest(registry)


class _Once:
    """Gives the figures to the library."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            names = list(figure.samples[0][0]) if figure.samples else []
            family = _FAMILIES[figure.kind](figure.name, figure.help, labels=names)
            for labels, value in figure.samples:
                family.add_metric([labels[name] for name in names], value)
            yield family


_FAMILIES: Final = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
