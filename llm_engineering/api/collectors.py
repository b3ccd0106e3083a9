"""Figures that are kept by us and only shown to Prometheus: gaps, versions, traces.

Does not know: when something is to be counted.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from llm_engineering.domain.traces import TraceTally

GAPS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Described:
    """One metric, as docs/how-to/watch-a-running-twin.md lists it."""

    name: str
    """Of a counter without `_total`."""
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Gaps:
    """The time between two pieces of an answer, over all answers.

    A histogram of prometheus_client takes a lock per observation; this is an addition per piece,
    for one event loop.
    """

    described = (
        Described(
            "twin_inter_token_seconds",
            "histogram",
            (),
            "Between two pieces of an answer, as they were given on; a piece is several tokens "
            "where they came together.",
        ),
    )

    def __init__(self) -> None:
        self._counts = [0] * (len(GAPS_S) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(GAPS_S, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        bounds = [*map(str, GAPS_S), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self._counts)), strict=True))
        (gap,) = self.described
        yield HistogramMetricFamily(gap.name, gap.meaning, buckets=buckets, sum_value=self._sum)


class Versions:
    """Of what answers: the package, the index, the model; each is 1 for the version in use."""

    described = (
        Described("twin_info", "gauge", ("version",), "The package llm-twin that serves."),
        Described(
            "twin_index_info",
            "gauge",
            ("version",),
            "The index that the latest question was asked of.",
        ),
        Described("twin_model_info", "gauge", ("model",), "The model that spoke last."),
    )

    def __init__(self, version: str) -> None:
        self._version = version
        self.index = ""
        self.model = ""

    def collect(self) -> Iterator[Metric]:
        in_use = (self._version, self.index, self.model)
        for each, value in zip(self.described, in_use, strict=True):
            family = GaugeMetricFamily(each.name, each.meaning, labels=each.labels)
            if value:
                family.add_metric([value], 1)
            yield family


class Traces:
    """What became of the traces."""

    described = (
        Described("twin_traces", "counter", ("fate",), "Traces that were sent, and lost."),
    )

    def __init__(self, tally: Callable[[], TraceTally]) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        tally = self._tally()
        (traces,) = self.described
        family = CounterMetricFamily(traces.name, traces.meaning, labels=traces.labels)
        family.add_metric(["sent"], tally.sent)
        family.add_metric(["lost"], tally.lost)
        yield family
