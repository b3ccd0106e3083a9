"""Run one training job to its end, or take up what an earlier try left.

Does not know: what the job trains, where it runs.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_engineering.application.training.follow import POLL_S, Say, follow
from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    NotFound,
    TrainingFailed,
    TwinError,
)
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import Job, JobResult
from llm_engineering.ports.jobs import (
    ExperimentTracker,
    JobFolders,
    JobRunner,
    JobState,
    StartedRun,
)
from llm_engineering.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class TrainingPorts:
    """What running jobs takes."""

    runner: JobRunner
    folders: JobFolders
    experiments: ExperimentTracker
    progress: Progress
    say: Say
    """Shows lines to people."""
    sleep: Callable[[float], None]
    poll_s: float = POLL_S
    """A remote log takes a request or two per poll."""


@dataclass(frozen=True, slots=True)
class Done:
    """A completed job."""

    result: JobResult
    output: Path
    again: bool
    """Whether it had been done before, and nothing was run."""


def run_job(
    job: Job,
    *,
    ports: TrainingPorts,
    rows: Mapping[Split, Sequence[Row]] | None = None,
    base: Path | None = None,
    adapter: Path | None = None,
    anew: str = "",
) -> Done:
    """The result of `job`: of an earlier run of the very same job where one has completed.

    A run of it that goes on is followed, one that failed or was stopped is resumed from its last
    checkpoint, also when whoever started it was killed. Two calls at once, in any processes, do it
    once. With `anew`, only what was run for that same request counts.
    Raises TrainingFailed with the reason, InvalidInput when a run of it may go on that this runner
    does not know or that `anew` would double, and what the runner raises.
    """
    folder = ports.folders.write(job, rows=rows, base=base, adapter=adapter)
    output = ports.folders.output(folder)
    with ports.folders.alone(folder, say=ports.say):
        if anew:
            _forget_others(folder, ports, anew=anew)
        before = ports.folders.result(folder)
        if before is not None:
            return Done(before, output, again=True)
        started = _started(folder, ports, anew=anew)
        _follow(job, folder, started, ports)
        ports.folders.clear_output(folder)
        ports.runner.fetch(started.run, output)
        result = ports.folders.result(folder)
    if result is None:
        raise TrainingFailed(
            f"{started.run} completed without a result; 'twin jobs logs {started.run}' shows why"
        )
    return Done(result, output, again=False)


def _follow(job: Job, folder: Path, started: StartedRun, ports: TrainingPorts) -> None:
    """Until it has completed; that it failed is noted, so that another place may start it."""
    with ports.experiments.run(started.run, parameters=job.model_dump(mode="json")) as log:
        try:
            follow(
                started.run,
                runner=ports.runner,
                progress=ports.progress,
                log=log,
                say=ports.say,
                sleep=ports.sleep,
                poll_s=ports.poll_s,
            )
        except TrainingFailed:
            ports.folders.note_run(folder, started.model_copy(update={"failed": True}))
            raise


def _started(folder: Path, ports: TrainingPorts, *, anew: str) -> StartedRun:
    """A run of the job in `folder` that is going on or has completed."""
    last = _known_here(folder, ports, anew=anew)
    state = _state(last, ports.runner)
    if last is None or state is None:
        return _submitted(folder, ports, anew=anew)
    if state in (JobState.FAILED, JobState.STOPPED):
        ports.say(f"{last.run} {state}: going on from its last checkpoint")
        last = last.model_copy(update={"failed": False})
        ports.folders.note_run(folder, last)
        ports.runner.resume(last.run)
    return last


def _submitted(folder: Path, ports: TrainingPorts, *, anew: str) -> StartedRun:
    """Noted before it is started: killed between the two, the next call finds it."""
    noted: list[StartedRun] = []

    def note(run: str) -> None:
        noted.append(StartedRun(run=run, where=ports.runner.where, anew=anew))
        ports.folders.note_run(folder, noted[-1])

    try:
        ports.runner.submit(folder, name=folder.parent.name, announce=note)
    except TwinError:
        with suppress(BackendUnavailable):  # it may have been started: nobody can tell now
            if noted and _state(noted[-1], ports.runner) is None:
                failed = noted[-1].model_copy(update={"failed": True})
                ports.folders.note_run(folder, failed)
        raise
    return noted[-1]


def _known_here(folder: Path, ports: TrainingPorts, *, anew: str) -> StartedRun | None:
    """The last run if the runner that is set now keeps it; None when a fresh one is due."""
    last, here = ports.folders.last_run(folder), ports.runner.where
    if last is None or (anew and last.anew != anew):
        return None
    if last.where == here:
        return last
    if not last.failed:
        raise InvalidInput(
            f"{last.run} was started on {last.where} and jobs now run on {here}: set TWIN_JOBS__* "
            "back to take up that run, or add --no-cache to leave it and train here"
        )
    ports.say(f"{last.run} failed on {last.where}: starting from the beginning on {here}")
    return None


def _forget_others(folder: Path, ports: TrainingPorts, *, anew: str) -> None:
    """Remove a result that another request left; what still runs is not doubled."""
    last = ports.folders.last_run(folder)
    if last is not None and last.anew == anew:
        return
    if last is not None and last.where != ports.runner.where:
        ports.say(f"{last.run} on {last.where} is left as it is")
    elif (state := _state(last, ports.runner)) is not None and last and not state.ended:
        raise InvalidInput(
            f"{last.run} of the same job is {state}: leave --no-cache out to follow it, or "
            f"'twin jobs stop {last.run}' first"
        )
    ports.folders.clear_output(folder)


def _state(last: StartedRun | None, runner: JobRunner) -> JobState | None:
    """None when there is no such run: it never came about, or its runner forgot it."""
    if last is None:
        return None
    try:
        return runner.status(last.run).state
    except NotFound:
        return None
