"""What is ranked touches, covers the chunk, is short, and follows the structure of the text."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_engineering.application.chunk import ChunkRule, TokenSpans, chunk
from llm_engineering.application.clean import clean
from llm_engineering.application.markdown import blocks
from llm_engineering.application.units import JOINED_CHARACTERS, MAX_TOKENS, unit_starts
from llm_engineering.domain.chunks import Span
from tests.unit.writing import ANY_TEXT, MARKDOWN, document, word_spans

RULE = ChunkRule(max_tokens=120, min_tokens=4)


def units(text: str, *, token_spans: TokenSpans = word_spans) -> list[str]:
    """What is ranked of a text, white space at the edges left out."""
    tokens = [start for start, _ in token_spans([text])[0]]
    starts = unit_starts(
        text,
        blocks(text),
        language="en",
        tokens_in=lambda a, b: [start for start in tokens if a <= start < b],
    )
    return [text[a:b].strip() for a, b in pairwise([*starts, len(text)])]


def no_tokens(texts: Sequence[str]) -> list[list[Span]]:
    return [[] for _ in texts]


def length(text: str) -> int:
    return len(word_spans([text])[0])


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))


LONG_WORDS = " ".join(["word"] * 55 + ["x" * 40] + ["word"] * 55)


@given(st.one_of(MARKDOWN, ANY_TEXT), st.sampled_from([16, 40, 120]))
@example(LONG_WORDS, 120)
@example("x" * 4000, 120)
@example("```\n    " + "x" * 480 + "\n```", 120)
@example("```\n" + "    a = b\n" * 50 + "```", 16)
def test_sentences_touch_cover_their_chunk_and_are_short(text: str, limit: int) -> None:
    whole = clean(document(text))
    rule = ChunkRule(max_tokens=limit, min_tokens=4)
    (pieces,) = chunk([whole], rule=rule, token_spans=word_spans)
    for piece in pieces:
        assert piece.sentences[0][0] == piece.start
        assert piece.sentences[-1][1] == piece.end
        assert all(a < b for a, b in piece.sentences)
        assert all(b == c for (_, b), (c, _) in pairwise(piece.sentences))
        sentences = [whole.text[a:b] for a, b in piece.sentences]
        assert all(length(sentence) <= MAX_TOKENS for sentence in sentences[1:-1])
        # What says nothing by itself may be added at the edges of a chunk.
        assert all(letters(sentence) < 4 * MAX_TOKENS + 2 * 10 for sentence in sentences)
        assert all(sentence.strip() for sentence in sentences) or not piece.text.strip()


@given(MARKDOWN)
def test_units_start_in_order_and_nothing_but_white_space_stands_outside(text: str) -> None:
    body = clean(document(text)).text
    found = units(body)
    assert all(found)
    assert "".join("".join(found).split()) == "".join(body.split())


def test_each_sentence_of_prose_is_a_unit_of_its_own() -> None:
    text = "One thing is said. Another is asked, is it?\n\n> A third is quoted. A fourth as well."
    assert units(text) == [
        "One thing is said.",
        "Another is asked, is it?",
        "> A third is quoted.",
        "A fourth as well.",
    ]


def test_what_says_too_little_joins_the_next_sentence_or_else_the_last() -> None:
    assert units("So? That is what was asked. No.") == ["So? That is what was asked. No."]
    assert units("1. Yes.\n\nAnother paragraph. Oh.") == ["1. Yes.", "Another paragraph. Oh."]


def test_a_heading_is_one_unit() -> None:
    assert units("# Mr. Smith. And others! Who else?\n\nA sentence.") == [
        "# Mr. Smith. And others! Who else?",
        "A sentence.",
    ]


def test_lines_of_a_list_stand_apart_and_so_do_the_sentences_in_them() -> None:
    text = "- the first item\n  - a nested item\n- The second one. It has two of them.\n"
    assert units(text) == [
        "- the first item",
        "- a nested item",
        "- The second one.",
        "It has two of them.",
    ]


@pytest.mark.parametrize(
    ("first", "line", "last"),
    [
        ("```\n", "value_{n:03} = {n:03}\n", "```"),
        ("| n | m |\n|---|---|\n", "| {n:03} | m |\n", ""),
    ],
)
def test_lines_of_code_and_of_tables_are_joined_up_to_a_length(
    first: str, line: str, last: str
) -> None:
    text = first + "".join(line.format(n=n) for n in range(80)) + last
    found = units(text, token_spans=no_tokens)
    assert len(found) > 3
    assert "\n".join(found) == text.strip()
    for one, other in pairwise(found):
        assert len(one) + 1 <= JOINED_CHARACTERS
        assert len(one) + 1 + len(other.partition("\n")[0]) + 1 > JOINED_CHARACTERS


def test_a_line_longer_than_that_is_not_joined_with_others() -> None:
    line = "x = [" + "1, " * 81 + "]"
    assert len(line) > JOINED_CHARACTERS
    assert units(f"```\nfirst_name = 1\n{line}\nb = 2\n```")[0] == "```\nfirst_name = 1"


def test_a_sentence_too_long_is_cut_at_words_into_even_parts() -> None:
    text = "word " * 150
    assert [length(unit) for unit in units(text)] == [50, 50, 50]


def test_a_long_word_at_the_cut_does_not_make_the_next_part_too_long() -> None:
    found = units(LONG_WORDS)
    assert " ".join(found) == LONG_WORDS
    assert max(map(length, found)) <= MAX_TOKENS


def test_a_word_longer_than_a_unit_is_cut_inside() -> None:
    found = units("x" * 4 * (MAX_TOKENS + 1))
    assert len(found) == 2
    assert max(map(length, found)) <= MAX_TOKENS


def test_nothing_starts_in_white_space() -> None:
    assert units("") == []
    assert units("\n\n  \n") == []
    assert units("\n\n  One thing. \n\n\n Two.") == ["One thing.", "Two."]
