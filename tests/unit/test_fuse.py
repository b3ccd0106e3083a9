"""Fusing lists keeps what both agree on in front and explains every score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.fuse import RankedList, fuse
from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.vectors import Hit

A, B, C = (SentenceId("chunk", number) for number in range(3))


def dense(*hits: Hit) -> RankedList:
    return RankedList("s2", hits, weight=1.0)


def lexical(*hits: Hit, ceiling: float | None = None) -> RankedList:
    return RankedList("t1", hits, weight=2.0, floor=0.0, ceiling=ceiling)


def scores(*lists: RankedList) -> dict[SentenceId, float]:
    return {hit.sentence: hit.score for hit in fuse(lists)}


def test_a_sentence_that_both_lists_rank_first_is_first_with_full_score() -> None:
    fused = fuse([dense(Hit(A, 0.9), Hit(B, 0.1)), lexical(Hit(A, 8.0), Hit(C, 4.0))])
    assert [hit.sentence for hit in fused] == [A, C, B]
    assert [hit.score for hit in fused] == pytest.approx([3.0, 1.0, 0.0])


def test_every_hit_tells_where_each_leg_placed_it() -> None:
    fused = fuse([dense(Hit(A, 0.9), Hit(B, 0.1)), lexical(Hit(B, 8.0))])
    ranks = {hit.sentence: [(r.leg, r.rank, r.score) for r in hit.ranks] for hit in fused}
    assert ranks == {A: [("s2", 1, 0.9)], B: [("s2", 2, 0.1), ("t1", 1, 8.0)]}


def test_scores_are_scaled_from_the_floor_to_the_ceiling() -> None:
    hits = (Hit(A, 15.0), Hit(B, 5.0))
    assert scores(lexical(*hits, ceiling=20.0)) == pytest.approx({A: 1.5, B: 0.5})
    assert scores(lexical(*hits, ceiling=10.0)) == pytest.approx({A: 3.0, B: 1.0})


def test_without_floor_and_ceiling_the_last_and_the_first_hit_are_theirs() -> None:
    assert scores(dense(Hit(A, 0.9), Hit(B, 0.7), Hit(C, 0.1))) == pytest.approx(
        {A: 1.0, B: 0.75, C: 0.0}
    )


def test_below_the_floor_counts_as_nothing() -> None:
    assert scores(lexical(Hit(A, 4.0), Hit(B, -4.0))) == pytest.approx({A: 2.0, B: 0.0})


def test_a_list_that_cannot_tell_its_hits_apart_gives_each_its_whole_weight() -> None:
    assert scores(dense(Hit(A, 0.5), Hit(B, 0.5))) == {A: 1.0, B: 1.0}
    assert scores(lexical(Hit(A, 0.0))) == {A: 2.0}


def test_equal_scores_tie_by_sentence_id_wherever_a_list_placed_them() -> None:
    fused = fuse([dense(Hit(C, 0.9), Hit(B, 0.5), Hit(A, 0.5), Hit(SentenceId("chunk", 3), 0.1))])
    assert [hit.sentence.number for hit in fused] == [2, 0, 1, 3]
    assert fused[1].score == fused[2].score


@given(
    numbers=st.permutations(range(6)),
    score=st.floats(0.1, 0.9),
    agreeing=st.integers(1, 6),
)
def test_the_windows_of_a_short_document_are_never_set_apart(
    numbers: list[int], score: float, agreeing: int
) -> None:
    short = [SentenceId("short", number) for number in numbers]
    best, last = Hit(SentenceId("other", 0), 1.0), Hit(SentenceId("other", 1), 0.0)
    windows = dense(best, *(Hit(sentence, score) for sentence in short), last)
    fused = fuse([windows] * agreeing)
    assert [hit.sentence for hit in fused[1:-1]] == sorted(short)
    assert len({hit.score for hit in fused[1:-1]}) == 1


def test_no_hits_fuse_to_nothing() -> None:
    assert fuse([dense(), lexical()]) == []
