"""Passages are exact spans that fit the budget, with the statements that can be quoted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.passages import _PASSED_OVER, Found, browse, select
from llm_engineering.domain.chunks import Chunk, SentenceId, chunk_id
from llm_engineering.domain.documents import Document
from llm_engineering.domain.vectors import FusedHit
from tests.unit.writing import document

FILL = ("Nobody asked for this. ", "It says nothing at all. ", "And it goes on so. ")


def words(text: str) -> int:
    return len(text.split())


def chunks_of(*pieces: Sequence[str], of: Document) -> list[Chunk]:
    """Chunks of a document, each given as its sentences."""
    made: list[Chunk] = []
    at = 0
    for number, sentences in enumerate(pieces):
        cuts = list(accumulate(map(len, sentences), initial=at))
        text = "".join(sentences)
        made.append(
            Chunk(
                id=chunk_id(of.id, text, number),
                document=of.ref(),
                start=at,
                end=cuts[-1],
                text=text,
                heading_path=(f"Part {number}",),
                sentences=tuple(pairwise(cuts)),
                statements=tuple((a, b - 1) for a, b in pairwise(cuts)),
            )
        )
        at = cuts[-1]
    return made


def note(*pieces: Sequence[str], name: str = "note") -> list[Chunk]:
    """The chunks of a note at that address."""
    text = "".join(sentence for piece in pieces for sentence in piece)
    return chunks_of(*pieces, of=document(text, url=f"https://ada.example/{name}"))


def hits(*given: tuple[Chunk, int] | tuple[Chunk, int, float]) -> list[FusedHit]:
    """Sentences of chunks; scores fall from 100 unless they are given."""
    return [
        FusedHit(SentenceId(chunk.id, number), score[0] if score else 100.0 - place, ())
        for place, (chunk, number, *score) in enumerate(given)
    ]


def chosen(
    ranked: Sequence[FusedHit],
    *chunks: Chunk,
    budget: int,
    count: Callable[[str], int] = words,
) -> tuple[Found, ...]:
    held = {chunk.id: chunk for chunk in chunks}
    return select(ranked, held, budget_tokens=budget, count_tokens=count)


def texts(found: Iterable[Found]) -> list[str]:
    return [each.passage.text for each in found]


def test_sentences_that_touch_become_one_exact_span() -> None:
    (chunk,) = note(["One is this. ", "Two is that. ", "Three is all. "])
    (found,) = chosen(hits((chunk, 1), (chunk, 0)), chunk, budget=6)
    assert found.passage.text == chunk.text[found.passage.start : found.passage.end]
    assert found.passage.text == "One is this. Two is that. "
    assert (found.passage.tokens, found.passage.score) == (6, 100.0)


def test_sentences_that_touch_across_chunks_are_one_passage_too() -> None:
    first, second = note(["One is this. "], ["Two is that. "])
    (found,) = chosen(hits((second, 0), (first, 0)), first, second, budget=6)
    assert found.passage.text == "One is this. Two is that. "
    assert found.passage.heading_path == ("Part 1",)
    assert [s.heading_path for s in found.passage.sentences] == [("Part 0",), ("Part 1",)]


def test_the_best_hit_of_a_passage_is_the_one_it_was_found_by() -> None:
    (chunk,) = note(["One is this. ", "Two is that. "])
    ranked = hits((chunk, 1), (chunk, 0))
    (found,) = chosen(ranked, chunk, budget=6)
    assert found.hit == ranked[0]
    assert found.best == chunk.sentences[1]


def test_sentences_apart_stay_apart_best_first() -> None:
    (chunk,) = note(["One is this. ", FILL[0], "Three is all. "])
    found = chosen(hits((chunk, 2), (chunk, 0)), chunk, budget=6)
    assert texts(found) == ["Three is all. ", "One is this. "]


def test_the_first_sentence_is_always_taken_and_alone_when_it_fills_the_budget() -> None:
    (chunk,) = note(["One is this. ", "Two is that. ", FILL[0], "Hm. "])
    assert texts(chosen(hits((chunk, 0), (chunk, 3)), chunk, budget=2)) == ["One is this. "]
    assert texts(chosen(hits((chunk, 0), (chunk, 3)), chunk, budget=3)) == ["One is this. "]


def test_a_sentence_that_is_too_long_is_passed_over_for_a_shorter_one() -> None:
    (chunk,) = note(
        ["One is this. ", FILL[0], "A sentence that is far too long. ", FILL[1], "So. "]
    )
    found = chosen(hits((chunk, 0), (chunk, 2), (chunk, 4)), chunk, budget=4)
    assert texts(found) == ["One is this. ", "So. "]


def test_only_so_many_sentences_are_passed_over_before_the_search_ends() -> None:
    long = ["A sentence that is far too long for it. "] * (_PASSED_OVER + 1)
    (chunk,) = note(["One is this. ", FILL[0], *long, FILL[1], "So. "])
    last = len(chunk.sentences) - 1
    tried = [(chunk, number) for number in range(2, 2 + _PASSED_OVER)]
    one_more = (chunk, 2 + _PASSED_OVER)
    assert texts(chosen(hits((chunk, 0), *tried, (chunk, last)), chunk, budget=4)) == [
        "One is this. ",
        "So. ",
    ]
    assert texts(chosen(hits((chunk, 0), *tried, one_more, (chunk, last)), chunk, budget=4)) == [
        "One is this. "
    ]


def test_nothing_widens_where_a_sentence_that_ranks_was_passed_over() -> None:
    (chunk,) = note(["One is this. ", "Hm. ", FILL[0], "A sentence that is far too long. "])
    assert texts(chosen(hits((chunk, 0)), chunk, budget=4)) == ["One is this. Hm. "]
    assert texts(chosen(hits((chunk, 0), (chunk, 3)), chunk, budget=4)) == ["One is this. "]


def test_what_says_nearly_the_same_is_left_out() -> None:
    said = "A steel frame outlives its rider, and it is easy to mend with a torch at home. "
    one, other = note([said], name="a"), note([said.upper()], name="b")
    third = note(["Aluminium is light. "], name="c")
    ranked = hits((one[0], 0), (other[0], 0), (third[0], 0))
    assert texts(chosen(ranked, *one, *other, *third, budget=100)) == [
        said,
        "Aluminium is light. ",
    ]


def test_short_sentences_may_be_alike() -> None:
    one = note(["For example: ", FILL[0], "Oil the chain. "], name="a")
    other = note(["For example: ", FILL[1], "Wax the chain. "], name="b")
    ranked = hits((one[0], 0), (other[0], 0))
    assert texts(chosen(ranked, *one, *other, budget=4)) == ["For example: "] * 2


def test_where_scores_tie_documents_that_were_not_heard_come_first() -> None:
    (one,) = note(["One is this. ", FILL[0], "Three is all. "], name="a")
    (other,) = note(["Other is so. "], name="b")
    tied = hits((one, 0, 1.0), (one, 2, 1.0), (other, 0, 1.0))
    assert sorted(texts(chosen(tied, one, other, budget=6))) == ["One is this. ", "Other is so. "]
    apart = hits((one, 0, 1.0), (one, 2, 0.9), (other, 0, 0.8))
    assert texts(chosen(apart, one, other, budget=6)) == ["One is this. ", "Three is all. "]


def test_to_look_at_there_are_whole_chunks_each_with_its_best_sentence() -> None:
    one, two = (
        chunk for title in "AB" for chunk in note(["Tea is hot. ", "Ice is cold. "], name=title)
    )
    held = {one.id: one, two.id: two}
    found = browse(hits((one, 1), (one, 0), (two, 0)), held, limit=5)
    assert texts(found) == [one.text]  # the other says the same
    assert (found[0].best, found[0].passage.tokens) == (one.sentences[1], one.tokens)


def test_to_look_at_there_are_at_most_so_many() -> None:
    chunks = [chunk for n in range(4) for chunk in note([f"Note {n}. "], name=f"n{n}")]
    held = {chunk.id: chunk for chunk in chunks}
    found = browse(hits(*((chunk, 0) for chunk in chunks)), held, limit=3)
    assert texts(found) == [chunk.text for chunk in chunks[:3]]


def test_a_passage_widens_within_its_chunk_while_tokens_are_left() -> None:
    first, second = note(["One is this. ", "Two is that. ", "Three is all. "], ["Four is it. "])
    ranked = hits((first, 1))
    assert texts(chosen(ranked, first, second, budget=5)) == ["Two is that. "]
    assert texts(chosen(ranked, first, second, budget=6)) == ["One is this. Two is that. "]
    for budget in (9, 100):
        (found,) = chosen(ranked, first, second, budget=budget)
        assert found.passage.text == first.text
        assert found.best == first.sentences[1]


def test_the_best_passage_widens_first() -> None:
    (one,) = note(["One is this. ", "Two is that. "], name="a")
    (other,) = note(["Three is all. ", "Four is it. "], name="b")
    found = chosen(hits((other, 0), (one, 0)), one, other, budget=9)
    assert texts(found) == ["Three is all. Four is it. ", "One is this. "]


def test_hits_of_chunks_that_are_gone_are_passed_over() -> None:
    one, other = note(["One is this. "], name="a"), note(["Other is so. "], name="b")
    ranked = hits((one[0], 0), (other[0], 0))
    assert texts(chosen(ranked, *other, budget=100)) == ["Other is so. "]
    assert chosen(ranked, budget=100) == ()


def test_statements_are_spans_of_the_document_within_the_passage() -> None:
    first, second = note(["One is this. "], ["Two is that. ", "Three is all. "])
    (found,) = chosen(hits((second, 1)), first, second, budget=3)
    assert [found.passage.quote(s.start, s.end) for s in found.passage.sentences] == [
        "Three is all."
    ]


SENTENCES = st.lists(st.text("ab \n", min_size=1, max_size=12), min_size=1, max_size=5)
DOCUMENTS = st.lists(st.lists(SENTENCES, min_size=1, max_size=3), min_size=1, max_size=3)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[Chunk], list[FusedHit]]:
    """Documents, and some of their sentences, best first, with ties."""
    notes = enumerate(draw(DOCUMENTS))
    chunks = [chunk for name, pieces in notes for chunk in note(*pieces, name=str(name))]
    every = [(chunk, number) for chunk in chunks for number in range(len(chunk.sentences))]
    picked = draw(st.lists(st.sampled_from(every), unique_by=lambda each: (each[0].id, each[1])))
    scores = sorted(draw(st.tuples(*(st.integers(0, 5) for _ in picked))), reverse=True)
    return chunks, hits(*((*each, float(s)) for each, s in zip(picked, scores, strict=True)))


def first_taken(ranked: Sequence[FusedHit], chunks: Mapping[str, Chunk]) -> int:
    """Length of the best hit's sentence."""
    start, end = chunks[ranked[0].sentence.chunk].sentences[ranked[0].sentence.number]
    return end - start


@given(given=rankings(), budget=st.integers(1, 120))
def test_passages_are_exact_spans_that_do_not_overlap_and_fit_the_budget(
    given: tuple[list[Chunk], list[FusedHit]], budget: int
) -> None:
    chunks, ranked = given
    found = chosen(ranked, *chunks, budget=budget, count=len)
    whole: dict[str, str] = {}
    for chunk in chunks:
        whole[chunk.document.id] = whole.get(chunk.document.id, "") + chunk.text
    passages = [each.passage for each in found]
    for passage in passages:
        assert passage.text == whole[passage.document.id][passage.start : passage.end]
        assert passage.tokens == len(passage.text)
    for one, other in combinations(passages, 2):
        assert one.document != other.document or one.end < other.start or other.end < one.start
    used = sum(len(passage.text) for passage in passages)
    held = {chunk.id: chunk for chunk in chunks}
    assert bool(found) == bool(ranked)
    assert not ranked or used <= max(budget, first_taken(ranked, held))
    for each in found:
        assert each.hit in ranked
        assert each.passage.start <= each.best[0] < each.best[1] <= each.passage.end
    assert [each.hit.score for each in found] == sorted(
        (each.hit.score for each in found), reverse=True
    )
