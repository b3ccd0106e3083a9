"""Chunks are exact spans, cover the text, follow its structure, and fit the window."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_engineering.application.chunk import ChunkRule, chunk
from llm_engineering.application.clean import clean
from llm_engineering.domain.chunks import Chunk
from tests.unit.writing import ANY_TEXT, MARKDOWN, document, word_spans

SMALL = ChunkRule(max_tokens=16, min_tokens=4)


def chunks(text: str, rule: ChunkRule = SMALL) -> list[Chunk]:
    (pieces,) = chunk([document(text)], rule=rule, token_spans=word_spans)
    return pieces


def cut(text: str, rule: ChunkRule = SMALL) -> list[str]:
    return [piece.text for piece in chunks(text, rule)]


@given(st.one_of(MARKDOWN, ANY_TEXT), st.integers(16, 80))
@example("a" * 1000, 16)
@example("\n\n# \n\n#\n", 16)
def test_chunks_are_exact_spans_that_cover_the_text_and_fit(text: str, limit: int) -> None:
    whole = clean(document(text))
    rule = ChunkRule(max_tokens=limit, min_tokens=4)
    pieces = chunks(whole.text, rule)
    assert "".join(piece.text for piece in pieces) == whole.text
    at = 0
    for piece in pieces:
        assert whole.text[piece.start : piece.end] == piece.text
        assert piece.start == at
        at = piece.end
        assert piece.tokens == len(word_spans([piece.text])[0]) <= limit
    assert len({piece.id for piece in pieces}) == len(pieces)


def test_how_a_document_is_cut_does_not_depend_on_the_others() -> None:
    texts = ["# One\n\nSome words about the first thing.", "", "x" * 500]
    together = chunk([document(text) for text in texts], rule=SMALL, token_spans=word_spans)
    assert together == [chunks(text) for text in texts]


def test_an_empty_document_has_no_chunk() -> None:
    assert cut("") == []


def test_a_new_section_starts_a_new_chunk() -> None:
    first = "# One\n\nSome words about the first thing.\n\n"
    second = "# Two\n\nSome words about the second thing."
    assert cut(first + second) == [first, second]


def test_a_section_too_short_to_stand_alone_joins_the_next() -> None:
    text = "# One\n\n## Sub\n\nWords that say something."
    assert cut(text) == [text]


def test_a_code_block_that_fits_is_kept_whole() -> None:
    code = "```\na = 1\n\nb = 2\n```\n"
    pieces = cut("Some words of prose before the code is shown.\n\n" + code)
    assert code in pieces


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentences = [f"Sentence number {n} is exactly here. " for n in range(1, 6)]
    pieces = cut("".join(sentences).strip())
    assert len(pieces) > 1
    assert all(piece.strip().endswith(".") for piece in pieces)


def test_a_long_code_block_is_cut_between_lines() -> None:
    code = "```\n" + "".join(f"line_{n} = {n}\n" for n in range(20)) + "```"
    assert all(piece.endswith(("\n", "```")) for piece in cut(code))


def test_parts_of_a_long_section_are_of_even_length() -> None:
    text = " ".join(f"Word{n} goes on." for n in range(12))
    sizes = [len(word_spans([piece])[0]) for piece in cut(text, ChunkRule(max_tokens=40))]
    assert max(sizes) - min(sizes) <= 12


def test_the_heading_path_names_the_sections_above() -> None:
    text = (
        "# Top\n\n## Left\n\n" + "Words of the left. " * 4 + "\n\n## Right\n\n" + "And right. " * 4
    )
    paths = [piece.heading_path for piece in chunks(text)]
    assert ("Top", "Left") in paths
    assert ("Top", "Right") in paths


def test_an_id_depends_on_the_text_of_its_chunk_only() -> None:
    text = "# One\n\nSome words about the first thing.\n\n# Two\n\nWords about the second thing."
    before, after = chunks(text), chunks(text + " More.")
    assert before[0].id == after[0].id
    assert before[1].id != after[1].id


def test_a_rule_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="min_tokens 50 is above max_tokens 20"):
        ChunkRule(max_tokens=20, min_tokens=50)


def test_statements_are_found_in_the_document_and_not_in_the_cut() -> None:
    code = "\n".join(f"run_something_number_{n} --with words" for n in range(60))
    text = f"```\n{code}\n```\n\nAfterwards, restart the server by hand."
    pieces = chunks(text)
    assert len(pieces) > 3
    assert [text[a:b] for piece in pieces for a, b in piece.statements] == [
        "Afterwards, restart the server by hand."
    ]


def test_a_character_of_several_tokens_is_never_cut_into_nothing() -> None:
    def thrice(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(at, at + 1) for at in range(len(text)) for _ in range(3)] for text in texts]

    text = "쥬" * 100
    (pieces,) = chunk([document(text)], rule=SMALL, token_spans=thrice)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text and piece.tokens <= 16 for piece in pieces)
