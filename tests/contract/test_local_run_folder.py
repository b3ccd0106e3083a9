"""What the folder of a local run tells, and what its recipe is told."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from llm_engineering.domain.errors import BackendUnavailable, TwinError
from llm_engineering.infrastructure import local_run_folder
from llm_engineering.infrastructure.job_supervisor import memory_kills, supervise
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.infrastructure.local_run_folder import (
    STARTS_WITHIN,
    RunRecord,
    keep_record,
    status_of,
)
from llm_engineering.ports.jobs import JobState
from tests.contract.job_runners import GRACE_S, RECIPES, ended, is_state, job_folder, when


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "home" / "runs"


@pytest.fixture
def runner(runs: Path) -> LocalJobRunner:
    return LocalJobRunner(runs, grace_s=GRACE_S, recipes=RECIPES)


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


def test_a_run_that_ends_between_two_looks_has_ended(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    run = runs / "sft-20260101-000000-abcd"
    (run / "output").mkdir(parents=True)
    keep_record(run, RunRecord(recipe="sft", attempt=1, started_at=at))

    def let_go(_: Path) -> bool:
        (run / "ended.json").write_text('{"attempt": 1, "code": -11, "memory_kill": false}')
        return False

    monkeypatch.setattr(local_run_folder, "is_held", let_go)
    assert status_of(run, now=at).reason == "ended by signal 11 (SIGSEGV)"


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
