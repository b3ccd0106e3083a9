"""A job's folder holds all that its recipe reads, under a name that its contents give it."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import JOBS, RECIPES, DpoJob, PretrainNanoJob, SftJob
from llm_engineering.infrastructure import job_tree
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.ports.jobs import StartedRun

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
    assert folders.last_run(folder) is None

    folders.note_run(folder, StartedRun(run="sft-1", where="here"))
    folders.note_run(folder, StartedRun(run="sft-2", where="there", anew="today"))

    assert folders.last_run(folder) == StartedRun(run="sft-2", where="there", anew="today")
    assert folders.result(folder) is None


def test_a_damaged_note_of_the_run_is_named_with_the_fix(folders: JobFolderTree) -> None:
    folder = folders.write(SftJob(base="x"), rows=ROWS)
    (folder.parent / "run.json").write_text("{")

    with pytest.raises(
        BackendUnavailable, match=r"run\.json does not say which .* delete the file"
    ):
        folders.last_run(folder)


def test_recipes_that_compute_something_else_make_another_job_of_it(
    folders: JobFolderTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders.write(SftJob(base="x"), rows=ROWS)
    monkeypatch.setattr(job_tree, "RECIPES", RECIPES + 1)

    assert folders.write(SftJob(base="x"), rows=ROWS) != folder


def test_processes_that_write_the_same_job_at_once_share_its_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = [
            pool.submit(JobFolderTree(tmp_path / "training").write, SftJob(base="x"), rows=ROWS)
            for _ in range(40)
        ]
    assert len({each.result() for each in written}) == 1
    assert {path.name for path in (tmp_path / "training").iterdir()} == {
        written[0].result().parent.name,
        "LOCK",
    }


def test_what_a_killed_process_had_written_is_removed(
    folders: JobFolderTree, tmp_path: Path, weights: Path
) -> None:
    left = tmp_path / "training" / ".writing" / "base"
    left.mkdir(parents=True)
    (left / "model.safetensors").touch()

    folder = folders.write(SftJob(base="x"), rows=ROWS)

    assert not left.parent.exists()
    assert not (folder / "base").exists()


def test_an_output_is_cleared_with_what_a_killed_fetch_left_beside_it(
    folders: JobFolderTree,
) -> None:
    folder = folders.write(SftJob(base="x"), rows=ROWS)
    for name in ("output", ".output.0a1b.part"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "half.safetensors").touch()

    folders.clear_output(folder)
    folders.clear_output(folder)

    assert [path.name for path in folder.parent.iterdir()] == ["job"]


HOLDS = """
import sys
from pathlib import Path
from llm_engineering.infrastructure.job_tree import JobFolderTree
folder = Path(sys.argv[1])
with JobFolderTree(folder.parents[1]).alone(folder, say=print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_waits_for_a_job_is_told_once_for_whom_and_death_lets_it_go(
    folders: JobFolderTree,
) -> None:
    folder = folders.write(SftJob(base="x"), rows=ROWS)
    said: list[str] = []

    def wait() -> None:
        with folders.alone(folder, say=said.append):
            said.append("inside")

    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        waiting = Thread(target=wait)
        waiting.start()
        deadline = time.monotonic() + 30
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert said == [
            f"{folder.parent.name} is being run by process {other.pid}: waiting for its result"
        ]
        other.kill()
        waiting.join(30)
    assert said[1:] == ["inside"]


def test_nothing_half_written_is_left_when_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "training").write_text("a file")

    with pytest.raises(BackendUnavailable, match=r"cannot write the job in .*; free some space"):
        JobFolderTree(tmp_path / "training").write(SftJob(base="x"), rows=ROWS)
