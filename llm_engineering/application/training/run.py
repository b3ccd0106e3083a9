"""Run one training job to its end, or take up what an earlier try left.

Does not know: what the job trains, where it runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_engineering.application.training.follow import POLL_S, Say, follow
from llm_engineering.domain.errors import NotFound, TrainingFailed
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import Job, JobResult
from llm_engineering.ports.jobs import ExperimentTracker, JobFolders, JobRunner, JobState
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
) -> Done:
    """The result of `job`: of an earlier run of the very same job where one has completed.

    A run of it that goes on is followed, one that failed or was stopped is resumed from its last
    checkpoint. Raises TrainingFailed with the reason, and what the runner raises.
    """
    folder = ports.folders.write(job, rows=rows, base=base, adapter=adapter)
    output = ports.folders.output(folder)
    before = ports.folders.result(folder)
    if before is not None:
        return Done(before, output, again=True)
    run = _started(folder, ports, name=folder.parent.name)
    with ports.experiments.run(run, parameters=job.model_dump(mode="json")) as log:
        follow(
            run,
            runner=ports.runner,
            progress=ports.progress,
            log=log,
            say=ports.say,
            sleep=ports.sleep,
            poll_s=ports.poll_s,
        )
    ports.runner.fetch(run, output)
    result = ports.folders.result(folder)
    if result is None:
        raise TrainingFailed(f"{run} completed without a result; 'twin jobs logs {run}' shows why")
    return Done(result, output, again=False)


def _started(folder: Path, ports: TrainingPorts, *, name: str) -> str:
    """Id of a run of the job in `folder` that is going on or has completed."""
    run = ports.folders.run(folder)
    try:
        state = ports.runner.status(run).state if run else None
    except NotFound:  # its runner forgot it, or another one is set now
        state = None
    if state is None:
        run = ports.runner.submit(folder, name=name)
        ports.folders.started(folder, run=run)
    elif state in (JobState.FAILED, JobState.STOPPED):
        ports.say(f"{run} {state}: going on from its last checkpoint")
        ports.runner.resume(run)
    return run
