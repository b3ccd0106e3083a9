"""No traces: what an answer took is in its timings, its metrics and its log line."""

from llm_engineering.domain.traces import Trace, TraceParent, TraceTally


class NoTraces:
    """Takes everything, shows nothing."""

    texts = False

    def record(self, trace: Trace) -> None:
        pass

    def onward(
        self,
        request_id: str,  # noqa: ARG002 (the port's names)
        *,
        began: float,  # noqa: ARG002
        parent: TraceParent | None,  # noqa: ARG002
    ) -> TraceParent | None:
        return None

    def tally(self) -> TraceTally:
        return TraceTally()

    def close(self) -> None:
        pass
