"""What of a document its author says, and what is left out."""

from collections import Counter

import pytest

from llm_engineering.application.datasets.outline import (
    Run,
    boilerplate_of,
    outline,
    own_part,
    plain,
)

LONG = "I bake sourdough on Sundays, because the week leaves me no time for it."
MORE = "My oven runs hot, so I turn it down by twenty degrees after ten minutes."


def runs(
    text: str, *, title: str = "Bread", boilerplate: frozenset[str] = frozenset()
) -> tuple[list[Run], Counter[str]]:
    dropped: Counter[str] = Counter()
    return outline(
        text, title=title, author="Ada Lovelace", boilerplate=boilerplate, dropped=dropped
    ), dropped


def said(text: str, *, title: str = "Bread") -> list[list[str]]:
    found, _ = runs(text, title=title)
    return [[text[each.start : each.end] for each in run.thoughts] for run in found]


def test_paragraphs_of_a_section_are_its_thoughts() -> None:
    assert said(f"{LONG}\n\n{MORE}") == [[LONG, MORE]]


def test_code_belongs_to_the_paragraph_before_it() -> None:
    text = f"{LONG}\n\n```\nbake --slow\n```\n\n{MORE}"

    assert said(text) == [[f"{LONG}\n\n```\nbake --slow\n```", MORE]]


def test_what_a_colon_leads_into_is_one_thought() -> None:
    listed = "I need three things for this:\n\n* flour that is freshly milled and sifted\n* water"

    assert said(f"{listed}\n\n{MORE}") == [[listed, MORE]]


def test_a_sentence_that_goes_on_after_code_is_not_cut() -> None:
    text = f"{LONG} I typed\n\n```\nbake\n```\n\nand then I waited for the bell to ring."

    assert said(text) == [[text]]


def test_code_at_the_beginning_is_left_out() -> None:
    found, _ = runs(f"```\nbake\n```\n\n{LONG}")

    assert said(f"```\nbake\n```\n\n{LONG}") == [[LONG]]
    assert not found[0].first


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        ("> Nobody bakes bread at home any more, said the baker.", "other people's words"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a table"),
        ("<div class='ad'>Buy the very best flour here today</div>", "raw HTML"),
        ("![A loaf of bread that I baked](loaf.jpg)", "links, pictures or fragments"),
        ("See also: [How I bake bread in winter](https://a.example/b)", "links, pictures"),
        ("On Tue, 5 Mar 2024 at 10:00, Bob <bob@a.example> wrote:", "mail furniture"),
    ],
)
def test_what_is_not_the_authors_prose_ends_a_run(foreign: str, reason: str) -> None:
    text = f"{LONG}\n\n{foreign}\n\n{MORE}"
    found, dropped = runs(text)

    assert said(text) == [[LONG], [MORE]]
    assert [run.whole for run in found] == [False, False]
    assert [why for why in dropped if reason in why]


def test_what_a_forwarded_message_says_is_not_the_authors() -> None:
    text = f"{LONG}\n\n-----Original Message-----\nFrom: Bob\n\n{MORE}"

    assert said(text) == [[LONG]]
    assert own_part(text).strip() == LONG


def test_text_inside_raw_html_is_left_out_until_it_is_closed() -> None:
    text = f"{LONG}\n\n<blockquote>\n\nThe model answered with this.\n\n</blockquote>\n\n{MORE}"

    assert said(text) == [[LONG], [MORE]]


def test_a_tag_that_is_only_mentioned_opens_nothing() -> None:
    assert said(f"I like the `<details>` tag of the browsers a lot.\n\n{MORE}")[-1][-1] == MORE


def test_a_quoted_question_is_kept_for_the_answer_below_it() -> None:
    found, _ = runs(f"{LONG}\n\n> How hot\n> is your oven?\n\n{MORE}")

    assert [run.question for run in found] == ["", "How hot is your oven?"]
    assert [run.first for run in found] == [True, False]


def test_headings_name_the_runs_below_them_but_the_title_names_none() -> None:
    text = f"# Bread\n\n{LONG}\n\n## Ovens\n\n{MORE}\n\n### Old `ones`\n\n{LONG}"
    found, _ = runs(text)

    assert [run.heading_path for run in found] == [(), ("Ovens",), ("Ovens", "Old ones")]


def test_a_paragraph_of_several_documents_is_furniture_but_a_habit_is_not() -> None:
    footer = "This note was first published in my newsletter about bread."
    texts = [f"{LONG} {number}\n\nAnd this is how it went then:\n\n{footer}" for number in range(3)]
    found = boilerplate_of(texts, documents=3)

    assert found == {footer.casefold()}
    assert runs(f"{LONG}\n\n{footer}", boilerplate=found)[1] == {
        "block: repeated in several documents": 1
    }


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Using `fs_usage`", "Using fs_usage"),
        ("[The docs](https://a.example) are _good_", "The docs are good"),
        ("**Bold** claims", "Bold claims"),
    ],
)
def test_headings_are_read_without_their_marks(heading: str, expected: str) -> None:
    assert plain(heading) == expected


@pytest.mark.parametrize("label", ["{name}: ", "**{name}:** ", "**{name}**: "])
def test_in_a_transcript_the_author_answers_what_others_ask(label: str) -> None:
    bob, ada = label.format(name="Bob"), label.format(name="Ada")
    text = f"{bob}How hot is your oven?\n{ada}{LONG}\n\n{MORE}\n\n{bob}I see.\n{ada}{MORE}"
    found, dropped = runs(text)

    assert said(text) == [[LONG, MORE], [MORE]]
    assert [run.question for run in found] == ["How hot is your oven?", ""]
    assert dropped == {"block: other people's words": 2}


def test_two_turns_of_the_author_are_two_runs_without_the_name_between() -> None:
    text = f"Bob: Well?\n\nAda: {LONG}\n\nAda: {MORE}"

    assert said(text) == [[LONG], [MORE]]


@pytest.mark.parametrize(
    "text",
    [
        f"Update: {LONG}\n\nNote: {MORE}\n\nResult: {LONG}",
        f"Ada: {LONG}\n\nBob: {MORE}",
        f"Ada: {LONG}\n\nAda: {MORE}\n\nAda: {LONG}",
    ],
)
def test_lines_that_begin_with_a_colon_are_no_transcript(text: str) -> None:
    assert said(text) == [text.split("\n\n")]
