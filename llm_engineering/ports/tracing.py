"""Where traces of answers go."""

from typing import Protocol

from llm_engineering.domain.traces import Trace, TraceParent, TraceTally


class Tracer(Protocol):
    """Shows answers to people afterwards. Safe from threads and from an event loop.

    Whatever is the matter with the place that traces go to, it costs traces and nothing else.
    """

    @property
    def texts(self) -> bool:
        """Whether it wants what was asked and said, or only lengths and ids."""
        ...

    def record(self, trace: Trace) -> None:
        """Take a trace; at once, without raising, whether or not anybody listens."""
        ...

    def onward(
        self, request_id: str, *, began: float, parent: TraceParent | None
    ) -> TraceParent | None:
        """What the engine of an answer is told to be a part of; None for nothing.

        Of the answer that began then (in seconds since 1970), for a caller with that span."""
        ...

    def tally(self) -> TraceTally:
        """How many were sent and lost."""
        ...

    def close(self) -> None:
        """Send what is waiting, within two seconds; what is left is lost."""
        ...
