"""Marks in a generated answer become citations that can be checked, numbered as they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.citing import CitingText, cited
from llm_engineering.domain.chat import Citation, Passage, Sentence
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from tests.unit.writing import document

SPARSE = Bm25Encoder()
TEA = "I never boil green tea. Water of 80 degrees keeps it sweet."
BIKES = "A steel frame outlives its rider. I oil the chain every second Sunday.\n"


def passage(text: str, *, title: str, cut: int) -> Passage:
    return Passage(
        document=document(text, url=f"https://ada.example/{title}", title=title).ref(),
        start=10,
        end=10 + len(text),
        text=text,
        sentences=(
            Sentence(start=10, end=10 + cut, heading_path=("First",)),
            Sentence(start=11 + cut, end=10 + len(text.rstrip()), heading_path=("Second",)),
        ),
        tokens=9,
        score=1,
    )


PASSAGES = (passage(TEA, title="tea", cut=23), passage(BIKES, title="bikes", cut=33))


def cite(text: str) -> tuple[str, tuple[Citation, ...]]:
    return cited(text, PASSAGES, sparse=SPARSE)


def test_marks_count_through_the_citations_in_their_order() -> None:
    text, citations = cite("I oil the chain on Sundays [2]. Tea is never boiled [1].")
    assert text == "I oil the chain on Sundays [1]. Tea is never boiled [2]."
    assert [c.quote for c in citations] == [
        "I oil the chain every second Sunday.",
        "I never boil green tea.",
    ]
    assert [c.heading_path for c in citations] == [("Second",), ("First",)]


def test_a_mark_behind_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    _, citations = cite("Tea first. Keep the water at 80 degrees. [1]")
    assert [c.quote for c in citations] == ["Water of 80 degrees keeps it sweet."]


def test_one_statement_is_one_citation_and_two_are_two() -> None:
    text, citations = cite(
        "Never boil green tea [1]. Green tea: never boil it [1]. 80 degrees [1]."
    )
    assert text == "Never boil green tea [1]. Green tea: never boil it [1]. 80 degrees [2]."
    assert len(citations) == 2


def test_several_passages_may_stand_behind_one_claim() -> None:
    text, citations = cite("A frame outlives tea [1, 2][2].")
    assert text == "A frame outlives tea [1][2][2]."
    assert {c.title for c in citations} == {"tea", "bikes"}


def test_what_shares_no_word_cites_the_whole_passage() -> None:
    _, (citation,) = cite("Cycling lasts [2].")
    assert citation.quote == BIKES.rstrip()
    assert citation.end - citation.start == len(citation.quote)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Tea [7].", "Tea."),
        ("Tea [0] is sweet [3].", "Tea is sweet."),
        ("In 1990 [1990] or [a].", "In 1990 [1990] or [a]."),
        ("See [1](https://ada.example).", "See [1](https://ada.example)."),
        ("Take `row[1]` or\n```\nx = [1]\n```\n", "Take `row[1]` or\n```\nx = [1]\n```\n"),
        ("No mark.", "No mark."),
    ],
)
def test_what_points_at_no_passage_is_no_citation(said: str, shown: str) -> None:
    assert cite(said) == (shown, ())


@given(st.lists(st.sampled_from(["[1]", "[2]", "[3, 1]", "tea", "chain", ". ", "`[1]`", "\n"])))
def test_every_number_that_is_left_has_its_citation(pieces: list[str]) -> None:
    text, citations = cite(" ".join(pieces))
    plain = text.replace("`[1]`", "")
    assert {f"[{n}]" for n in range(1, len(citations) + 1)} == {
        mark for mark in plain.replace("]", "] ").split() if mark.startswith("[")
    }
    for citation in citations:
        whole = next(p for p in PASSAGES if p.document.id == citation.document_id)
        assert whole.quote(citation.start, citation.end) == citation.quote


PIECES = ["[1]", "[2]", "[3, 1]", "[", "]", "1", "(x)", " ", "tea", ". ", "`", "``", "```", "\n"]


@given(st.lists(st.sampled_from(PIECES)))
def test_text_in_pieces_becomes_what_it_becomes_as_a_whole(pieces: list[str]) -> None:
    citing = CitingText(PASSAGES, sparse=SPARSE)
    shown = "".join([citing.feed(piece) for piece in pieces])
    assert (shown + citing.end(), citing.citations) == cite("".join(pieces))


def test_only_what_may_still_change_is_held_back() -> None:
    citing = CitingText(PASSAGES, sparse=SPARSE)
    fed = ["Never boil", " tea [", "1", "]", ". A", "\n```\nlong", " code [1]\n", "```", " end"]
    assert [citing.feed(piece) for piece in fed] == [
        "Never boil",
        " tea",
        "",
        "",
        " [1]. A",
        "\n```\nlong",
        " code [1]\n",
        "```",
        " end",
    ]
    assert citing.end() == ""
