"""A reranker moves the best hits by as much as its weight says, and nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llm_engineering.application.rag.rerank import RerankConfig, rerank
from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.vectors import FusedHit, LegRank


class ScoringReranker:
    """Gives the scores it was made with, in order."""

    name = "scoring"

    def __init__(self, *scores: float) -> None:
        self._scores = scores
        self.asked: list[tuple[str, list[str]]] = []

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.asked.append((question, list(passages)))
        return np.array(self._scores[: len(passages)], dtype=np.float32)


def hits(*scores: float) -> tuple[FusedHit, ...]:
    return tuple(
        FusedHit(SentenceId("chunk", number), score, (LegRank("s2", number + 1, 0.5),))
        for number, score in enumerate(scores)
    )


def reranked(
    fused: tuple[FusedHit, ...], scores: Sequence[float], *, weight: float, candidates: int = 50
) -> tuple[FusedHit, ...]:
    return rerank(
        "why?",
        fused,
        texts=[f"text {hit.sentence.number}" for hit in fused],
        reranker=ScoringReranker(*scores),
        config=RerankConfig(weight=weight, candidates=candidates),
    )


def order(found: Sequence[FusedHit]) -> list[int]:
    return [hit.sentence.number for hit in found]


def test_the_new_score_is_the_weighted_sum_of_both_scaled_scores() -> None:
    found = reranked(hits(3.0, 2.0, 1.0), [-4.0, 0.0, 4.0], weight=0.75)
    assert order(found) == [2, 1, 0]
    assert [hit.score for hit in found] == pytest.approx([0.75, 0.5, 0.25])


def test_the_whole_weight_forgets_the_legs_and_none_keeps_their_order() -> None:
    assert order(reranked(hits(3, 2, 1), [0.1, 0.3, 0.2], weight=1.0)) == [1, 2, 0]
    assert order(reranked(hits(3, 2, 1), [0.1, 0.3, 0.2], weight=0.0)) == [0, 1, 2]


def test_each_candidate_says_where_the_reranker_placed_it() -> None:
    found = reranked(hits(3.0, 2.0, 1.0), [-4.0, 0.0, 4.0], weight=0.25)
    placed = {hit.sentence.number: hit.ranks[-1] for hit in found}
    assert placed == {
        0: LegRank("rerank", 3, -4.0),
        1: LegRank("rerank", 2, 0.0),
        2: LegRank("rerank", 1, 4.0),
    }
    assert all(hit.ranks[0].leg == "s2" for hit in found)


def test_what_is_no_candidate_stays_below_in_its_order_and_is_not_read() -> None:
    reranker = ScoringReranker(0.0, 9.0)
    fused = hits(3.0, 2.0, 1.9, 1.0)
    found = rerank(
        "why?",
        fused,
        texts=["a", "b", "c", "d"],
        reranker=reranker,
        config=RerankConfig(weight=1.0, candidates=2),
    )
    assert reranker.asked == [("why?", ["a", "b"])]
    assert order(found) == [1, 0, 2, 3]
    assert [len(hit.ranks) for hit in found] == [2, 2, 1, 1]
    assert found[2].score <= found[1].score


def test_texts_of_the_candidates_are_enough() -> None:
    found = rerank(
        "why?",
        hits(2.0, 1.0, 0.5),
        texts=["a", "b"],
        reranker=ScoringReranker(0.0, 1.0),
        config=RerankConfig(weight=1.0, candidates=2),
    )
    assert order(found) == [1, 0, 2]


def test_a_reranker_that_tells_nothing_apart_changes_no_order() -> None:
    assert order(reranked(hits(3, 2, 1), [7.0, 7.0, 7.0], weight=0.9)) == [0, 1, 2]


def test_nothing_found_asks_no_reranker() -> None:
    reranker = ScoringReranker()
    assert rerank("x", (), texts=[], reranker=reranker, config=RerankConfig(weight=1)) == ()
    assert reranker.asked == []


@given(
    scores=st.lists(
        st.tuples(st.floats(0, 5, width=32), st.floats(-9, 9, width=32)), min_size=1, max_size=12
    ),
    weight=st.floats(0, 1),
    candidates=st.integers(1, 14),
)
def test_no_hit_is_lost_and_scores_never_rise(
    scores: list[tuple[float, float]], weight: float, candidates: int
) -> None:
    fused = hits(*sorted((one for one, _ in scores), reverse=True))
    found = reranked(fused, [other for _, other in scores], weight=weight, candidates=candidates)
    assert sorted(order(found)) == list(range(len(fused)))
    given_scores = [hit.score for hit in found]
    assert given_scores == sorted(given_scores, reverse=True)
    assert order(found)[candidates:] == list(range(candidates, len(fused)))
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in given_scores[:candidates])
