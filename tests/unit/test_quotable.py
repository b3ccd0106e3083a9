"""Only the author's own statements can be quoted, exactly as they stand."""

import pytest

from llm_engineering.application.markdown import blocks
from llm_engineering.application.quotable import quotable


def quotes(text: str) -> list[str]:
    return [text[a:b] for a, b in quotable(text, blocks(text), language="en")]


def test_paragraphs_and_list_items_can_be_quoted() -> None:
    text = "A sentence that says it. Another one says more.\n\n- an item that says more\n"
    assert quotes(text) == [
        "A sentence that says it.",
        "Another one says more.",
        "an item that says more",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# A heading that is long enough",
        "```\ncode that is not prose at all\n```",
        "| a table | of many things |\n|---|---|\n| one | two |",
        "> Somebody else wrote these words.",
        "- an item\n  > with the words of somebody else",
        "1. > the words of somebody else again",
        "- an item\n\n  ```\n  with code in it\n  ```",
        "Why does it keep all of them?",
        "**Why does it keep all of them?**",
        "[Details](https://ada.example/why-it-keeps-them)",
        "![A picture of the old harbour](harbour.png)",
        "[reference]: https://ada.example/a-long-address",
        "{% include a-template-of-the-site.html %}",
        "See also:",
    ],
)
def test_what_is_no_statement_of_the_author_cannot_be_quoted(text: str) -> None:
    assert quotes(text) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "-5 degrees Celsius was the lowest we saw.",
        "**Never** delete the pointer by hand.",
        "*Always* keep a second copy of it.",
        "#hashtags are nothing for me.",
        "3.5 litres of water are enough.",
    ],
)
def test_marks_that_mean_something_stay(sentence: str) -> None:
    assert quotes(sentence) == [sentence]
    assert quotes(f"- {sentence}") == [sentence]


def test_prose_after_a_long_code_block_is_quotable_and_its_code_is_not() -> None:
    code = "\n".join(f"run_something_number_{n} --with words" for n in range(60))
    text = f"```\n{code}\n```\n\nAfterwards, restart the server by hand."
    assert quotes(text) == ["Afterwards, restart the server by hand."]


def test_inline_code_is_never_cut() -> None:
    text = "You can use `!$` as a way to reference the last argument. It is short."
    assert quotes(text)[0] == "You can use `!$` as a way to reference the last argument."
