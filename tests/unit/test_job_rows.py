"""The rows of a job, as domain/training.py says that its recipe reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.application.clean import clean
from llm_engineering.application.datasets.rows import RowKind, job_rows
from llm_engineering.domain.errors import NotFound, TooFewSamples
from llm_engineering.domain.sample_rows import (
    instruct_row,
    instruct_sample,
    preference_row,
    preference_sample,
    rated_row,
    rated_sample,
)
from llm_engineering.domain.samples import SampleSet, Split
from llm_engineering.domain.training import SftJob
from llm_engineering.infrastructure.job_tree import JobFolderTree
from tests.unit.corpus import built, full_set, held, note, notes


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return full_set()


@pytest.mark.parametrize(
    ("recipe", "columns"),
    [
        ("sft", {"id", "prompt", "completion"}),
        ("dpo", {"id", "prompt", "chosen", "rejected", "rejected_ended"}),
        ("kto", {"id", "prompt", "completion", "label"}),
        ("generate", {"id", "prompt"}),
        ("pretrain_nano", {"id", "text"}),
    ],
)
def test_a_job_gets_the_columns_that_its_recipe_reads(
    samples: SampleSet, recipe: RowKind, columns: set[str]
) -> None:
    rows = job_rows(recipe, samples, store=held(notes()))

    assert set(rows) == set(Split)
    assert all(set(row) == columns for split in Split for row in rows[split])
    assert all(rows[split] for split in Split)


def test_prompts_and_answers_are_conversations(samples: SampleSet) -> None:
    row = job_rows("sft", samples, store=held([]))[Split.TRAIN][0]
    sample = next(each for each in samples.instruct if each.id == row["id"])

    assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
    assert row["completion"] == [{"role": "assistant", "content": sample.completion}]


def test_the_nano_base_reads_no_held_out_document(samples: SampleSet) -> None:
    rows = job_rows("pretrain_nano", samples, store=held(notes()))
    texts = {document.id: clean(document).text for document in notes()}

    ids = {split: {row["id"] for row in rows[split]} for split in Split}
    assert not ids[Split.TRAIN] & (ids[Split.VALIDATION] | ids[Split.TEST])
    assert all(row["text"] == texts[row["id"]] for split in Split for row in rows[split])
    assert len(rows[Split.TRAIN]) == samples.manifest.splits[Split.TRAIN].documents


def test_a_document_that_has_changed_is_named_with_the_fix(samples: SampleSet) -> None:
    changed = notes()
    changed[0] = note(0, text="Something else.")

    with pytest.raises(NotFound, match=r"example\.org/ada/0 has changed .*'twin run datasets'"):
        job_rows("pretrain_nano", samples, store=held(changed))


def test_a_job_without_rows_is_refused() -> None:
    alone = built(notes())

    with pytest.raises(TooFewSamples, match="has no rows for dpo; answer its prompts"):
        job_rows("dpo", alone, store=held([]))
    with pytest.raises(TooFewSamples, match="has no rows for kto; readers have to rate"):
        job_rows("kto", alone, store=held([]))


def test_rows_are_written_as_the_recipes_find_them(samples: SampleSet, tmp_path: Path) -> None:
    rows = job_rows("sft", samples, store=held([]))
    data = JobFolderTree(tmp_path).write(SftJob(base="x"), rows=rows) / "data"

    files = sorted(path.name for path in data.iterdir())
    assert files == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    lines = (data / "train.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == rows[Split.TRAIN]


def test_a_row_read_back_is_the_sample_it_was_made_of(samples: SampleSet) -> None:
    def through_json(row: dict[str, Any]) -> Any:
        return json.loads(json.dumps(row))

    assert samples.rated
    assert all(
        each == instruct_sample(through_json(instruct_row(each))) for each in samples.instruct
    )
    assert all(
        each == preference_sample(through_json(preference_row(each))) for each in samples.preference
    )
    assert all(each == rated_sample(through_json(rated_row(each))) for each in samples.rated)
    assert {each.target is None for each in samples.preference} == {True, False}
