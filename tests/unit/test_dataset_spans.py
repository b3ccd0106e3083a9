"""Which spans of a document may be targets."""

from collections import Counter

import pytest
from hypothesis import given

from llm_engineering.application.clean import clean
from llm_engineering.application.datasets.config import SpanRule
from llm_engineering.application.datasets.spans import Candidate, Level, candidates, unfit
from tests.unit.corpus import note
from tests.unit.writing import MARKDOWN

RULE = SpanRule(min_characters=40, max_characters=400)
ONE = "I bake sourdough on Sundays, because the week leaves me no time for it."
TWO = "My oven runs hot, so I turn it down by twenty degrees after ten minutes."
THREE = "That saves the crust from burning while the crumb goes on rising slowly."


def found(
    text: str, *, rule: SpanRule = RULE, language: str | None = "en"
) -> tuple[dict[str, Candidate], Counter[str]]:
    document = clean(note(1, text=text, language=language))
    dropped: Counter[str] = Counter()
    made = candidates(document, rule=rule, boilerplate=frozenset(), dropped=dropped)
    return {document.text[each.start : each.end]: each for each in made}, dropped


def test_paragraphs_sections_and_the_document_are_candidates() -> None:
    text = f"{ONE}\n\n## Ovens\n\n{TWO}\n\n{THREE}"
    made, _ = found(text)

    assert {key: each.level for key, each in made.items()} == {
        text: Level.DOCUMENT,
        ONE: Level.PARAGRAPH,
        f"{TWO}\n\n{THREE}": Level.SECTION,
        TWO: Level.PARAGRAPH,
        THREE: Level.PARAGRAPH,
    }


def test_of_a_document_that_is_too_long_the_sections_that_fit_are_its_beginning() -> None:
    text = f"{ONE}\n\n## Ovens\n\n{TWO}\n\n## Crusts\n\n{THREE}"
    made, _ = found(text, rule=SpanRule(min_characters=40, max_characters=200))

    beginning = made[f"{ONE}\n\n## Ovens\n\n{TWO}"]
    assert (beginning.level, beginning.begins, beginning.heading_path) == (
        Level.PARAGRAPHS,
        True,
        (),
    )


def test_nothing_spans_what_somebody_else_said() -> None:
    made, _ = found(f"{ONE}\n\n> Nobody bakes any more.\n\n{TWO}")

    assert set(made) == {ONE, TWO}


def test_a_thought_that_points_back_does_not_stand_alone() -> None:
    made, _ = found(f"{ONE}\n\n{THREE}")

    assert made[ONE].stands
    assert not made[THREE].stands
    assert made[THREE].before is not None


def test_in_a_language_without_known_beginnings_only_a_first_thought_stands() -> None:
    made, _ = found(f"{ONE}\n\n{TWO}", language="de")

    assert (made[ONE].stands, made[TWO].stands) == (True, False)


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("Short.", 0, "too short"),
        ("a long sentence " * 30, 0, "too long"),
        (ONE, 60, "mostly code"),
        (f"{ONE} It goes like this:", 0, "breaks off"),
        (f"{ONE} Here's how I did it.", 0, "breaks off"),
        ("“Bread is what we made of grass and patience,” she said to me.", 0, "mostly quoted"),
        (
            "- [Ovens that I know](https://a.example/ovens/and/more)\n- [Flour](b)",
            0,
            "mostly links",
        ),
        (ONE, 0, ""),
        (f"{ONE} [Ovens](https://a.example) help.", 0, ""),
    ],
)
def test_what_is_no_whole_thought_is_refused_with_its_reason(
    text: str, code: int, reason: str
) -> None:
    assert unfit(text, code=code, rule=RULE) == reason


def test_refusals_are_counted() -> None:
    _, dropped = found(f"Short one.\n\n{ONE}")

    assert dropped["span: too short"] == 1


@given(MARKDOWN)
def test_every_candidate_is_within_the_document_and_its_bounds(text: str) -> None:
    document = clean(note(1, text=text))
    made = candidates(document, rule=RULE, boilerplate=frozenset(), dropped=Counter())

    for each in made:
        target = document.text[each.start : each.end]
        assert RULE.min_characters <= len(target) <= RULE.max_characters
        assert target == target.strip()
        assert each.before is None or each.before[1] <= each.start
        assert each.first_sentence is None or each.start < each.first_sentence < each.end
    spans = [(each.start, each.end) for each in made]
    assert len(set(spans)) == len(spans)
