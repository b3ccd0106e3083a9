"""What only runs of this machine can go through: dead parents, dead supervisors, memory kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, TwinError
from llm_engineering.infrastructure.job_supervisor import memory_kills, supervise
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.infrastructure.local_run_folder import STARTS_WITHIN, RunRecord, status_of
from llm_engineering.ports.jobs import JobState
from tests.contract.job_runners import (
    GRACE_S,
    RECIPES,
    ended,
    is_state,
    job_folder,
    line_seen,
    when,
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


def test_a_memory_kill_is_told_from_any_other_kill(tmp_path: Path) -> None:
    reasons = []
    for name, kills in (("for-memory", 8), ("by-hand", 7)):
        folder, vmstat = tmp_path / name, tmp_path / f"vmstat-{name}"
        (folder / "output").mkdir(parents=True)
        (folder / "run.json").write_text(
            RunRecord(recipe="sft", attempt=1, started_at=datetime.now(UTC)).model_dump_json()
        )
        vmstat.write_text("nr_free_pages 12\noom_kill 7\n")
        kill = f"import os; open({str(vmstat)!r}, 'w').write('oom_kill {kills}\\n')"
        command = [sys.executable, "-c", f"{kill}; os.kill(os.getpid(), 9)"]
        # The kernel counts and kills at once; here the two are a few instructions apart.
        supervise(folder, command, attempt=1, grace_s=1, vmstat=vmstat)
        reasons.append(status_of(folder, now=datetime.now(UTC)).reason)
    assert reasons[0].startswith("killed for memory: this machine had none left (signal 9)")
    assert reasons[1] == "ended by signal 9 (SIGKILL)"


def test_memory_kills_are_counted_by_the_kernel_where_it_counts(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "absent") == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 1\n")
    assert memory_kills(tmp_path / "vmstat") == 0
    (tmp_path / "vmstat").write_text("drop_pagecache 0\noom_kill 12\nxoom_kill 3\n")
    assert memory_kills(tmp_path / "vmstat") == 12


def test_a_recipe_sees_none_of_our_settings(
    runner: LocalJobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_EXPERIMENTS__API_KEY", "hush")
    monkeypatch.setenv("HF_HOME", "/models")
    run = runner.submit(job_folder(tmp_path / "job", base="tells-environment"), name="sft")
    ended(runner, run)
    (told,) = [line for line in runner.lines(run) if line.startswith("environment")]
    assert "HF_HOME" in told
    assert "TWIN_" not in told


def test_a_recipe_that_is_not_there_is_a_failure_with_its_reason(
    runs: Path, tmp_path: Path
) -> None:
    runner = LocalJobRunner(runs, recipes="tests.contract.no_recipes")
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    status = ended(runner, run)
    assert status.state is JobState.FAILED
    assert "No module named" in status.reason


def test_a_supervisor_that_cannot_start_is_a_failure_at_once(
    runner: LocalJobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/no/such/python")
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    monkeypatch.undo()
    assert runner.status(run).state is JobState.FAILED
    assert runner.status(run).reason


def test_a_run_whose_start_was_cut_short_is_queued_for_a_while_and_then_failed(
    runs: Path, tmp_path: Path
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    run = runs / "sft-20260101-000000-abcd"
    (run / "output").mkdir(parents=True)
    assert status_of(run, now=at).reason == "it was never started"
    (run / "run.json").write_text(
        RunRecord(recipe="sft", attempt=1, started_at=at).model_dump_json()
    )
    assert status_of(run, now=at + timedelta(seconds=1)).state is JobState.QUEUED
    assert status_of(run, now=at + STARTS_WITHIN).state is JobState.FAILED


def test_a_home_that_cannot_be_written_is_one_line_and_nothing_is_started(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    runner = LocalJobRunner(tmp_path / "file" / "runs")
    for ask in (runner.place, lambda: runner.submit(job_folder(tmp_path / "job"), name="sft")):
        with pytest.raises(BackendUnavailable, match="cannot write in") as error:
            ask()
        assert "\n" not in str(error.value)


def test_a_job_with_something_that_is_no_file_is_refused_whole(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job")
    os.mkfifo(folder / "data" / "pipe")
    with pytest.raises(TwinError):
        runner.submit(folder, name="sft")
    assert list(runs.iterdir()) == []


def test_a_long_log_is_not_read_from_its_beginning_at_every_poll(
    runner: LocalJobRunner, runs: Path, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    ended(runner, run)
    log = runs / run / "log.txt"
    known = len(runner.lines(run))
    assert runner.lines(run, after=known - 1)[0].startswith("{")
    text = log.read_bytes()
    kept = text.rindex(b"\n", 0, -1) + 1
    log.write_bytes(b"?" * kept + text[kept:] + b"new\nhalf")  # what was read is not looked at
    assert list(runner.lines(run, after=known)) == ["new"]


def test_many_read_a_log_while_it_grows(runner: LocalJobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="chatters", steps=50), name="sft")
    seen: list[str] = []

    def read() -> None:
        while not runner.status(run).state.ended:
            seen.extend(runner.lines(run, after=len(seen)))
        seen.extend(runner.lines(run, after=len(seen)))

    reader = Thread(target=read)
    reader.start()
    reader.join(60)
    assert seen == list(runner.lines(run))
    when(runner, run, is_state(JobState.COMPLETED))
