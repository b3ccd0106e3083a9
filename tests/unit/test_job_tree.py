"""A job's folder holds all that its recipe reads, under a name that its contents give it."""

import json
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import JOBS, DpoJob, PretrainNanoJob, SftJob
from llm_engineering.infrastructure.job_tree import JobFolderTree

ROWS = {Split.TRAIN: [{"id": "1", "text": "I don’t"}], Split.TEST: [{"id": "2", "text": "b"}]}


@pytest.fixture
def folders(tmp_path: Path) -> JobFolderTree:
    return JobFolderTree(tmp_path / "training")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"w" * 5)
    return folder


def test_the_job_and_its_rows_are_in_it(folders: JobFolderTree) -> None:
    job = PretrainNanoJob(tokens=9)

    folder = folders.write(job, rows=ROWS)

    assert JOBS.validate_json((folder / "job.json").read_bytes()) == job
    assert folder.parent.name.startswith("pretrain_nano-")
    lines = (folder / "data" / "train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "1", "text": "I don’t"}]
    assert (folder / "data" / "test.jsonl").exists()


def test_base_and_adapter_stand_where_the_job_looks_for_them(
    folders: JobFolderTree, weights: Path
) -> None:
    folder = folders.write(DpoJob(base="base"), rows=ROWS, base=weights, adapter=weights)

    for name in ("base", "adapter"):
        assert (folder / name / "model.safetensors").read_bytes() == b"w" * 5


def test_the_same_job_has_the_same_folder_and_any_difference_another(
    folders: JobFolderTree, weights: Path
) -> None:
    job = SftJob(base="base")
    folder = folders.write(job, rows=ROWS, base=weights)

    assert folders.write(job, rows=ROWS, base=weights) == folder
    (weights / "model.safetensors").unlink()
    (weights / "model.safetensors").write_bytes(b"v" * 5)
    others = [
        folders.write(job, rows=ROWS, base=weights),
        folders.write(job, rows={Split.TRAIN: []}, base=weights),
        folders.write(job.model_copy(update={"packing": False}), rows=ROWS, base=weights),
    ]
    assert len({folder, *others}) == 4


def test_it_remembers_the_run_that_was_started_last(folders: JobFolderTree) -> None:
    folder = folders.write(SftJob(base="x"), rows=ROWS)
    assert folders.run(folder) == ""

    folders.started(folder, run="sft-1")
    folders.started(folder, run="sft-2")

    assert folders.run(folder) == "sft-2"
    assert folders.result(folder) is None


def test_nothing_half_written_is_left_when_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "training").write_text("a file")

    with pytest.raises(BackendUnavailable, match=r"cannot write the job in .*; free some space"):
        JobFolderTree(tmp_path / "training").write(SftJob(base="x"), rows=ROWS)
