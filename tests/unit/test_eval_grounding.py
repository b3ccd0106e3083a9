"""Labels made by hand are read strictly and counted against what the check says."""

import pytest

from llm_engineering.application.evaluation.grounding import (
    Labelled,
    evaluate_grounding,
    read_labelled,
)
from llm_engineering.application.evaluation.intervals import share_of
from llm_engineering.domain.chat import Verdict
from llm_engineering.domain.errors import InvalidInput
from tests.unit.grounded import grounder

HEADER = "id,document,evidence,question,sentence,label,split\n"
EVIDENCE = "I never boil green tea. My server has 16 cores and much memory."


def row(number: int, sentence: str, label: str, split: str = "test") -> Labelled:
    return Labelled.model_validate(
        {
            "id": str(number),
            "document": "tea.md",
            "evidence": EVIDENCE,
            "question": "?",
            "sentence": sentence,
            "label": label,
            "split": split,
        }
    )


ROWS = (
    row(1, "I never boil green tea.", "supported"),
    row(2, "My server has 16 cores.", "supported"),
    row(3, "There is no lack of memory in my server.", "supported"),
    row(4, "My server has 8 cores.", "contradicted"),
    row(5, "My server has 16 cores.", "unsupported"),
    row(6, "My server has 16 cores, and it hums at night.", "partly"),
    row(7, "My server has 16 cores.", "contradicted", "fit"),
)


def test_hands_and_checks_are_counted_against_each_other_in_one_half() -> None:
    report = evaluate_grounding(ROWS, split="test", grounder=grounder(min_nearness=0))
    assert report.sentences == 6
    assert report.confusion["supported"] == {
        Verdict.SAID: 1,
        Verdict.SUPPORTED: 1,
        Verdict.UNSUPPORTED: 1,
    }
    assert report.confusion["contradicted"][Verdict.UNSUPPORTED] == 1
    assert report.confusion["partly"][Verdict.UNSUPPORTED] == 1
    assert report.said_precision is not None
    assert report.said_precision.mean == 1
    assert report.supported_precision is not None
    assert report.supported_precision.mean == 0.5
    assert report.backed_recall is not None
    assert report.backed_recall.mean == pytest.approx(2 / 3)
    assert report.mistaken == ("5",)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(4, 4, 0.5101, 1), (0, 4, 0, 0.4899), (8, 10, 0.4902, 0.9433), (50, 100, 0.4038, 0.5962)],
)
def test_a_share_of_few_is_not_called_certain(right: int, of: int, low: float, high: float) -> None:
    found = share_of(right, of)
    assert found.mean == right / of
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)


def test_a_half_without_sentences_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'fit'"):
        evaluate_grounding(ROWS[:1], split="fit", grounder=grounder())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no sentences"),
        (HEADER, "holds no sentences"),
        (f"{HEADER}1,a,b,?,c,maybe,fit\n", "row 2, column 'label'"),
        ("id,sentence\n1,x\n", "row 2, column 'document'"),
    ],
)
def test_mistakes_in_the_file_name_the_row_and_the_column(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_labelled(text, name="sentences.csv")
