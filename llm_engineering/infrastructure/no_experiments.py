"""No place that shows metrics: they stay in the results of the runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from llm_engineering.ports.jobs import LogMetrics


class NoExperiments:
    """`ExperimentTracker` that shows nothing."""

    @contextmanager
    def run(self, name: str, *, parameters: Mapping[str, object]) -> Iterator[LogMetrics]:  # noqa: ARG002
        yield lambda metrics, step: None  # noqa: ARG005
