"""A job that somebody runs already, ran elsewhere, broke off, or is to be run once more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from llm_engineering.application.training.run import Done, run_job
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, TrainingFailed
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import RESULT, Job, SftJob
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.ports.jobs import JobState, JobStatus, StartedRun
from tests.unit.jobs import Place, result_of, trains

JOB = SftJob(base="some/model")
ROWS = {Split.TRAIN: [{"id": "1", "prompt": [], "completion": []}]}


def run(place: Place, *, anew: str = "") -> Done:
    return run_job(JOB, ports=place.ports, rows=ROWS, anew=anew)


def fails(job: Job, folder: Path, output: Path) -> None:
    raise RuntimeError("the loss is not a number")


class Killed(BaseException):
    """What ends a process at once ends here the call."""


def test_two_that_run_the_same_job_at_once_run_it_once(tmp_path: Path) -> None:
    place, both = Place(tmp_path, trains), Barrier(2)

    def at_once(_: int) -> Done:
        both.wait(30)
        return run(place)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(at_once, range(2))

    assert len(place.runner.log) == 1
    assert {first.again, second.again} == {False, True}
    assert first.output == second.output


def test_an_output_without_a_result_is_fetched_again(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    done = run(place)
    (done.output / RESULT).unlink()
    (done.output / "half.safetensors").touch()

    again = run(place)

    assert [path.name for path in again.output.iterdir()] == [RESULT]
    assert len(place.runner.log) == 1, "its run was known and had completed"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_whose_starter_was_killed_is_taken_up(tmp_path: Path, moment: str) -> None:
    """Killed just before the run begins, or just after."""
    place = Place(tmp_path, trains)
    submit = place.runner.submit

    def killed(folder: Path, *, name: str, announce: object = None) -> str:
        assert callable(announce)
        if moment == "before":
            announce(f"{name}-0")
            raise Killed
        submit(folder, name=name, announce=announce)
        raise Killed

    place.runner.submit = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(place)
    place.runner.submit = submit  # type: ignore[method-assign]

    done = run(place)

    assert not done.again
    assert len(place.runner.log) == 1


def test_a_run_of_another_runner_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    here = Place(tmp_path, trains, where="this machine")
    folder = here.ports.folders.write(JOB, rows=ROWS)
    here.ports.folders.note_run(folder, StartedRun(run="sft-1", where="this machine"))
    there = Place(tmp_path, trains, where="SageMaker")

    with pytest.raises(
        InvalidInput,
        match="sft-1 was started on this machine and jobs now run on SageMaker: set TWIN_JOBS__",
    ):
        run(there)

    assert there.runner.log == []


@pytest.mark.parametrize("away", [False, True], ids=["nothing was started", "nobody can tell"])
def test_a_start_that_was_refused_binds_no_job_to_its_place(tmp_path: Path, away: bool) -> None:
    there = Place(tmp_path, trains, where="SageMaker")

    def refuses(folder: Path, *, name: str, announce: Callable[[str], None] | None = None) -> str:
        assert announce is not None
        announce(f"{name}-0")
        raise BackendUnavailable("AWS does not answer; check the network")

    def status(run: str) -> JobStatus:
        raise BackendUnavailable("AWS does not answer; check the network")

    there.runner.submit = refuses  # type: ignore[method-assign]
    if away:
        there.runner.status = status  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable, match="AWS does not answer"):
        run(there)
    here = Place(tmp_path, trains, where="this machine")

    if away:
        with pytest.raises(InvalidInput, match="was started on SageMaker"):
            run(here)
    else:
        assert not run(here).again


def test_a_run_that_failed_elsewhere_is_started_from_the_beginning_here(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed):
        run(Place(tmp_path, fails, where="this machine"))
    there = Place(tmp_path, trains, where="SageMaker")

    assert not run(there).again
    assert [line.split()[0] for line in there.runner.log] == ["submit"]
    assert "failed on this machine: starting from the beginning on SageMaker" in there.said[0]


def test_what_completed_elsewhere_and_was_fetched_is_not_run_again(tmp_path: Path) -> None:
    run(Place(tmp_path, trains, where="this machine"))
    there = Place(tmp_path, trains, where="SageMaker")

    assert run(there).again
    assert there.runner.log == []


def test_anew_runs_a_job_once_more_and_once_only_per_request(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    run(place)

    dones = [run(place, anew=request) for request in ("monday", "monday", "tuesday")]

    assert [done.again for done in dones] == [False, True, False]
    assert [line.split()[0] for line in place.runner.log] == ["submit"] * 3
    assert run(place).again, "without a request, what is there counts"


def test_anew_that_broke_off_goes_on_under_the_same_request(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    run(place)
    broken = [True]

    def fails_once(job: Job, folder: Path, output: Path) -> None:
        if broken.pop():
            broken.append(False)
            fails(job, folder, output)
        (output / RESULT).write_text(result_of(job).model_dump_json(), "utf-8")

    other = Place(tmp_path, fails_once)
    with pytest.raises(TrainingFailed):
        run(other, anew="monday")

    assert not run(other, anew="monday").again
    assert [line.split()[0] for line in other.runner.log] == ["submit", "resume"]


def test_anew_does_not_double_a_run_that_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path, trains)
    folder = place.ports.folders.write(JOB, rows=ROWS)
    place.ports.folders.note_run(folder, StartedRun(run="sft-1", where="a test"))
    place.runner._states["sft-1"] = JobStatus(state=JobState.RUNNING)

    with pytest.raises(InvalidInput, match="sft-1 of the same job is running: leave --no-cache"):
        run(place, anew="monday")

    assert place.runner.log == []


def test_anew_leaves_a_run_elsewhere_as_it_is_and_says_so(tmp_path: Path) -> None:
    folders = JobFolderTree(tmp_path / "training")
    folder = folders.write(JOB, rows=ROWS)
    folders.note_run(folder, StartedRun(run="sft-1", where="SageMaker"))
    place = Place(tmp_path, trains)

    assert not run(place, anew="monday").again
    assert "sft-1 on SageMaker is left as it is" in place.said
