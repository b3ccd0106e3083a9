"""Pairs to tune an embedder with: anchors taken out, documents held out whole, nothing repeated."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.chunk import ChunkRule, chunk
from llm_engineering.application.clean import clean
from llm_engineering.application.embedder_pairs import (
    MIN_LETTERS,
    TOO_NEAR,
    TuneEmbedderConfig,
    distinct_passages,
    held_out_documents,
    pairs_of,
    tuning_job,
    with_hard_negatives,
)
from llm_engineering.domain.chunks import Chunk
from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.jobs import TuneEmbedderJob, TuningPair
from llm_engineering.domain.vectors import Floats
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from tests.unit.writing import MARKDOWN, document, word_spans

RULE = ChunkRule(max_tokens=60, min_tokens=8)
EMBEDDER = HashEmbedder(dimension=64)
TEA = """# How I brew tea

I never boil the water for green leaves. Eighty degrees keeps the cup sweet, and a minute is plenty.

## The right pot

An unglazed pot remembers every brew, so keep one pot for each kind and never wash it with soap.
"""


def cut(*documents: Document) -> list[list[Chunk]]:
    return chunk([clean(each) for each in documents], rule=RULE, token_spans=word_spans)


def note(number: int, text: str, *, title: str | None = None) -> Document:
    return document(
        text, url=f"https://ada.example/{number}", title=title or f"Note number {number}"
    )


def many(count: int) -> list[Document]:
    """Notes on one sort of thing each, none like another."""
    rng = np.random.default_rng(3)
    words = [f"{a}{b}" for a in ("mor", "lin", "tas", "vek", "ruh") for b in ("ga", "po", "di")]
    return [
        note(
            number,
            f"The matter of {number} comes first here. "
            + " ".join(f"{word}{number}" for word in rng.choice(words, size=20)),
        )
        for number in range(count)
    ]


def job_of(documents: Sequence[Document], **config: object) -> TuneEmbedderJob:
    return tuning_job(
        cut(*documents),
        config=TuneEmbedderConfig.model_validate({"min_held_out": 2, **config}),
        embedder=EMBEDDER,
        base="base",
        output=Path("out"),
    )


def anchors(*documents: Document) -> dict[str, str]:
    return {pair.anchor: pair.text for pair in pairs_of(distinct_passages(cut(*documents)))}


def test_title_heading_and_first_statement_name_a_passage_that_lacks_them() -> None:
    found = anchors(note(1, TEA, title="How I brew tea"))

    assert list(found) == [
        "How I brew tea",
        "I never boil the water for green leaves.",
        "The right pot",
    ]
    assert found["How I brew tea"].startswith("I never boil the water")
    assert "I never boil" not in found["I never boil the water for green leaves."]
    assert found["The right pot"].startswith("An unglazed pot")


def test_the_target_of_a_link_is_no_part_of_an_anchor() -> None:
    text = "I wrote about [slow tea](https://ada.example/slow) at last. " + "It took a while. " * 5

    assert "I wrote about slow tea at last." in anchors(note(1, text))


def test_an_anchor_that_two_documents_share_belongs_to_neither() -> None:
    one, other = (
        note(number, f"# Setup\n\n{words} and a few more words to make it a passage of its own.")
        for number, words in enumerate(("First the kettle", "First the compiler"))
    )

    assert {"Setup", "Note number 0"} & set(anchors(one)) == {"Setup", "Note number 0"}
    assert "Setup" not in anchors(one, other)
    assert "Note number 0" in anchors(one, other)


def test_a_passage_that_is_next_to_nothing_without_its_anchor_gives_no_pair() -> None:
    statement, rest = "I have nothing to add to this.", "a" * (MIN_LETTERS - 1)

    assert statement not in anchors(note(1, f"{statement} {rest}"))
    assert anchors(note(1, f"{statement} {rest}a"))[statement] == f"{rest}a"


@given(st.lists(MARKDOWN, min_size=1, max_size=4))
def test_every_pair_is_of_its_own_document_and_says_enough(texts: list[str]) -> None:
    passages = distinct_passages(cut(*(note(n, text) for n, text in enumerate(texts))))

    for pair in pairs_of(passages):
        assert passages[pair.passage].document.id == pair.document
        assert pair.anchor == " ".join(pair.anchor.split()) != ""
        assert sum(map(str.isalnum, pair.text)) >= MIN_LETTERS
        assert len(pair.text) <= len(passages[pair.passage].text)


def test_a_document_stays_on_its_side_while_others_come_and_go() -> None:
    documents = cut(*many(60))
    chosen = held_out_documents(documents, share=0.3)
    some = documents[::2]

    assert 8 <= len(chosen) <= 28
    assert held_out_documents(some, share=0.3) == chosen & {c[0].document.id for c in some}


def test_near_duplicate_documents_are_on_one_side() -> None:
    originals = many(30)
    copies = [note(100 + number, f"{each.text} Reposted.") for number, each in enumerate(originals)]
    ordered = sorted(cut(*originals, *copies), key=lambda chunks: chunks[0].document.id)
    held_out = held_out_documents(ordered, share=0.4)

    assert 0 < len(held_out) < 60
    for original, copy in zip(originals, copies, strict=True):
        assert (original.id in held_out) == (copy.id in held_out)


def test_a_repeated_passage_is_ranked_once() -> None:
    first, again = note(1, TEA), note(2, TEA)

    assert distinct_passages(cut(first, again)) == cut(first)[0]


class Placed:
    """An embedder whose vectors are given; only `embed` is asked of it."""

    name, dimension, window = "placed", 2, 100

    def __init__(self, angles: dict[str, float]) -> None:
        self._angles = angles

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        raise AssertionError("no text is cut here")

    def embed(self, texts: Sequence[str]) -> Floats:
        angles = np.radians([self._angles[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def placed(angles: dict[str, float], *, count: int, own: str = "own") -> list[tuple[str, ...]]:
    """The negatives of an anchor at 0 degrees whose passage is 'right'."""
    passages = [
        piece.model_copy(
            update={"text": text, "document": note(0 if text in ("right", own) else n, "x").ref()}
        )
        for n, text in enumerate(angles, start=1)
        for piece in cut(note(n, "x"))[0]
    ]
    pair = TuningPair(
        document=passages[0].document.id,
        anchor="anchor",
        text="t",
        passage=list(angles).index("right"),
    )
    found = with_hard_negatives(
        [pair],
        passages=passages,
        among=range(len(passages)),
        count=count,
        embedder=Placed({"anchor": 0.0, **angles}),
    )
    return [tuple(passages[position].text for position in each.negatives) for each in found]


def test_hard_negatives_are_the_nearest_passages_of_other_documents() -> None:
    angles = {"right": 30.0, "own": 50.0, "far": 120.0, "near": 55.0, "middle": 70.0}

    assert placed(angles, count=2) == [("near", "middle")]


def test_what_may_be_right_as_well_is_no_negative() -> None:
    nearer_than_right, like_right = 10.0, 30.0 + np.degrees(np.arccos(TOO_NEAR)) - 1

    assert placed({"right": 30.0, "nearer": -nearer_than_right, "far": 90.0}, count=1) == [("far",)]
    assert placed({"right": 30.0, "like": like_right, "far": 90.0}, count=1) == [("far",)]


def test_a_pair_with_too_few_hard_negatives_is_left_out() -> None:
    assert placed({"right": 30.0, "far": 90.0}, count=2) == []
    assert placed({"right": 30.0, "far": 90.0}, count=0) == [()]


def test_the_job_is_the_same_in_whatever_order_documents_come() -> None:
    documents = many(40)

    assert job_of(documents) == job_of(documents[::-1])


def test_nothing_of_a_held_out_document_is_trained_on() -> None:
    job = job_of(many(40), negatives=2)
    held_out = {pair.document for pair in job.held_out}
    theirs = {pair.passage for pair in job.held_out}

    assert held_out
    assert held_out.isdisjoint(pair.document for pair in job.train)
    assert {len(pair.negatives) for pair in job.train} == {2}
    assert theirs.isdisjoint(number for pair in job.train for number in pair.negatives)


@pytest.mark.parametrize(
    ("count", "share", "what"), [(0, 0.2, "0 held-out"), (40, 0.99, "training")]
)
def test_too_little_writing_is_refused_with_the_number_needed(
    count: int, share: float, what: str
) -> None:
    with pytest.raises(InvalidInput, match=what) as refused:
        job_of(many(count), min_held_out=20, held_out_share=share)

    assert "20 are needed" in str(refused.value)
    assert "\n" not in str(refused.value)
