"""`make stop`: end the training runs of this machine, which no terminal ends by being closed."""

import time
from collections.abc import Callable, Sequence

import click

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import TwinError
from llm_engineering.ports.jobs import JobRunner, JobState
from llm_engineering.settings import LocalJobsSettings, SageMakerJobsSettings, load_settings
from tools.output import note

WITHIN_S = 75.0
"""Longer than a run has for its last checkpoint."""
POLL_S = 0.1


def going_on(runner: JobRunner) -> tuple[str, ...]:
    """Runs that have not ended."""
    return tuple(run for run in runner.runs() if not runner.status(run).state.ended)


def stop_runs(
    runner: JobRunner,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    within_s: float = WITHIN_S,
) -> None:
    """Stop all that go on, wait for their last checkpoints, say of each what became of it."""
    runs = going_on(runner)
    if not runs:
        click.echo("no training run is going on")
        return
    note(f"stopping {', '.join(runs)}: a last checkpoint is written…")
    for run in runs:
        runner.stop(run)
    deadline = clock() + within_s
    while _any_goes_on(runner, runs) and clock() < deadline:
        sleep(POLL_S)
    for run in runs:
        click.echo(_became(run, runner.status(run).state))


def _any_goes_on(runner: JobRunner, runs: Sequence[str]) -> bool:
    return any(not runner.status(run).state.ended for run in runs)


def _became(run: str, state: JobState) -> str:
    match state:
        case JobState.STOPPED | JobState.FAILED:
            return f"stopped {run}; 'twin jobs resume {run}' goes on from its last checkpoint"
        case JobState.COMPLETED:
            return f"{run} completed before it was stopped"
        case _:
            return f"{run} was asked to stop and has not ended yet; see 'twin jobs show {run}'"


def main() -> None:
    settings = load_settings()
    with open_app(settings.model_copy(update={"jobs": LocalJobsSettings()})) as app:
        stop_runs(app.jobs)
    if isinstance(settings.jobs, SageMakerJobsSettings):
        note("runs on SageMaker go on; 'twin jobs list' shows them, 'twin jobs stop' ends one")


if __name__ == "__main__":
    try:
        main()
    except TwinError as error:
        raise SystemExit(f"twin: error: {error}") from None
