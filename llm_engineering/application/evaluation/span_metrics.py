"""How much of what answers a question a ranked list of spans brings within a budget of characters.

The ranked spans are taken, best first, until the budget is used; the last one is cut to fit.
With R the characters that answer the question and T those taken:

    recall = |R & T| / |R|      precision = |R & T| / |T|      IoU = |R & T| / (|T| + |R - T|)

(Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", 2024). What is taken twice
uses the budget twice and is found once.

Does not know: how spans were ranked, what a question says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llm_engineering.domain.chunks import Span

BUDGETS = (1_500, 2_700, 5_500)
"""Characters: about three, five and ten passages."""

DEPTHS = (1, 3, 10)
"""Among so many documents the right one is looked for."""


class RankedSpan(NamedTuple):
    """Characters [start, end) of one document."""

    document: str
    start: int
    end: int


@dataclass(frozen=True)
class Gold:
    """What answers a question."""

    spans: Mapping[str, tuple[Span, ...]]
    """Of each document, ascending and apart from each other."""
    lost: int = 0
    """Characters that answer it but are in no indexed text."""

    @classmethod
    def of(cls, spans: Mapping[str, Iterable[Span]], *, lost: int = 0) -> "Gold":
        """From spans in any order, which may overlap."""
        return cls({document: _merged(each) for document, each in spans.items()}, lost)

    @property
    def characters(self) -> int:
        """All of them, lost ones included."""
        return self.lost + sum(end - start for each in self.spans.values() for start, end in each)


class SpanScore(NamedTuple):
    """Each from 0 to 1."""

    recall: float
    precision: float
    iou: float


def span_score(ranked: Iterable[RankedSpan], gold: Gold, *, budget: int) -> SpanScore:
    """The score of the first `budget` characters of `ranked`; `gold` must not be empty."""
    taken: dict[str, list[Span]] = {}
    left = budget
    for document, start, end in ranked:
        length = min(end - start, left)
        taken.setdefault(document, []).append((start, start + length))
        left -= length
        if not left:
            break
    found = sum(
        _common(_merged(spans), gold.spans.get(document, ())) for document, spans in taken.items()
    )
    used = budget - left
    return SpanScore(
        recall=found / gold.characters,
        precision=found / used if used else 0.0,
        iou=found / (used + gold.characters - found),
    )


def document_rank(ranked: Iterable[RankedSpan], gold: Gold) -> int | None:
    """Place of the first document that answers the question, counted from 1 over distinct ones."""
    seen: set[str] = set()
    for span in ranked:
        seen.add(span.document)
        if span.document in gold.spans:
            return len(seen)
    return None


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same characters as ascending spans that neither touch nor overlap."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return tuple(merged)


def _common(ones: Sequence[Span], others: Sequence[Span]) -> int:
    """Characters in both."""
    return sum(
        max(0, min(one[1], other[1]) - max(one[0], other[0])) for one in ones for other in others
    )
