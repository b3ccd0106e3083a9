"""Question files are read or refused in one line; references are found in cleaned text."""

import csv
import io
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.clean import clean_text
from llm_engineering.application.evaluation.binding import BoundQuestion, bind
from llm_engineering.application.evaluation.questions import Question, Reference, read_questions
from llm_engineering.application.evaluation.references import Texts
from llm_engineering.domain.errors import InvalidInput

WRITTEN = (
    "---\ntitle: Fleas\n---\n\n# Fleas\n\nA flea\u200b jumps.\r\n\r\nIt   jumps\r\nhigh.\n\n\n\n"
    "It jumps high.\n"
)
INDEXED = "# Fleas\n\nA flea jumps.\n\nIt   jumps\nhigh.\n\nIt jumps high."
ROW = {
    "question": "How high?",
    "references": [{"start_index": 2, "end_index": 9}],
    "corpus_id": "fleas.md",
    "kind": "same",
}


def as_csv(*rows: Mapping[str, object]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: v if isinstance(v, str) else json.dumps(v) for key, v in row.items()})
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", as_csv(ROW)),
        ("q.json", json.dumps([ROW])),
        ("q.jsonl", "\n" + json.dumps(ROW) + "\n"),
        ("q.jsonl", json.dumps(ROW | {"references": json.dumps(ROW["references"])})),
    ],
)
def test_a_question_reads_the_same_from_every_format(name: str, text: str) -> None:
    assert read_questions(text, name=name).questions == (Question.model_validate(ROW),)


def test_a_question_may_have_line_breaks_and_commas_in_its_cells() -> None:
    row = ROW | {"question": 'Why, oh "why"\nnot?', "references": [{"content": "a,\nb"}]}
    (question,) = read_questions(as_csv(row), name="q.csv").questions
    assert question == Question.model_validate(row)


def test_no_references_make_an_unanswerable_question() -> None:
    text = 'question,references\n"Why?",[]\n"How?",\n'
    assert [q.references for q in read_questions(text, name="q.csv").questions] == [(), ()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": "  "}, "q.jsonl, row 2: question is empty; write one"),
        ({"references": "[{"}, "q.jsonl, row 2: references is no JSON; write [{"),
        ({"references": [{}]}, "references.0 has no place; give start_index and end_index"),
        ({"references": [{"content": " "}]}, "references.0 has no place"),
        ({"references": [{"start_index": 4}]}, "has one of start_index and end_index; give both"),
        (
            {"references": [{"start_index": 4, "end_index": 4}]},
            "references.0 ends at 4, not after its start 4",
        ),
        ({"references": [{"start_index": -1, "end_index": 4}]}, "references.0.start_index: "),
        ({"references": [{"text": "x"}]}, "the keys are start_index, end_index, content, path"),
        ({"corpus_id": ""}, "names no document; fill corpus_id"),
        ({"corpsu_id": "x"}, "corpsu_id: Extra inputs are not permitted; the keys are question"),
    ],
)
def test_a_mistake_is_one_line_with_file_row_and_fix(change: dict[str, object], said: str) -> None:
    lines = json.dumps(ROW) + "\n" + json.dumps(ROW | change)
    with pytest.raises(InvalidInput) as caught:
        read_questions(lines, name="q.jsonl")
    assert said in str(caught.value)
    assert str(caught.value).startswith("q.jsonl, row 2: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.txt", "", "q.txt: is no question file; name it .csv, .json or .jsonl"),
        ("q.csv", "", "q.csv, row 1: is no header"),
        ("q.csv", "question,references\n", "q.csv: holds no question"),
        ("q.csv", "question,answer\n", "q.csv, row 1: has the unknown column 'answer'"),
        ("q.csv", "question,kind\n", "q.csv, row 1: is no header with question and references"),
        ("q.csv", "question,references\na,[]\nb,[],c\n", "q.csv, row 3: has 3 cells where"),
        ("q.csv", 'question,references\n"a"b,[]\n', "q.csv, row 2: is no CSV"),
        ("q.json", "{}", "q.json: is no JSON list"),
        ("q.json", "[1]", "q.json, row 1: is no JSON object"),
        ("q.jsonl", "[\n", "q.jsonl, row 1: is no JSON ("),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_questions(text, name=name)
    assert str(caught.value).startswith(said)


def reference(quote: str, occurrence: int = 0, *, written: str = WRITTEN) -> Reference:
    """By the offsets of an occurrence in the file as it is on disk."""
    at = -1
    for _ in range(occurrence + 1):
        at = written.index(quote, at + 1)
    return Reference(start_index=at, end_index=at + len(quote))


def located(given: Reference) -> str | None:
    span = Texts(WRITTEN, INDEXED).locate(given)
    return None if span is None else INDEXED[slice(*span)]


