"""Text is given away as soon as it is certain, and nothing of a stop sequence ever."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.infrastructure.decoding.growing_text import GrowingText


def decoded(ids: Sequence[int]) -> str:
    """Tokens are bytes, as in the worst of vocabularies."""
    return bytes(ids).decode(errors="replace")


def spoken(text: str, *, stop: Sequence[str] = ()) -> list[str]:
    """What is given away at each token and at the end."""
    growing = GrowingText(decoded, stop=stop)
    given_away = []
    for token in text.encode():
        given_away.append(growing.add(token))
        if growing.stopped:
            return given_away
    return [*given_away, growing.end()]


@given(st.text(max_size=40))
def test_all_of_it_is_the_text_whatever_its_characters_are_made_of(text: str) -> None:
    assert "".join(spoken(text)) == text


def test_a_character_of_several_tokens_comes_when_it_is_whole() -> None:
    assert spoken("né€!") == ["n", "", "é", "", "", "€", "!", ""]


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_what_is_said_ends_before_the_stop_sequence_that_is_complete_first(
    text: str, stop: list[str]
) -> None:
    ends = [text.find(each) + len(each) for each in stop if each in text]
    seen = text[: min(ends)] if ends else text
    cuts = [seen.find(each) for each in stop if each in seen]
    assert "".join(spoken(text, stop=stop)) == (text[: min(cuts)] if cuts else text)


@pytest.mark.parametrize("stop", ["wide", "s wide", " "])
def test_what_may_begin_a_stop_sequence_is_held_back(stop: str) -> None:
    given_away = "".join(spoken("the sea is wide", stop=(stop,)))
    assert given_away == "the sea is wide".partition(stop)[0]


def test_what_only_looked_like_one_is_given_back_at_the_end() -> None:
    assert "".join(spoken("over the sea is", stop=("is wide",))) == "over the sea is"


def test_a_half_character_at_the_end_is_shown_as_such() -> None:
    growing = GrowingText(decoded, stop=())
    assert growing.add(ord("n")) == "n"
    assert growing.add(0xC3) == ""
    assert growing.end() == "\ufffd"


def test_a_tokenizer_that_writes_spaces_only_between_tokens_keeps_them() -> None:
    words = ["the", "sea", "is", "wide"]
    growing = GrowingText(lambda ids: " ".join(words[each] for each in ids), stop=())
    assert "".join(growing.add(token) for token in range(4)) + growing.end() == "the sea is wide"
