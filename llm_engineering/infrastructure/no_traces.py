"""No traces: what an answer took is in its timings, its metrics and its log line."""

from llm_engineering.domain.traces import Trace, TraceTally


class NoTraces:
    """Takes everything, shows nothing."""

    texts = False

    def record(self, trace: Trace) -> None:
        pass

    def tally(self) -> TraceTally:
        return TraceTally()

    def close(self) -> None:
        pass
