"""What is asked for a span: by the document itself, and by a teacher."""

from collections import Counter

import pytest

from llm_engineering.application.clean import clean
from llm_engineering.application.datasets.config import SpanRule
from llm_engineering.application.datasets.spans import candidates
from llm_engineering.application.datasets.structure import Asked, structural_prompts
from llm_engineering.application.datasets.teacher import usable_instruction
from llm_engineering.domain.samples import PromptForm
from tests.unit.corpus import note

ONE = (
    "I bake sourdough on Sundays, because the week leaves me no time for it. My starter is seven"
    " years old by now."
)
TWO = (
    "For the oven I use `bake --slow` with the Rofco B40, which I bought from Jeff Varasano in"
    " May, and [Baker Percentages](https://a.example) for the dough."
)


def asked(text: str, *, title: str = "Bread", forms: int = 4) -> dict[tuple[str, str], Asked]:
    """By form and the beginning of the target."""
    document = clean(note(1, text=text, title=title))
    rule = SpanRule(min_characters=40)
    made = candidates(document, rule=rule, boilerplate=frozenset(), dropped=Counter())
    return {
        (prompt.form.value, document.text[prompt.start : prompt.end][:20]): prompt
        for each in made
        for prompt in structural_prompts(document, each, forms=forms, min_characters=30)
    }


def test_a_title_asks_for_the_whole_document() -> None:
    prompt = asked(ONE)["title", ONE[:20]]

    assert "“Bread”" in prompt.instruction


def test_a_heading_asks_for_its_section_with_the_title() -> None:
    prompt = asked(f"{ONE}\n\n## Ovens\n\n{TWO}")["heading", TWO[:20]]

    assert "“Ovens”" in prompt.instruction
    assert "“Bread”" in prompt.instruction


def test_terms_are_code_links_and_names_but_no_months_and_no_words_of_the_topic() -> None:
    prompt = asked(f"{ONE}\n\n{TWO}", title="The Rofco B40")["terms", TWO[:20]]

    assert "`bake --slow`, Jeff Varasano and Baker Percentages" in prompt.instruction
    assert "May" not in prompt.instruction


def test_an_opening_is_the_first_sentence_and_the_target_goes_on() -> None:
    prompt = asked(ONE)["opening", "My starter is seven "]

    assert prompt.instruction.endswith("because the week leaves me no time for it.")
    assert prompt.end - prompt.start == len("My starter is seven years old by now.")


def test_an_opening_is_the_thought_before_where_there_is_one() -> None:
    found = asked(f"{ONE}\n\nThat is why it rises so well on every single morning.")

    assert found["opening", "That is why it rises"].instruction.endswith(ONE)
    assert not [key for key in found if key[0] != "opening" and key[1].startswith("That is")]


@pytest.mark.parametrize(
    ("heading", "question"),
    [("Is rye better?", "Is rye better?"), ("How to feed it", "How to feed it?")],
)
def test_a_heading_that_asks_is_the_question(heading: str, question: str) -> None:
    prompt = asked(f"{ONE}\n\n## {heading}\n\n{TWO}", forms=1)["question", TWO[:20]]

    assert prompt.instruction.endswith(question)
    assert "Bread" in prompt.instruction


def test_what_a_mail_quotes_is_the_question_and_only_the_answer_is_a_target() -> None:
    mail = f"On Tue, Bob wrote:\n\n> Do you still bake on\n> weekdays?\n\n{ONE}"
    found = asked(mail, title="Re: bread", forms=1)

    prompt = found["question", ONE[:20]]
    assert prompt.instruction == "Do you still bake on weekdays?"
    assert set(found) == {("question", ONE[:20])}


def test_which_prompts_are_made_depends_on_the_span_alone() -> None:
    assert asked(f"{ONE}\n\n{TWO}", forms=1) == asked(f"{ONE}\n\n{TWO}", forms=1)


@pytest.mark.parametrize(
    ("said", "instruction"),
    [
        ("Explain how to bake bread.", "Explain how to bake bread."),
        ("Sure! Explain how to bake bread.", "Explain how to bake bread."),
        ("Here is the instruction:\n\n“Explain how to bake bread.”", "Explain how to bake bread."),
        ("Write a short, casual note about rye bread.", "Write a note about rye bread."),
        ("Explain how rye rises in a friendly, personal tone.", "Explain how rye rises."),
        ("Describe rye bread in the first person.", "Describe rye bread."),
        ("In about 50 words, describe how rye rises.", "Describe how rye rises."),
        (
            "Describe rye in the style of Ada Lovelace, with its crust.",
            "Describe rye, with its crust.",
        ),
        ("Describe Ada Lovelace's oven and its heat.", "Describe your oven and its heat."),
        ("Explain how a short URL is made.", "Explain how a short URL is made."),
    ],
)
def test_what_a_teacher_says_of_style_and_author_is_taken_out(said: str, instruction: str) -> None:
    assert usable_instruction(said, text=ONE, author="Ada Lovelace") == (instruction, "")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "wrote no instruction"),
        ("Bread.", "wrote no instruction"),
        ("word " * 100, "wrote no instruction"),
        ("Explain what Lovelace thinks of bread.", "named the author"),
        (f"Explain this: {ONE[:70]}", "quoted the text"),
    ],
)
def test_what_a_teacher_says_may_be_of_no_use(said: str, reason: str) -> None:
    assert usable_instruction(said, text=ONE, author="Ada Lovelace") == ("", reason)


def test_a_document_kind_is_called_by_its_name() -> None:
    assert any("note" in prompt.instruction for prompt in asked(f"{ONE}\n\n{TWO}").values())


def test_at_most_so_many_forms_are_asked() -> None:
    text = f"{ONE}\n\n## Ovens\n\n{TWO}"

    assert len(asked(text, forms=1)) < len(asked(text, forms=4))
    assert PromptForm.TEACHER not in {prompt.form for prompt in asked(text).values()}
