"""Every runner of jobs: submit, poll, read, fail, stop, resume, fetch."""

import json
import re
from pathlib import Path

import pytest

from llm_engineering.application.training.follow import step_event
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, NotFound
from llm_engineering.ports.jobs import JobRunner, JobState
from tests.contract.job_runners import (
    Opener,
    ended,
    full_disk,
    is_state,
    job_folder,
    line_seen,
    when,
)


def steps_of(runner: JobRunner, run: str) -> list[int]:
    events = map(step_event, runner.lines(run))
    return [event.step for event in events if event is not None]


def test_a_job_runs_to_its_end_and_its_output_is_fetched(runner: JobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="SFT of Ada")

    assert run.startswith("sft-of-ada-")
    assert ended(runner, run).state is JobState.COMPLETED
    assert steps_of(runner, run) == [1, 2, 3, 4]
    into = runner.fetch(run, tmp_path / "new" / "output")
    assert into == tmp_path / "new" / "output"
    assert json.loads((into / "result.json").read_text())["resumed_from"] is None
    assert (into / "adapter" / "adapter_config.json").read_text() == "{}"
    assert [path.name for path in into.parent.iterdir()] == ["output"], "nothing else is left"


def test_the_job_is_copied_so_its_folder_may_go(runner: JobRunner, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", base="waits")
    run = runner.submit(folder, name="sft")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    line_seen(runner, run, '"step": 3')
    runner.stop(run)
    ended(runner, run)
    runner.resume(run)
    line_seen(runner, run, "from step 3")
    runner.stop(run)
    ended(runner, run)


def test_lines_are_read_from_any_number_on_and_keep_their_numbers(
    open_runner: Opener, tmp_path: Path
) -> None:
    runner = open_runner()
    run = runner.submit(job_folder(tmp_path / "job", base="chatters"), name="sft")
    ended(runner, run)
    all_lines = list(runner.lines(run))
    assert all_lines[0] == "2 rows, from step 0"
    assert all_lines[300] == "line 299: naïve “quotes” \u2028 and \t a tab"
    assert len(all_lines) == 305
    for after in (300, 5, 0, 304, 305, 306, 17):
        assert list(runner.lines(run, after=after)) == all_lines[after:]
        assert list(open_runner().lines(run, after=after)) == all_lines[after:]


def test_a_run_can_be_followed_and_stopped_by_another_process(
    open_runner: Opener, tmp_path: Path
) -> None:
    run = open_runner().submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    other = open_runner()
    line_seen(other, run, '"step": 3')
    assert other.status(run).state is JobState.RUNNING
    assert list(other.runs()) == [run]
    other.stop(run)
    assert ended(open_runner(), run).state is JobState.STOPPED


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("fails-at-3", "the loss is not a number; lower the learning rate"),
        ("crashes-at-3", "ZeroDivisionError: nobody foresaw this"),
        ("is-killed-at-3", "ended by signal 9"),
        ("leaves-nothing", "without a result"),
    ],
)
def test_a_failure_has_its_reason_and_no_result(
    runner: JobRunner, tmp_path: Path, base: str, reason: str
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base=base), name="sft")
    status = ended(runner, run)
    assert status.state is JobState.FAILED
    assert reason in status.reason
    assert "\n" not in status.reason
    with pytest.raises(InvalidInput, match="failed"):
        runner.fetch(run, tmp_path / "output")
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("base", ["fails-at-3", "is-killed-at-3"])
def test_a_failed_run_goes_on_from_its_last_checkpoint(
    open_runner: Opener, tmp_path: Path, base: str
) -> None:
    runner = open_runner()
    run = runner.submit(job_folder(tmp_path / "job", base=base), name="sft")
    ended(runner, run)
    before = list(runner.lines(run))

    open_runner().resume(run)

    assert ended(runner, run).state is JobState.COMPLETED
    assert ("half a li" in before) == (base == "is-killed-at-3"), "it is a line of its own"
    after = list(runner.lines(run))
    assert after[: len(before)] == before, "the lines of the first attempt keep their numbers"
    assert "2 rows, from step 2" in after[len(before) :], "no line was glued to a half-written one"
    assert steps_of(runner, run) == [1, 2, 3, 4]
    result = runner.fetch(run, tmp_path / "output") / "result.json"
    assert json.loads(result.read_text())["resumed_from"] == 2


