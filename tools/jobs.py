"""`twin jobs`: training runs, wherever they run."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from llm_engineering.application.training.follow import POLL_S, REMOTE_POLL_S, follow
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.ports.jobs import JobRunner, JobState, JobStatus
from llm_engineering.settings import SageMakerJobsSettings
from tools.output import Column, note, one_line, write_json, write_rows, write_table, write_verbatim

_SHOWN = 20
_STYLES = {
    JobState.COMPLETED: "green",
    JobState.RUNNING: "cyan",
    JobState.FAILED: "bold red",
    JobState.STOPPED: "yellow",
}
_RUN = click.argument("run", metavar="RUN")


@click.group()
def jobs() -> None:
    """Follow, stop, resume and fetch training runs.

    RUN may be any beginning of a run's id that no other run has. A run does not depend on this
    command: it goes on when the terminal is closed.
    """


@jobs.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_SHOWN,
    show_default=True,
    help="Only the newest so many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_runs(limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    with open_app() as app:
        runs = app.jobs.runs()
        found = [*_known(app.jobs, runs[:limit])]
    if as_json:
        write_json([_described(run, status) for run, status in found])
        return
    if not found:
        note("no runs yet; training pipelines start them")
        return
    write_table(
        [Column("run"), Column("state"), Column("reason", wide=True)],
        [[run, status.state, status.reason] for run, status in found],
        styles={state.value: style for state, style in _STYLES.items()},
    )
    if len(runs) > limit:
        note(f"{len(runs) - limit} older runs are not shown; see --limit")


@jobs.command()
@_RUN
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(run: str, as_json: bool) -> None:
    """Say how far a run is, and what can be done with it."""
    with open_app() as app:
        run = _full(app.jobs, run)
        _show(run, app.jobs.status(run), as_json=as_json)


@jobs.command()
@_RUN
@click.option("-f", "--follow", "following", is_flag=True, help="Stay until the run has ended.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Leave out so many lines.")
def logs(run: str, following: bool, after: int) -> None:
    """Print what a run said: its log as it is, or with --follow its bars, metrics and words.

    With --follow the exit code is 1 when the run failed or was stopped.
    """
    with open_app() as app:
        run = _full(app.jobs, run)
        if following:
            _follow(app, run, after=after)
            return
        if lines := app.jobs.lines(run, after=after):
            write_verbatim("\n".join(lines))


@jobs.command()
@_RUN
def stop(run: str) -> None:
    """Ask a run to end; its last checkpoint stays."""
    with open_app() as app:
        run = _full(app.jobs, run)
        app.jobs.stop(run)
        _show(run, app.jobs.status(run))


@jobs.command()
@_RUN
@click.option("-f", "--follow", "following", is_flag=True, help="Stay until the run has ended.")
def resume(run: str, following: bool) -> None:
    """Start a failed or stopped run again, from its last checkpoint."""
    with open_app() as app:
        run = _full(app.jobs, run)
        seen = len(app.jobs.lines(run))
        app.jobs.resume(run)
        if following:
            _follow(app, run, after=seen)
        else:
            _show(run, app.jobs.status(run))


@jobs.command()
@_RUN
@click.argument("folder", type=click.Path(path_type=Path))
def fetch(run: str, folder: Path) -> None:
    """Copy the output of a completed run to FOLDER, which must be new or empty."""
    with open_app() as app:
        run = _full(app.jobs, run)
        click.echo(app.jobs.fetch(run, folder))


def _known(runner: JobRunner, runs: Sequence[str]) -> Iterator[tuple[str, JobStatus]]:
    """Without a run that went meanwhile, or whose submitter died before there was one."""
    for run in runs:
        with suppress(NotFound):
            yield run, runner.status(run)


def _full(runner: JobRunner, beginning: str) -> str:
    """The one run whose id starts so; an id that no run has is given back as it is."""
    runs = runner.runs()
    if not beginning or beginning in runs:
        return beginning
    found = [run for run in runs if run.startswith(beginning)]
    if len(found) > 1:
        raise InvalidInput(f"{len(found)} runs start with {beginning!r}: {', '.join(found[:3])}…")
    return found[0] if found else beginning


def _follow(app: App, run: str, *, after: int) -> None:
    remote = isinstance(app.settings.jobs, SageMakerJobsSettings)

    def log(metrics: Mapping[str, float], step: int) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        click.echo(one_line(f"step {step}: {shown}"))

    follow(
        run,
        runner=app.jobs,
        progress=app.progress,
        log=log,
        say=lambda line: click.echo(one_line(line), err=True),
        sleep=time.sleep,
        poll_s=REMOTE_POLL_S if remote else POLL_S,
        after=after,
    )
    note(f"{run} completed; 'twin jobs fetch {run} FOLDER' gets its output")


def _show(run: str, status: JobStatus, *, as_json: bool = False) -> None:
    if as_json:
        write_json(_described(run, status))
        return
    write_rows([(run, status.state, status.reason)])
    if next_step := _next_step(run, status.state):
        note(next_step)


def _described(run: str, status: JobStatus) -> dict[str, str]:
    return {
        "run": run,
        "state": status.state,
        "reason": status.reason,
        "next": _next_step(run, status.state),
    }


def _next_step(run: str, state: JobState) -> str:
    match state:
        case JobState.QUEUED | JobState.RUNNING:
            return f"twin jobs logs {run} --follow"
        case JobState.COMPLETED:
            return f"twin jobs fetch {run} FOLDER"
        case JobState.FAILED | JobState.STOPPED:
            return f"twin jobs resume {run}"
