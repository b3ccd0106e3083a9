"""`make stop` ends training runs, says which, and forgetting waits for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.ports.jobs import JobState
from llm_engineering.settings import Settings
from tests.contract.job_runners import GRACE_S, RECIPES, ended, job_folder, line_seen
from tools.clean_data import clean_data
from tools.stop_runs import going_on, stop_runs


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[LocalJobRunner]:
    runner = LocalJobRunner(tmp_path / "home" / "runs", grace_s=GRACE_S, recipes=RECIPES)
    yield runner
    for run in runner.runs():
        runner.stop(run)


def test_runs_that_go_on_are_stopped_and_can_be_resumed(
    runner: LocalJobRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = runner.submit(job_folder(tmp_path / "short"), name="short")
    ended(runner, done)
    long = runner.submit(job_folder(tmp_path / "long", steps=10_000), name="long")
    line_seen(runner, long, "step")

    stop_runs(runner)

    assert runner.status(long).state is JobState.STOPPED
    assert runner.status(done).state is JobState.COMPLETED
    out = capsys.readouterr().out
    assert out == f"stopped {long}; 'twin jobs resume {long}' goes on from its last checkpoint\n"
    runner.resume(long)
    assert going_on(runner) == (long,)


def test_where_no_run_goes_on_that_is_said(
    runner: LocalJobRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_runs(runner)

    assert capsys.readouterr().out == "no training run is going on\n"


def test_a_run_that_does_not_end_is_told(
    runner: LocalJobRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner.submit(job_folder(tmp_path / "long", steps=10_000), name="long")
    line_seen(runner, run, "step")

    stop_runs(runner, within_s=-1.0)

    assert "has not ended yet" in capsys.readouterr().out
    ended(runner, run)


def test_nothing_is_forgotten_while_a_training_run_goes_on(
    runner: LocalJobRunner, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run = runner.submit(job_folder(tmp_path / "long", steps=10_000), name="long")
    line_seen(runner, run, "step")

    with pytest.raises(InvalidInput, match=f"{run}; wait for it, or end it with 'make stop'"):
        clean_data(Settings(home=home), everything=True)
    assert (home / "runs" / run).is_dir()

    stop_runs(runner)
    clean_data(Settings(home=home), everything=True)
    assert not home.exists()
