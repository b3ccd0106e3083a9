"""Cleaning removes furniture and noise, and never a word, mark or line of code of the author's."""

import pytest
from hypothesis import given

from llm_engineering.application.clean import clean, clean_text
from tests.unit.writing import ANY_TEXT, MARKDOWN, document

VOICE = "'’‘ʼ`\"“”„«»‹›…—–"


@given(MARKDOWN)
def test_every_apostrophe_quote_and_dash_survives(text: str) -> None:
    cleaned = clean_text(text, furniture=False)
    assert [c for c in cleaned if c in VOICE] == [c for c in text if c in VOICE]


@given(MARKDOWN)
def test_no_word_is_lost_from_a_file(text: str) -> None:
    noise = dict.fromkeys([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0xAD, 0x200B, 0xFEFF])
    expected = text.replace("\r", "\n").translate(noise).split()
    assert clean_text(text, furniture=False).translate(noise).split() == expected


@given(ANY_TEXT.filter(lambda code: not {"\r", "\0"} & set(code) and "~~~" not in code))
def test_a_code_block_survives_character_by_character(code: str) -> None:
    text = f"Before.\n\n~~~\n{code}\n~~~\n\nAfter."
    assert clean_text(text, furniture=True) == text


@given(ANY_TEXT)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean_text(text, furniture=True)
    assert clean_text(once, furniture=True) == once


@given(MARKDOWN)
def test_cleaning_markdown_twice_is_cleaning_once(text: str) -> None:
    once = clean_text(text, furniture=True)
    assert clean_text(once, furniture=True) == once


@pytest.mark.parametrize(
    "line",
    ["Sign in", "Share this post", "[Skip to content](#main)", "Accept all cookies", "5 min read"],
)
def test_page_furniture_goes_from_web_pages_only(line: str) -> None:
    text = f"I don't share it.\n\n{line}\n\nBut I'd sign in twice."
    page = clean(document(text, source="web:ada.example"))
    note = clean(document(text, source="files:notes"))
    assert page.text == "I don't share it.\n\nBut I'd sign in twice."
    assert note.text == text


@pytest.mark.parametrize(
    "line",
    [
        "I sign in every day.",
        "- Search",
        "Share what you know",
        "Next",
        "Comments are closed to me",
    ],
)
def test_what_an_author_may_write_stays(line: str) -> None:
    assert clean_text(f"Before.\n\n{line}\n\nAfter.", furniture=True).split("\n\n")[1] == line


def test_furniture_inside_a_code_block_stays() -> None:
    text = "```\nSign in\n\n\n\nShare this  \n```"
    assert clean_text(text, furniture=True) == text


def test_windows_newlines_trailing_blanks_and_empty_runs_go() -> None:
    assert clean_text("\ufeffOne  \r\n\r\n\r\n\r\nTwo\r\n", furniture=False) == "One\n\nTwo"


def test_nothing_but_white_space_is_an_empty_text() -> None:
    assert clean_text(" \n\t\n\u3000\n", furniture=False) == ""
