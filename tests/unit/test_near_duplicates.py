"""Near-duplicates are found whatever the order they came in, and nothing else is."""

import random

from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.near_duplicates import (
    THRESHOLD,
    jaccard,
    link_duplicates,
    shingles,
    signature,
)
from tests.unit.writing import ANY_TEXT

SIGNATURE_START = "GQnVAA5JcQAaHmQ1GpxSKbxt"
WORDS = [f"word{n}" for n in range(400)]


def link(texts: dict[str, str]) -> dict[str, str]:
    signatures = {key: signature(text) for key, text in texts.items()}
    return link_duplicates(texts, texts=texts, signatures=signatures)


def prose(seed: int, words: int = 120) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_a_copy_with_one_word_changed_is_linked_to_the_first() -> None:
    original = prose(1)
    copy = original.replace(original.split()[60], "another", 1)
    assert link({"first": original, "copy": copy, "other": prose(2)}) == {"copy": "first"}


def test_case_and_punctuation_do_not_hide_a_copy() -> None:
    text = prose(3)
    assert link({"a": text, "b": text.upper().replace(" ", ", ")}) == {"b": "a"}


def test_texts_that_share_half_their_words_are_both_kept() -> None:
    assert link({"a": prose(4) + " " + prose(5), "b": prose(4) + " " + prose(6)}) == {}


def test_a_chain_of_edits_links_each_to_one_that_stands_for_itself() -> None:
    texts, text = {}, prose(7)
    for step in range(12):
        texts[f"v{step:02}"] = text
        words = text.split()
        words[step * 9] = f"edit{step}"
        text = " ".join(words)
    links = link(texts)
    assert links
    assert not set(links.values()) & links.keys()
    for key, stands in links.items():
        assert jaccard(shingles(texts[key]), shingles(texts[stands])) >= THRESHOLD


def test_texts_without_a_word_are_never_duplicates() -> None:
    assert link({"a": "--- !", "b": "--- !"}) == {}


@given(st.lists(ANY_TEXT, max_size=8))
def test_equal_texts_always_meet_and_links_are_really_similar(texts: list[str]) -> None:
    named = {str(n): text for n, text in enumerate([*texts, *texts])}
    links = link(named)
    for n in range(len(texts), 2 * len(texts)):
        assert (str(n) in links) == bool(shingles(named[str(n)]))


def test_the_signature_is_the_same_in_every_process() -> None:
    assert signature("the quick brown fox jumps over the lazy dog")[:24] == SIGNATURE_START
