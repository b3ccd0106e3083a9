"""The retrieval questions that ship are whole, and quote nobody."""

import csv
from collections import Counter
from pathlib import Path

from llm_engineering.application.evaluation.questions import read_questions

FILE = Path(__file__).parents[2] / "benchmarks" / "til-questions.csv"
TEXT = FILE.read_text(encoding="utf-8")
QUESTIONS = read_questions(TEXT, name=FILE.name).questions


def test_there_are_enough_questions_of_each_sort() -> None:
    answerable = Counter(q.kind for q in QUESTIONS if q.references)
    unanswerable = Counter(q.kind for q in QUESTIONS if not q.references)
    assert answerable.total() >= 150
    assert unanswerable.total() >= 40
    assert answerable.keys() == {"same", "other"}
    assert unanswerable.keys() == {"near", "genre", "far"}
    assert answerable["other"] == answerable.total() / 2


def test_no_question_is_asked_twice() -> None:
    assert len({question.question for question in QUESTIONS}) == len(QUESTIONS)


def test_references_are_places_without_the_text() -> None:
    places = [reference for question in QUESTIONS for reference in question.references]
    assert len(places) >= 150
    assert [place for place in places if place.content is not None] == []
    assert [place for place in places if place.start_index is None] == []


def test_the_columns_are_those_that_are_documented() -> None:
    assert next(csv.reader([TEXT.splitlines()[0]])) == [
        "question",
        "references",
        "corpus_id",
        "kind",
    ]
