"""Evaluate retrieval: every question ranked, every ranking scored, means with intervals.

Does not know: how a question is ranked; it is given a ranker.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from llm_engineering.application.evaluation.binding import BoundQuestion
from llm_engineering.application.evaluation.intervals import Estimate, estimates
from llm_engineering.application.evaluation.refusals import RefusalReport, refusal_report
from llm_engineering.application.evaluation.span_metrics import (
    BUDGETS,
    DEPTHS,
    Gold,
    RankedSpan,
    document_rank,
    span_score,
)
from llm_engineering.domain.errors import InvalidInput

METRICS = (
    *(f"recall@{budget}" for budget in BUDGETS),
    *(f"precision@{budget}" for budget in BUDGETS),
    *(f"iou@{budget}" for budget in BUDGETS),
    *(f"hit@{depth}" for depth in DEPTHS),
    "mrr",
)
"""Spans within a budget of characters, then documents among the first so many."""

_LEAST_TOLD = 10
"""A document with fewer questions gets no row of its own."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker found for one question, best first."""

    spans: tuple[RankedSpan, ...]
    ms: float
    evidence: float | None = None
    """How well it supports an answer, where the ranker judges that."""


Ranker = Callable[[str], Ranked]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricsOf(Frozen):
    """Means over a group of questions that can be answered."""

    group: str
    questions: int
    estimates: dict[str, Estimate]
    """By the names in METRICS."""


class RetrievalReport(Frozen):
    """How well one ranker retrieves."""

    questions: int
    unanswerable: int
    """Of them."""
    references: int
    unlocated: int
    """References that no indexed text holds; they count as not found."""
    groups: tuple[MetricsOf, ...]
    """All questions first, then per kind, then per document with many questions."""
    p50_ms: float
    p99_ms: float
    refusals: RefusalReport | None
    """Where there are questions of both sorts and the ranker judges evidence."""


def evaluate_retrieval(
    questions: Sequence[BoundQuestion],
    *,
    ranker: Ranker,
    min_evidence: float,
    advance: Callable[[], object] = lambda: None,
) -> RetrievalReport:
    """Rank every question and score it; `advance` is called after each.

    `min_evidence`: questions with less are refused. Raises InvalidInput when no question can be
    answered.
    """
    answerable = [question for question in questions if question.answerable]
    if not answerable:
        raise InvalidInput("no question has a reference; add questions that the corpus answers")
    found: list[Ranked] = []
    for question in questions:
        found.append(ranker(question.question.question))
        advance()
    scores = np.array(
        [
            metrics(ranked.spans, question.gold)
            for question, ranked in zip(questions, found, strict=True)
            if question.answerable
        ]
    )
    p50, p99 = np.percentile([ranked.ms for ranked in found], [50, 99])
    return RetrievalReport(
        questions=len(questions),
        unanswerable=len(questions) - len(answerable),
        references=sum(len(question.question.references) for question in questions),
        unlocated=sum(question.unlocated for question in questions),
        groups=tuple(metrics_of(name, scores[rows]) for name, rows in _groups(answerable).items()),
        p50_ms=float(p50),
        p99_ms=float(p99),
        refusals=_refusals(questions, found, min_evidence),
    )


def metrics(ranked: Sequence[RankedSpan], gold: Gold) -> list[float]:
    """The values of METRICS for one ranked list; `gold` must not be empty."""
    within = [span_score(ranked, gold, budget=budget) for budget in BUDGETS]
    place = document_rank(ranked, gold)
    return [
        *(score.recall for score in within),
        *(score.precision for score in within),
        *(score.iou for score in within),
        *(float(place is not None and place <= depth) for depth in DEPTHS),
        1.0 / place if place else 0.0,
    ]


def metrics_of(group: str, scores: NDArray[np.float64]) -> MetricsOf:
    """Means and intervals of `scores`, (questions, METRICS)."""
    return MetricsOf(
        group=group,
        questions=len(scores),
        estimates=dict(zip(METRICS, estimates(scores), strict=True)),
    )


def _groups(questions: Sequence[BoundQuestion]) -> dict[str, list[int]]:
    """Which questions each row of the result is about."""
    groups = {"all": list(range(len(questions)))}
    kinds = Counter(question.question.kind for question in questions)
    documents = Counter(question.question.corpus_id for question in questions)
    for at, question in enumerate(questions):
        kind, document = question.question.kind, question.question.corpus_id
        if kind and len(kinds) > 1:
            groups.setdefault(f"kind {kind}", []).append(at)
        if document and len(documents) > 1 and documents[document] >= _LEAST_TOLD:
            groups.setdefault(f"in {document}", []).append(at)
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "all", item[0][:2] == "in")))


def _refusals(
    questions: Sequence[BoundQuestion], found: Sequence[Ranked], min_evidence: float
) -> RefusalReport | None:
    judged = [
        (question, ranked.evidence)
        for question, ranked in zip(questions, found, strict=True)
        if ranked.evidence is not None
    ]
    good = [evidence for question, evidence in judged if question.answerable]
    bad = [evidence for question, evidence in judged if not question.answerable]
    if not good or not bad:
        return None
    kinds = [question.question.kind for question, _ in judged if not question.answerable]
    return refusal_report(good, bad, kinds=kinds, threshold=min_evidence)