def test_a_stopped_run_goes_on_from_its_last_checkpoint(runner: JobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    runner.stop(run)
    assert ended(runner, run).state is JobState.STOPPED
    for _ in range(2):  # stopped twice and resumed twice
        runner.resume(run)
        when(runner, run, is_state(JobState.RUNNING))
        runner.stop(run)
        assert ended(runner, run).state is JobState.STOPPED
    assert sum("from step 3" in line for line in runner.lines(run)) <= 2
    assert steps_of(runner, run) == [1, 2, 3]


def test_a_recipe_that_does_not_listen_is_killed(runner: JobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="is-deaf"), name="sft")
    line_seen(runner, run, '"step": 3')
    runner.stop(run)
    assert ended(runner, run).state is JobState.STOPPED


def test_stopping_a_run_that_has_ended_changes_nothing(runner: JobRunner, tmp_path: Path) -> None:
    completed = runner.submit(job_folder(tmp_path / "a"), name="sft")
    failed = runner.submit(job_folder(tmp_path / "b", base="fails-at-3"), name="sft")
    before = [ended(runner, run) for run in (completed, failed)]
    runner.stop(completed)
    runner.stop(failed)
    assert [runner.status(run) for run in (completed, failed)] == before
    assert runner.fetch(completed, tmp_path / "output").is_dir()


def test_a_run_that_goes_or_has_completed_cannot_be_resumed(
    runner: JobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    with pytest.raises(InvalidInput, match="running"):
        runner.resume(run)
    with pytest.raises(InvalidInput, match="running"):
        runner.fetch(run, tmp_path / "output")
    runner.stop(run)
    done = runner.submit(job_folder(tmp_path / "done"), name="sft")
    ended(runner, done)
    with pytest.raises(InvalidInput, match="completed"):
        runner.resume(done)
    ended(runner, run)


def test_two_runs_of_the_same_name_at_once_are_two(open_runner: Opener, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    first, second = open_runner(), open_runner()
    runs = [first.submit(folder, name="sft"), second.submit(folder, name="sft")]
    assert len(set(runs)) == 2
    assert {ended(first, run).state for run in runs} == {JobState.COMPLETED}
    assert set(first.runs()) == set(runs)


@pytest.mark.parametrize("run", ["sft-20260101-000000-abcd", "..", "/etc", "", "a/b", "*"])
def test_a_run_that_was_never_submitted_is_not_found(
    runner: JobRunner, tmp_path: Path, run: str
) -> None:
    for ask in (
        lambda: runner.status(run),
        lambda: runner.lines(run),
        lambda: runner.stop(run),
        lambda: runner.resume(run),
        lambda: runner.fetch(run, tmp_path / "output"),
    ):
        with pytest.raises(NotFound, match="no run"):
            ask()


def test_a_slip_in_a_runs_id_is_answered_with_the_right_one(
    runner: JobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    ended(runner, run)
    with pytest.raises(NotFound, match=f"did you mean {run}"):
        runner.status(run[:-1] + ("0" if run[-1] != "0" else "1"))


def test_what_is_in_the_way_is_not_overwritten(runner: JobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    ended(runner, run)
    mine = tmp_path / "mine" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")
    for into in (mine.parent, mine):
        with pytest.raises(InvalidInput, match="exists already"):
            runner.fetch(run, into)
    assert [path.name for path in mine.parent.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    assert (runner.fetch(run, tmp_path / "empty") / "result.json").exists()


def test_a_disk_that_is_full_in_the_middle_of_a_fetch_leaves_nothing(
    runner: JobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "job"), name="sft")
    ended(runner, run)
    with full_disk(), pytest.raises(BackendUnavailable, match=r"cannot write .*free space"):
        runner.fetch(run, tmp_path / "new" / "output")
    assert list((tmp_path / "new").iterdir()) == []
    assert runner.fetch(run, tmp_path / "new" / "output").is_dir(), "once there is room again"


def test_the_place_is_described(runner: JobRunner) -> None:
    assert re.fullmatch(r"\S.* (in /\S+|s3://\S+)", runner.place())
