"""What is told of one answer afterwards: its spans, what they took and what they rest on.

Attributes are named as OpenTelemetry's semantic conventions name them (`gen_ai.*`), and `twin.*`
where these have no name.
Does not know: who is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Attribute = str | bool | int | float | tuple[str, ...]
Text = tuple[str, str]
"""Who said it, or where it is from; and the text."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span that others are to be parts of, as W3C's `traceparent` names it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 of them."""
    sampled: bool
    """Whether whoever asks keeps its trace."""

    @property
    def header(self) -> str:
        """The value of `traceparent`, in its first version."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


@dataclass(frozen=True, slots=True)
class Span:
    """One part of the work."""

    name: Literal["answer", "retrieval", "rerank", "generation", "plan", "search", "read", "draft"]
    started: float
    """In seconds since 1970."""
    ended: float
    attributes: Mapping[str, Attribute]
    inputs: tuple[Text, ...] = ()
    """Empty where texts are to be left out, as `outputs` and `reason` are."""
    outputs: tuple[Text, ...] = ()
    error: str = ""
    """Kind of what went wrong; '' when nothing did."""
    reason: str = ""
    """The same in words."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One answer."""

    request_id: str
    root: Span
    spans: tuple[Span, ...]
    """Parts of the root, in the order in which they began."""
    parent: TraceParent | None = None


@dataclass(frozen=True, slots=True)
class TraceTally:
    """What became of traces so far."""

    sent: int = 0
    lost: int = 0
    """Dropped because nobody took them in time, or refused."""