def test_the_example_is_cleaned_as_it_says() -> None:
    body = WRITTEN.partition("---\n\n")[2]
    assert clean_text(body, furniture=False) == INDEXED


def test_a_reference_is_found_by_its_text_where_front_matter_moved_it() -> None:
    assert located(reference("# Fleas")) == "# Fleas"


def test_white_space_that_cleaning_changed_does_not_matter() -> None:
    assert located(reference("It   jumps\r\nhigh.")) == "It   jumps\nhigh."


@pytest.mark.parametrize("occurrence", [0, 1])
def test_of_several_occurrences_the_one_at_the_offset_is_meant(occurrence: int) -> None:
    text = "Again and again.\n\nAgain and again."
    written = "---\ntitle: much front matter that moves all there is\n---\n" + text
    span = Texts(written, text).locate(reference("Again and", occurrence, written=written))
    assert span == ((0, 9), (18, 27))[occurrence]


def test_where_cleaning_left_fewer_occurrences_the_nearest_is_meant() -> None:
    written = "One. Two. Three. One."
    assert Texts(written, "One. Two. Three. ").locate(Reference(start_index=17, end_index=21)) == (
        0,
        4,
    )


def test_text_that_cleaning_changed_inside_is_found_by_aligning_words() -> None:
    assert located(reference("A flea\u200b jumps.")) == "A flea jumps."


def test_content_is_found_without_offsets() -> None:
    assert located(Reference(content="jumps   high.")) == "jumps\nhigh."


def test_text_that_was_not_indexed_is_not_located() -> None:
    assert located(reference("title")) is None
    assert located(Reference(content="A louse crawls.")) is None


def test_a_chance_word_far_away_does_not_locate_a_reference() -> None:
    written = "alpha beta gamma delta. " + "filler " * 3 + "end"
    indexed = "alpha " + "other " * 50 + "delta end"
    assert Texts(written, indexed).locate(Reference(start_index=0, end_index=23)) is None


@given(st.text("ab \n\r\u200b.", min_size=1), st.data())
def test_every_reference_to_a_cleaned_text_itself_is_located_exactly(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    span = Texts(text, text).locate(Reference(start_index=start, end_index=end))
    if text[start:end].strip():
        assert span == (start, end)


def binding(
    *questions: dict[str, object], names: Mapping[str, tuple[str, ...]] | None = None
) -> list[BoundQuestion]:
    known = names or {
        "1": ("notes/fleas.md", "file:///home/ada/notes/fleas.md"),
        "2": ("fleas.html", "https://ada.example/fleas.html"),
        "3": ("talks/2024/lice.md", "https://ada.example/talks/lice/"),
        "4": ("posts/2024/lice.md",),
    }
    lines = "\n".join(json.dumps(question) for question in questions)
    file = read_questions(lines, name="q.jsonl")
    return bind(file, names=known, read=lambda _: Texts("Fleas jump.", "Fleas jump."))


def asked(corpus_id: str, **reference: object) -> dict[str, object]:
    place = reference or {"start_index": 0, "end_index": 5}
    return {"question": "?", "references": [place], "corpus_id": corpus_id}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("notes/fleas.md", "1"),
        ("notes/fleas", "1"),
        ("ada/notes/fleas", "1"),
        ("file:///home/ada/notes/fleas.md", "1"),
        ("fleas.html", "2"),
        ("fleas", "2"),
        ("fleas.md", "1"),
        ("https://ada.example/talks/lice", "3"),
        ("talks/lice", "3"),
        ("talks/2024/lice", "3"),
    ],
)
def test_a_document_is_named_by_path_url_or_the_end_of_either(name: str, document: str) -> None:
    (question,) = binding(asked(name))
    assert dict(question.gold.spans) == {document: ((0, 5),)}


def test_an_end_that_two_documents_share_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"row 1: 2 documents are called 'lice.md'; give more"):
        binding(asked("lice.md"))


def test_an_unknown_document_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match=r"row 2: there is no document .*is it 'notes/fleas.md'"):
        binding(asked("fleas"), asked("nodes/fleas.md"))


def test_offsets_past_the_end_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"row 1: end_index 12 is past the end of 'fleas'"):
        binding(asked("fleas", start_index=0, end_index=12))


def test_a_reference_may_be_in_another_document() -> None:
    place = {"content": "jump", "path": "talks/lice"}
    (question,) = binding(asked("fleas", **place))
    assert dict(question.gold.spans) == {"3": ((6, 10),)}


def test_what_is_not_located_is_counted_and_its_document_is_still_the_right_one() -> None:
    (question,) = binding(asked("fleas", content="crawl"))
    assert (question.unlocated, question.gold.lost, question.gold.characters) == (1, 5, 5)
    assert dict(question.gold.spans) == {"2": ()}
    assert question.answerable
