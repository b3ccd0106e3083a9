"""Every runner of jobs: what is looked at before anything is started, one line for each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.domain.training import JOB
from llm_engineering.ports.jobs import JobRunner, JobState
from tests.contract.job_runners import Opener, ended, full_disk, job_folder


def no_job(folder: Path) -> None:
    (folder / JOB).unlink()


def typo(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sft", "base": "counts", "optimiser": {}}')


def no_json(folder: Path) -> None:
    (folder / JOB).write_text("recipe: sft")


def unknown_recipe(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sfp", "base": "counts"}')


def no_data(folder: Path) -> None:
    (folder / "data" / "train.jsonl").unlink()


def data_elsewhere(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sft", "base": "counts", "data": "../data"}')


def absolute_data(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sft", "base": "counts", "data": "/data"}')


def no_adapter(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "dpo", "base": "counts"}')


def no_base(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sft", "base": "base"}')


def no_absolute_base(folder: Path) -> None:
    (folder / JOB).write_text('{"recipe": "sft", "base": "/no/such/model"}')


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_job, "holds no job.json"),
        (typo, "sft.optimiser: Extra inputs"),
        (no_json, "Invalid JSON"),
        (unknown_recipe, "'sfp'"),
        (no_data, "data/train.jsonl, which is not there"),
        (data_elsewhere, "must stay in its folder"),
        (absolute_data, "must stay in its folder"),
        (no_adapter, "adapter/adapter_config.json, which is not there"),
        (no_base, "neither a folder in it nor a hub id"),
        (no_absolute_base, "/no/such/model, which is no folder"),
    ],
)
def test_a_bad_job_is_one_line_and_nothing_is_started(
    runner: JobRunner, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = job_folder(tmp_path / "job")
    spoil(folder)
    with pytest.raises(InvalidInput) as error:
        runner.submit(folder, name="sft")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert list(runner.runs()) == []


@pytest.mark.parametrize("name", ["", "…", "--"])
def test_a_name_without_letters_is_refused(runner: JobRunner, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a run"):
        runner.submit(job_folder(tmp_path / "job"), name=name)


def test_a_long_name_is_cut(runner: JobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="a" * 200)
    assert len(run) < 60
    assert ended(runner, run).state is JobState.COMPLETED


def test_the_id_is_announced_before_there_is_such_a_run(runner: JobRunner, tmp_path: Path) -> None:
    announced: list[tuple[str, list[str]]] = []

    run = runner.submit(
        job_folder(tmp_path / "job"),
        name="sft",
        announce=lambda run: announced.append((run, list(runner.runs()))),
    )

    assert announced == [(run, [])]
    assert ended(runner, run).state is JobState.COMPLETED


def test_a_job_whose_announcement_cannot_be_kept_is_not_started(
    runner: JobRunner, tmp_path: Path
) -> None:
    def refuses(run: str) -> None:
        raise BackendUnavailable(f"cannot write down {run}; free some space")

    with pytest.raises(BackendUnavailable, match="cannot write down"):
        runner.submit(job_folder(tmp_path / "job"), name="sft", announce=refuses)

    assert list(runner.runs()) == []


def test_runners_that_share_their_runs_say_so(open_runner: Opener) -> None:
    assert open_runner().where == open_runner().where


def test_a_disk_that_is_full_starts_nothing_and_leaves_nothing(
    runner: JobRunner, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job")
    with full_disk(), pytest.raises(BackendUnavailable, match="free space"):
        runner.submit(folder, name="sft")
    assert list(runner.runs()) == []
    assert not list((tmp_path / "home").rglob("*.json"))
