"""Follow a training run to its end: bars, metrics and log lines as they come.

The run does not depend on who follows it: interrupted here, it goes on there.
Does not know: where the run runs, what it trains, where its metrics are shown.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pydantic import ValidationError

from llm_engineering.domain.errors import BackendUnavailable, TrainingFailed
from llm_engineering.domain.training import StepEvent
from llm_engineering.ports.jobs import JobRunner, JobState, JobStatus, LogMetrics
from llm_engineering.ports.progress import Advance, Progress

POLL_S = 1.0
REMOTE_POLL_S = 5.0
"""A remote log is a request or two per poll, and seconds late anyway."""
MISSES = 12
"""Polls in a row without an answer before giving up: about ten minutes, as the pauses double."""
LONGEST_PAUSE_S = 120.0

Say = Callable[[str], None]
"""Called with each line for people: the run's own, and what happens to the run."""


def follow(
    run: str,
    *,
    runner: JobRunner,
    progress: Progress,
    log: LogMetrics,
    say: Say,
    sleep: Callable[[float], None],
    poll_s: float = POLL_S,
    after: int = 0,
) -> JobStatus:
    """Read the log of `run`, from line `after` on, until it has completed; returns that status.

    A StepEvent moves the bar of its stage and sends its metrics to `log`; every other line goes to
    `say`. A runner that does not answer is asked again for about ten minutes. Raises
    TrainingFailed, with the reason, when the run failed or was stopped; BackendUnavailable when
    its runner stayed away. Neither that nor KeyboardInterrupt (Ctrl-C) ends the run: `say` is told
    how to follow and how to stop it, and the error goes on.
    """
    with ExitStack() as stages:
        reading = _Reading(_Bars(progress, stages), log=log, say=say, lines=after)
        try:
            status = _until_ended(run, runner=runner, reading=reading, sleep=sleep, poll_s=poll_s)
        except (KeyboardInterrupt, BackendUnavailable):
            say(
                f"{run} goes on without this command: 'twin jobs logs {run} --follow' follows it, "
                f"'twin jobs stop {run}' stops it"
            )
            raise
    if status.state is JobState.COMPLETED:
        return status
    fix = f"'twin jobs logs {run}' shows its log, 'twin jobs resume {run}' goes on from there"
    raise TrainingFailed(f"{run} {status.state}: {status.reason or 'no reason was given'}; {fix}")


def step_event(line: str) -> StepEvent | None:
    """The event that `line` holds, None when it is any other line."""
    if not line.startswith("{"):
        return None
    try:
        return StepEvent.model_validate_json(line)
    except ValidationError:
        return None


def _until_ended(
    run: str,
    *,
    runner: JobRunner,
    reading: "_Reading",
    sleep: Callable[[float], None],
    poll_s: float,
) -> JobStatus:
    misses, told = 0, ""
    while True:
        try:
            status = runner.status(run)  # before the lines: after its end no more are written
            reading.take(runner.lines(run, after=reading.lines))
        except BackendUnavailable as error:
            misses += 1
            if misses > MISSES:
                raise
            if misses == 1:
                reading.say(f"{error}; asking again")
            sleep(min(poll_s * 2**misses, LONGEST_PAUSE_S))
            continue
        misses = 0
        if status.state.ended:
            return status
        if status.reason not in ("", told):
            told = status.reason
            reading.say(f"{run} {status.state}: {told}")
        sleep(poll_s)


@dataclass
class _Bars:
    """One bar per stage of a run; stages may take turns."""

    progress: Progress
    stages: ExitStack
    open: dict[str, tuple[Advance, int, ExitStack]] = field(default_factory=dict)
    """Stage -> how it is advanced, its last step, and what closes it."""

    def move(self, event: StepEvent) -> None:
        known = self.open.get(event.stage)
        if known is not None and event.step < known[1]:  # from a checkpoint, or the next round
            known[2].close()
            known = None
        if known is None:
            own = self.stages.enter_context(ExitStack())
            stage = self.progress.stage(event.stage, total=event.steps)
            known = own.enter_context(stage), 0, own
        advance, step, own = known
        advance(event.step - step)
        self.open[event.stage] = advance, event.step, own


@dataclass
class _Reading:
    """What was read of a log so far."""

    bars: _Bars
    log: LogMetrics
    say: Say
    lines: int

    def take(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.lines += 1
            event = step_event(line)
            if event is None:
                self.say(line)
                continue
            self.bars.move(event)
            if event.metrics:
                self.log(event.metrics, event.step)
