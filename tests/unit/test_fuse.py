"""Fusing lists keeps what both agree on in front and explains every score."""

import pytest

from llm_engineering.application.rag.fuse import RankedList, fuse
from llm_engineering.domain.chunks import Hit
from tests.unit.writing import chunk_of, document

DOC = document("x" * 100)
A, B, C = (chunk_of(text, of=DOC, start=start) for start, text in enumerate("abc"))


def dense(*hits: Hit) -> RankedList:
    return RankedList("text", hits, weight=1.0)


def lexical(*hits: Hit) -> RankedList:
    return RankedList("bm25", hits, weight=2.0, floor=0.0)


def test_a_chunk_that_both_lists_rank_first_is_first_with_full_score() -> None:
    fused = fuse([dense(Hit(A, 0.9), Hit(B, 0.1)), lexical(Hit(A, 8.0), Hit(C, 4.0))])
    assert [hit.chunk for hit in fused] == [A, C, B]
    assert [hit.score for hit in fused] == pytest.approx([3.0, 1.0, 0.0])


def test_every_hit_tells_where_each_leg_placed_it() -> None:
    fused = fuse([dense(Hit(A, 0.9), Hit(B, 0.1)), lexical(Hit(B, 8.0))])
    ranks = {hit.chunk.id: [(r.leg, r.rank, r.score) for r in hit.ranks] for hit in fused}
    assert ranks[B.id] == [("text", 2, 0.1), ("bm25", 1, 8.0)]
    assert ranks[A.id] == [("text", 1, 0.9)]


def test_ties_are_broken_by_id() -> None:
    fused = fuse([dense(Hit(A, 0.5)), lexical()]), fuse([dense(Hit(A, 0.5), Hit(B, 0.5))])
    assert [hit.chunk.id for hit in fused[1]] == sorted([A.id, B.id])
    assert fused[0][0].score == pytest.approx(1.0)


def test_no_hits_fuse_to_nothing() -> None:
    assert fuse([dense(), lexical()]) == []
