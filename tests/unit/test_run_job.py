"""A job is run once: what was done is not done again, and what broke off goes on."""

from pathlib import Path

import pytest

from llm_engineering.application.training.run import run_job
from llm_engineering.domain.errors import BackendUnavailable, TrainingFailed
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import RESULT, Job, SftJob
from tests.unit.jobs import Place, result_of, trains

JOB = SftJob(base="some/model")
ROWS = {Split.TRAIN: [{"id": "1", "prompt": [], "completion": []}]}


def test_a_job_is_run_and_its_output_fetched(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)

    done = run_job(JOB, ports=place.ports, rows=ROWS)

    assert (done.result, done.again) == (result_of(JOB), False)
    assert (done.output / RESULT).exists()
    (name, base), *_ = place.experiments.runs
    assert place.runner.log == [f"submit {name}"]
    assert base == "some/model"
    assert place.said == [f"working on {name}"]


def test_the_same_job_is_not_run_twice(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    first = run_job(JOB, ports=place.ports, rows=ROWS)

    again = run_job(JOB, ports=place.ports, rows=ROWS)

    assert again.again
    assert (again.result, again.output) == (first.result, first.output)
    assert len(place.runner.log) == 1


def test_other_rows_are_another_job(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    first = run_job(JOB, ports=place.ports, rows=ROWS)

    other = run_job(JOB, ports=place.ports, rows={Split.TRAIN: [{"id": "2"}]})

    assert other.output != first.output
    assert len(place.runner.log) == 2


def test_a_run_that_failed_goes_on_where_it_was(tmp_path: Path) -> None:
    fails = [True]

    def fails_once(job: Job, folder: Path, output: Path) -> None:
        if fails.pop():
            fails.append(False)
            raise RuntimeError("the loss is not a number")
        trains(job, folder, output)

    place = Place(tmp_path, fails_once)
    with pytest.raises(TrainingFailed, match="the loss is not a number"):
        run_job(JOB, ports=place.ports, rows=ROWS)

    done = run_job(JOB, ports=place.ports, rows=ROWS)

    run = place.experiments.runs[0][0]
    assert place.runner.log == [f"submit {run}", f"resume {run}"]
    assert not done.again
    assert f"{run} failed: going on from its last checkpoint" in place.said


def test_a_run_that_nobody_knows_any_more_is_started_anew(tmp_path: Path) -> None:
    def fails(job: Job, folder: Path, output: Path) -> None:
        raise RuntimeError("the disk is full")

    with pytest.raises(TrainingFailed):
        run_job(JOB, ports=Place(tmp_path, fails).ports, rows=ROWS)
    forgetful = Place(tmp_path, trains)

    run_job(JOB, ports=forgetful.ports, rows=ROWS)

    assert [line.split()[0] for line in forgetful.runner.log] == ["submit"]


def test_a_run_without_a_result_is_a_failure(tmp_path: Path) -> None:
    place = Place(tmp_path, lambda job, folder, output: None)

    with pytest.raises(TrainingFailed, match="completed without a result"):
        run_job(JOB, ports=place.ports, rows=ROWS)


def test_a_result_that_is_none_is_named_with_the_fix(tmp_path: Path) -> None:
    def scribbles(job: Job, folder: Path, output: Path) -> None:
        (output / RESULT).write_text("{}", "utf-8")

    place = Place(tmp_path, scribbles)

    with pytest.raises(
        BackendUnavailable, match=r"result\.json is not the result of a job; delete"
    ):
        run_job(JOB, ports=place.ports, rows=ROWS)
