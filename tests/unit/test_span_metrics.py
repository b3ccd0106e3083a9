"""Span metrics count characters, each once; intervals and refusals are what their names say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.evaluation.binding import BoundQuestion
from llm_engineering.application.evaluation.intervals import estimates
from llm_engineering.application.evaluation.questions import Question, Reference
from llm_engineering.application.evaluation.refusals import auc, refusal_report
from llm_engineering.application.evaluation.retrieval import (
    METRICS,
    Ranked,
    evaluate_retrieval,
    metrics,
)
from llm_engineering.application.evaluation.span_metrics import (
    Gold,
    RankedSpan,
    document_rank,
    span_score,
)
from llm_engineering.domain.errors import InvalidInput

LENGTH = 60
spans = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 20)).map(
    lambda pair: (pair[0], min(pair[0] + pair[1], LENGTH))
)
documents = st.sampled_from(["a", "b"])
golds = st.dictionaries(documents, st.lists(spans, min_size=1, max_size=4), min_size=1)
rankings = st.lists(
    st.builds(lambda document, span: RankedSpan(document, *span), documents, spans), max_size=12
)
budgets = st.integers(1, 100)
EVERYTHING = [RankedSpan(document, 0, LENGTH) for document in ("a", "b")]


def characters(ranked: list[RankedSpan], budget: int) -> list[tuple[str, int]]:
    """What is taken, one by one, repetitions included: the meaning of the metrics."""
    every = [(document, at) for document, start, end in ranked for at in range(start, end)]
    return every[:budget]


@given(rankings, golds, budgets)
def test_scores_are_those_of_counting_every_single_character(
    ranked: list[RankedSpan], gold: dict[str, list[tuple[int, int]]], budget: int
) -> None:
    wanted = {
        (document, at) for document, each in gold.items() for a, b in each for at in range(a, b)
    }
    taken = characters(ranked, budget)
    found = len(wanted & set(taken))

    score = span_score(ranked, Gold.of(gold), budget=budget)

    assert score.recall == pytest.approx(found / len(wanted))
    assert score.precision == pytest.approx(found / len(taken) if taken else 0)
    assert score.iou == pytest.approx(found / (len(taken) + len(wanted) - found))


@given(golds)
def test_recall_is_1_when_everything_is_taken(gold: dict[str, list[tuple[int, int]]]) -> None:
    assert span_score(EVERYTHING, Gold.of(gold), budget=2 * LENGTH).recall == 1


@given(rankings, golds)
def test_recall_never_falls_when_the_budget_grows(
    ranked: list[RankedSpan], gold: dict[str, list[tuple[int, int]]]
) -> None:
    recalls = [span_score(ranked, Gold.of(gold), budget=budget).recall for budget in range(1, 99)]
    assert all(one <= other for one, other in pairwise(recalls))


@given(rankings, golds)
def test_a_repetition_brings_nothing_and_uses_the_budget(
    ranked: list[RankedSpan], gold: dict[str, list[tuple[int, int]]]
) -> None:
    once = span_score(ranked, Gold.of(gold), budget=10_000)
    twice = span_score([*ranked, *ranked], Gold.of(gold), budget=10_000)
    assert twice.recall == once.recall
    assert twice.precision == pytest.approx(once.precision / 2)


def test_the_last_span_is_cut_to_the_budget() -> None:
    gold = Gold.of({"a": [(0, 40)]})
    score = span_score([RankedSpan("b", 0, 10), RankedSpan("a", 0, 40)], gold, budget=20)
    assert score == (10 / 40, 10 / 20, 10 / (20 + 30))


def test_lost_characters_count_as_never_found() -> None:
    score = span_score(EVERYTHING, Gold.of({"a": [(0, 30)]}, lost=10), budget=1_000)
    assert score.recall == 30 / 40


def test_nothing_found_scores_0() -> None:
    assert span_score([], Gold.of({"a": [(0, 5)]}), budget=10) == (0, 0, 0)
    assert document_rank([], Gold.of({"a": [(0, 5)]})) is None


def test_the_rank_of_a_document_counts_distinct_documents() -> None:
    ranked = [RankedSpan("b", 0, 1), RankedSpan("b", 5, 9), RankedSpan("a", 0, 1)]
    assert document_rank(ranked, Gold.of({"a": [(9, 12)]})) == 2
    found = dict(zip(METRICS, metrics(ranked, Gold.of({"a": [(9, 12)]})), strict=True))
    assert (found["hit@1"], found["hit@3"], found["mrr"]) == (0, 1, 0.5)


def test_an_interval_is_about_the_mean_and_always_the_same() -> None:
    values = np.random.default_rng(5).normal(3, 1, (400, 2)) * [1, 10]
    narrow, wide = estimates(values)
    assert narrow.low < narrow.mean < narrow.high
    assert narrow.mean == pytest.approx(values[:, 0].mean())
    # 1.96 standard errors on each side, as theory says of 400 normal values.
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 / 20, rel=0.1)
    assert wide.high - wide.low == pytest.approx(10 * (narrow.high - narrow.low), rel=0.1)
    assert estimates(values) == [narrow, wide]
    assert estimates(values, seed=1) != [narrow, wide]


def test_the_same_draws_are_used_for_every_column() -> None:
    """Else the interval of a difference would not be a paired one."""
    one = np.random.default_rng(5).normal(size=30)
    both = estimates(np.stack([one, one], axis=1))
    assert both[0] == both[1]


def test_equal_values_have_an_interval_without_width() -> None:
    (only,) = estimates(np.full((7, 1), 0.25))
    assert (only.mean, only.low, only.high) == (0.25, 0.25, 0.25)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
)
def test_auc_is_the_share_of_pairs_in_order_ties_half(good: list[int], bad: list[int]) -> None:
    pairs = [(one > other) + (one == other) / 2 for one in good for other in bad]
    assert auc(good, bad) == pytest.approx(sum(pairs) / len(pairs))


def test_refusals_are_told_at_the_threshold_and_along_a_curve() -> None:
    report = refusal_report(
        [0.9, 0.8, 0.7, 0.3], [0.1, 0.2, 0.75], kinds=["far", "far", "near"], threshold=0.5
    )
    told = report.configured
    assert (told.precision, told.recall, told.wrongly) == (2 / 3, 2 / 3, 1 / 4)
    assert report.refused_by_kind == {"far": 1.0, "near": 0.0}
    assert len(report.curve) == 10
    recalls = [each.recall for each in report.curve]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[-1]


def bound(text: str, document: str = "", kind: str = "") -> BoundQuestion:
    references = (Reference(start_index=0, end_index=10),) if document else ()
    question = Question(question=text, references=references, corpus_id=document, kind=kind)
    return BoundQuestion(question, Gold.of({document: [(0, 10)]} if document else {}))


def a_ranker(text: str) -> Ranked:
    """Finds document a whole, and has evidence in proportion to the question's length."""
    return Ranked((RankedSpan("a", 0, 10),), ms=len(text), evidence=len(text) / 10)


