"""The hand-made labels that ship are whole, balanced, and keep their two halves apart."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def read_rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        # strict refuses a quote that was never closed, instead of swallowing rows.
        return list(csv.DictReader(file, strict=True))


SENTENCES = read_rows("grounding-sentences.csv")
NEAR_COPIES = read_rows("grounding-near-copies.csv")
MULTI_HOP = read_rows("multi-hop-questions.csv")


def test_the_columns_are_those_that_are_documented() -> None:
    documented = "id document evidence question sentence label split"
    assert [list(row) for row in SENTENCES] == [documented.split()] * len(SENTENCES)
    assert [list(row) for row in NEAR_COPIES] == [
        ["id", "document", "evidence", "question", "sentence", "label", "kind", "split"]
    ] * len(NEAR_COPIES)
    documented = "id question kind document_1 evidence_1 document_2 evidence_2 answer"
    assert [list(row) for row in MULTI_HOP] == [documented.split()] * len(MULTI_HOP)


def test_no_field_is_empty_or_padded() -> None:
    bare = [
        (row["id"], column)
        for row in SENTENCES + NEAR_COPIES + MULTI_HOP
        for column, value in row.items()
        if not value or (value != value.strip() and not column.startswith("evidence"))
    ]
    assert bare == []
    assert [row["id"] for row in SENTENCES if not row["evidence"].strip()] == []


def test_ids_and_sentences_and_questions_are_unique() -> None:
    for rows, column in [
        (SENTENCES, "id"),
        (SENTENCES, "sentence"),
        (NEAR_COPIES, "id"),
        (NEAR_COPIES, "sentence"),
        (MULTI_HOP, "id"),
        (MULTI_HOP, "question"),
    ]:
        assert repeated(row[column] for row in rows) == []


def test_each_half_has_the_documented_number_of_every_label() -> None:
    assert Counter((row["label"], row["split"]) for row in SENTENCES) == {
        ("supported", "fit"): 40,
        ("supported", "test"): 40,
        ("contradicted", "fit"): 20,
        ("contradicted", "test"): 20,
        ("unsupported", "fit"): 22,
        ("unsupported", "test"): 23,
        ("partly", "fit"): 18,
        ("partly", "test"): 17,
    }


def test_every_passage_has_two_near_copies_that_follow_from_it_and_two_that_do_not() -> None:
    counted = Counter((row["document"], row["label"] == "supported") for row in NEAR_COPIES)
    assert set(counted.values()) == {2}
    assert len(counted) == 2 * len({row["document"] for row in NEAR_COPIES}) == 420
    assert Counter(row["split"] for row in NEAR_COPIES) == {"fit": 720, "test": 120}
    assert len([row for row in NEAR_COPIES if row["sentence"] in row["evidence"]]) <= 3
    assert {row["document"] for row in NEAR_COPIES}.isdisjoint(r["document"] for r in SENTENCES)


@pytest.mark.parametrize("rows", [SENTENCES, NEAR_COPIES], ids=["sentences", "near copies"])
def test_a_document_is_in_one_half_only(rows: list[dict[str, str]]) -> None:
    halves: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        halves[row["document"]].add(row["split"])
    assert len(halves) >= 50
    assert [document for document, names in halves.items() if len(names) > 1] == []


def test_an_evidence_is_a_passage_and_not_a_note() -> None:
    assert [row["id"] for row in SENTENCES if not 150 <= len(row["evidence"]) <= 900] == []
    spans = [row[column] for row in MULTI_HOP for column in ("evidence_1", "evidence_2")]
    assert [span for span in spans if len(span) > 300] == []


def test_hardly_a_sentence_is_copied_and_only_supported_ones_are() -> None:
    copied = [row for row in SENTENCES if row["sentence"] in row["evidence"]]
    assert {row["label"] for row in copied} == {"supported"}
    assert len(copied) <= 10


def test_a_multi_hop_question_takes_two_documents() -> None:
    assert len(MULTI_HOP) == 40
    assert [row["id"] for row in MULTI_HOP if row["document_1"] == row["document_2"]] == []


def test_multi_hop_questions_are_of_every_kind() -> None:
    assert Counter(row["kind"] for row in MULTI_HOP) == {
        "bridge": 11,
        "comparison": 16,
        "combination": 7,
        "temporal": 6,
    }


def test_documents_are_named_by_their_place_in_the_corpus() -> None:
    names = [row["document"] for row in SENTENCES]
    names += [row[column] for row in MULTI_HOP for column in ("document_1", "document_2")]
    assert [name for name in names if name.count("/") != 1 or not name.endswith(".md")] == []


def repeated(values: Iterable[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]
