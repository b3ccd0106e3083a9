"""What only runs of this machine can go through: dead parents, dead supervisors, memory kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.ports.jobs import JobState
from tests.contract.job_runners import (
    GRACE_S,
    RECIPES,
    WITHIN_S,
    ended,
    job_folder,
    line_seen,
)

ROOT = Path(__file__).parents[2]
SUBMITS = f"""
import os, signal, sys
from pathlib import Path
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
runner = LocalJobRunner(Path(sys.argv[1]), recipes={RECIPES!r})
print(runner.submit(Path(sys.argv[2]), name="sft"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """The runs' folder; whatever still lives there is ended afterwards."""
    folder = tmp_path / "home" / "runs"
    yield folder
    runner = LocalJobRunner(folder, grace_s=GRACE_S, recipes=RECIPES)
    for run in runner.runs():
        runner.stop(run)


@pytest.fixture
def runner(runs: Path) -> LocalJobRunner:
    return LocalJobRunner(runs, grace_s=GRACE_S, recipes=RECIPES)


def started(run: Path) -> int:
    """The recipe's pid."""
    return int(json.loads((run / "started.json").read_text())["recipe_pid"])


def supervisor_of(recipe: int) -> int:
    stat = Path(f"/proc/{recipe}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def until_there(path: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_died(pid: int) -> bool:
    """Also when nobody has waited for it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def test_a_run_goes_on_when_its_submitter_is_killed(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", base="waits")
    killed = subprocess.run(
        [sys.executable, "-c", SUBMITS, str(runs), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = killed.stdout.strip()
    line_seen(runner, run, '"step": 3')
    assert runner.status(run).state is JobState.RUNNING
    (runs / run / "checkpoints" / "go").touch()
    assert ended(runner, run).state is JobState.COMPLETED


def test_weights_that_nobody_may_write_take_no_more_space_for_a_run(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job")
    for name, mode in (("model.safetensors", 0o444), ("config.json", 0o644)):
        (folder / "counts").mkdir(exist_ok=True)
        (folder / "counts" / name).write_text("w")
        (folder / "counts" / name).chmod(mode)

    run = runner.submit(folder, name="sft")

    assert ended(runner, run).state is JobState.COMPLETED
    copy = runs / run / "job" / "counts"
    assert (copy / "model.safetensors").samefile(folder / "counts" / "model.safetensors")
    assert not (copy / "config.json").samefile(folder / "counts" / "config.json")


def test_ctrl_c_and_a_closed_terminal_reach_neither_run_nor_supervisor(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", base="waits")
    submits = SUBMITS.replace("os.kill(os.getpid(), signal.SIGKILL)", "signal.pause()")
    with subprocess.Popen(
        [sys.executable, "-c", submits, str(runs), str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    ) as submitter:
        assert submitter.stdout is not None
        run = submitter.stdout.readline().strip()
        for number in (signal.SIGHUP, signal.SIGINT):  # what a terminal sends to all it started
            os.killpg(submitter.pid, number)
    line_seen(runner, run, '"step": 3')
    (runs / run / "checkpoints" / "go").touch()
    assert ended(runner, run).state is JobState.COMPLETED
    until_there(runs / run / "ended.json")


def test_a_recipe_outlives_its_supervisor_and_can_still_be_stopped(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job", base="waits")
    stopped, completed = runner.submit(folder, name="a"), runner.submit(folder, name="b")
    for run in (stopped, completed):
        line_seen(runner, run, '"step": 3')
        os.kill(supervisor_of(started(runs / run)), signal.SIGKILL)
        time.sleep(0.1)
        assert runner.status(run).state is JobState.RUNNING
    runner.stop(stopped)
    assert runner.status(stopped).state is JobState.STOPPED
    (runs / completed / "checkpoints" / "go").touch()
    assert ended(runner, completed).state is JobState.COMPLETED
    runner.resume(stopped)
    line_seen(runner, stopped, "from step 3")


def test_a_run_that_died_with_its_supervisor_has_failed_and_can_be_resumed(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    recipe = started(runs / run)
    os.kill(supervisor_of(recipe), signal.SIGKILL)
    os.kill(recipe, signal.SIGKILL)
    status = ended(runner, run)
    assert status.state is JobState.FAILED
    assert "together with its supervisor" in status.reason
    (runs / run / "checkpoints" / "go").touch()
    runner.resume(run)
    assert ended(runner, run).state is JobState.COMPLETED


def test_a_stranger_with_a_dead_recipes_pid_is_left_alone(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    recipe = started(runs / run)
    os.kill(supervisor_of(recipe), signal.SIGKILL)
    os.kill(recipe, signal.SIGKILL)
    ended(runner, run)
    with subprocess.Popen(["sleep", "60"], process_group=0) as stranger:
        (runs / run / "started.json").write_text(
            json.dumps({"attempt": 1, "recipe_pid": stranger.pid})
        )
        runner.stop(run)
        assert runner.status(run).state is JobState.FAILED
        assert stranger.poll() is None
        stranger.kill()


def test_what_the_recipe_started_ends_with_it(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="has-workers"), name="sft")
    line_seen(runner, run, "worker ")
    worker = int(next(line for line in runner.lines(run) if "worker " in line).split()[1])
    os.kill(started(runs / run), signal.SIGKILL)
    assert ended(runner, run).reason == "ended by signal 9 (SIGKILL)"
    assert has_died(worker)


def test_somebody_elses_sigterm_stops_a_run(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    os.kill(started(runs / run), signal.SIGTERM)
    status = ended(runner, run)
    assert (status.state, status.reason) == (JobState.STOPPED, "somebody sent it SIGTERM")


def test_a_supervisor_that_is_asked_to_end_stops_its_recipe_first(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    os.kill(supervisor_of(started(runs / run)), signal.SIGTERM)
    assert ended(runner, run).state is JobState.STOPPED
    assert json.loads((runs / run / "ended.json").read_text())["code"] == -signal.SIGTERM


def test_of_two_that_resume_at_once_one_starts_it(
    open_runs: list[LocalJobRunner], tmp_path: Path
) -> None:
    first = open_runs[0]
    run = first.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(first, run, '"step": 3')
    first.stop(run)
    ended(first, run)

    def resumed(runner: LocalJobRunner) -> bool:
        try:
            runner.resume(run)
        except InvalidInput:
            return False
        return True

    with ThreadPoolExecutor(len(open_runs)) as threads:
        assert sum(threads.map(resumed, open_runs)) == 1
    line_seen(first, run, "from step 3")
    assert sum("attempt" in line for line in first.lines(run)) == 1


@pytest.fixture
def open_runs(runs: Path) -> list[LocalJobRunner]:
    return [LocalJobRunner(runs, grace_s=GRACE_S, recipes=RECIPES) for _ in range(4)]
