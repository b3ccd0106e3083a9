"""Passages are exact spans that fit the budget, with the sentences that can be quoted."""

from llm_engineering.application.rag.passages import merge
from llm_engineering.domain.chunks import FusedHit
from tests.unit.writing import chunk_of, document

TEXT = "First part of it.\n\nSecond part of it.\n\nThird part of it."
DOC = document(TEXT)
FIRST = chunk_of(TEXT[:19], of=DOC, sentences=((0, 17),))
SECOND = chunk_of(TEXT[19:39], of=DOC, start=19, sentences=((19, 37),))
THIRD = chunk_of(TEXT[39:], of=DOC, start=39, sentences=((39, 57),))


def words(text: str) -> int:
    return len(text.split())


def hit(chunk: object, score: float) -> FusedHit:
    return FusedHit(chunk, score, ())  # type: ignore[arg-type]


def test_chunks_that_touch_become_one_exact_span() -> None:
    (passage,) = merge([hit(SECOND, 2.0), hit(FIRST, 1.0)], budget_tokens=100, count_tokens=words)
    assert passage.text == TEXT[passage.start : passage.end] == TEXT[:39]
    assert passage.score == 2.0
    assert passage.tokens == 8


def test_chunks_apart_stay_apart_best_first() -> None:
    passages = merge([hit(THIRD, 2.0), hit(FIRST, 1.0)], budget_tokens=100, count_tokens=words)
    assert [p.start for p in passages] == [39, 0]


def test_the_budget_ends_the_list_but_never_the_first_hit() -> None:
    hits = [hit(FIRST, 3.0), hit(THIRD, 2.0)]
    assert [p.start for p in merge(hits, budget_tokens=1, count_tokens=words)] == [0]
    assert len(merge(hits, budget_tokens=8, count_tokens=words)) == 2


def test_sentences_are_spans_of_the_document() -> None:
    (passage,) = merge([hit(THIRD, 1.0)], budget_tokens=100, count_tokens=words)
    assert [passage.quote(s.start, s.end) for s in passage.sentences] == ["Third part of it."]
    assert [TEXT[s.start : s.end] for s in passage.sentences] == ["Third part of it."]


def test_a_sentence_knows_the_headings_of_its_own_chunk() -> None:
    first = FIRST.model_copy(update={"heading_path": ("One",)})
    second = SECOND.model_copy(update={"heading_path": ("Two",)})
    (passage,) = merge([hit(second, 2.0), hit(first, 1.0)], budget_tokens=99, count_tokens=words)
    assert [s.heading_path for s in passage.sentences] == [("One",), ("Two",)]
    assert passage.heading_path == ("Two",)
