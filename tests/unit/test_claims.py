"""What claims nothing is not checked, and offsets are those of the answer's text."""

import pytest

from llm_engineering.application.rag.claims import claims


def claimed(text: str) -> list[str]:
    return [text[a:b] for a, b in claims(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("I never boil green tea [1].", ["I never boil green tea [1]."]),
        (
            "I never boil green tea. [1] It burns the leaves. [2]",
            ["I never boil green tea.", "It burns the leaves."],
        ),
        ("“I never boil green tea.” [1]", ["“I never boil green tea.”"]),
        (
            "“I never boil green tea.” [1] Every leaf would burn.",
            ["“I never boil green tea.”", "Every leaf would burn."],
        ),
        ("# Why I never boil it\n\nBoiling burns the leaves.", ["Boiling burns the leaves."]),
        ("```\nI never boil green tea.\n```\n", []),
        ("Run this:\n\n```\nmake tea\n```\n\nThe leaves stay sweet.", ["The leaves stay sweet."]),
        ("Would you boil green tea?", []),
        ("Sure! Here is what I wrote:\n\n- The leaves stay sweet.", ["The leaves stay sweet."]),
        ("1. Heat the water slowly.\n2. Pour it over the leaves.", None),
        ("> I never boil green tea.", ["I never boil green tea."]),
        ("Yes. No.", []),
    ],
)
def test_these_sentences_claim_something(text: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = ["Heat the water slowly.", "Pour it over the leaves."]
    assert claimed(text) == expected


def test_offsets_count_code_points_not_bytes() -> None:
    text = "🍵 naïve: I never boil green tea. Boiling burns the leaves 🔥 quickly."
    assert claimed(text)[-1] == "Boiling burns the leaves 🔥 quickly."


@pytest.mark.parametrize(
    "hostile", ["[a](x " + " " * 400_000 + '"', "a" + " " * 400_000 + "b", "[1" + " " * 400_000]
)
def test_a_long_run_of_white_space_is_read_once(hostile: str) -> None:
    assert len(claims(hostile)) <= 1
