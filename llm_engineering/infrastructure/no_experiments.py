"""No tracking: the metrics stay in the results of the runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from llm_engineering.ports.jobs import LogMetrics


class NoExperiments:
    """Takes everything, shows nothing."""

    @contextmanager
    def run(
        self,
        name: str,  # noqa: ARG002 (the port's names)
        *,
        parameters: Mapping[str, object],  # noqa: ARG002
    ) -> Iterator[LogMetrics]:
        yield _ignore


def _ignore(metrics: Mapping[str, float], step: int) -> None:
    pass