def test_an_evaluation_tells_all_questions_then_kinds_then_large_documents() -> None:
    questions = [
        *(bound("in a?", "a", "same") for _ in range(10)),
        *(bound("in b?", "b", "other") for _ in range(5)),
        bound("?"),
    ]
    done = []
    report = evaluate_retrieval(
        questions, ranker=a_ranker, min_evidence=0.3, advance=lambda: done.append(1)
    )
    assert [(each.group, each.questions) for each in report.groups] == [
        ("all", 15),
        ("kind same", 10),
        ("kind other", 5),
        ("in a", 10),
    ]
    recalls = [each.estimates["recall@1500"].mean for each in report.groups]
    assert recalls == pytest.approx([2 / 3, 1, 0, 1])
    assert (report.questions, report.unanswerable, report.references) == (16, 1, 15)
    assert (report.p50_ms, len(done)) == (5, 16)
    assert report.refusals is not None
    assert (report.refusals.auc, report.refusals.configured.recall) == (1, 1)


def test_without_unanswerable_questions_nothing_is_said_of_refusing() -> None:
    report = evaluate_retrieval([bound("in a?", "a")], ranker=a_ranker, min_evidence=0.3)
    assert report.refusals is None


def test_without_answerable_questions_there_is_nothing_to_measure() -> None:
    with pytest.raises(InvalidInput, match="no question has a reference"):
        evaluate_retrieval([bound("?")], ranker=a_ranker, min_evidence=0.3)
