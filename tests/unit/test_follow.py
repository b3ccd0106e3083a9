"""Following a run: what reaches the bars, the tracker and the person, and how it ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_engineering.application.training.follow import MISSES, follow
from llm_engineering.domain.errors import BackendUnavailable, TrainingFailed
from llm_engineering.domain.training import StepEvent
from llm_engineering.ports.jobs import JobRunner, JobState, JobStatus
from llm_engineering.ports.progress import Advance

RUNNING, COMPLETED = JobStatus(state=JobState.RUNNING), JobStatus(state=JobState.COMPLETED)

Poll = tuple[JobStatus, list[str]] | BaseException
"""What a runner shows at one poll: the status and the lines that are new, or its error."""


class ScriptedRunner:
    """Shows one poll after the other; only what `follow` asks for."""

    def __init__(self, *polls: Poll) -> None:
        self.polls = iter(polls)
        self.log: list[str] = []

    def status(self, run: str) -> JobStatus:
        poll = next(self.polls)
        if isinstance(poll, BaseException):
            raise poll
        status, new = poll
        self.log += new
        return status

    def lines(self, run: str, *, after: int = 0) -> Sequence[str]:
        return self.log[after:]

    where = "a test"

    def submit(
        self, folder: Path, *, name: str, announce: Callable[[str], None] | None = None
    ) -> str:
        raise NotImplementedError

    def stop(self, run: str) -> None:
        raise AssertionError("following stops nothing")

    def resume(self, run: str) -> None:
        raise NotImplementedError

    def fetch(self, run: str, into: Path) -> Path:
        raise NotImplementedError

    def runs(self) -> Sequence[str]:
        raise NotImplementedError

    def place(self) -> str:
        raise NotImplementedError


@dataclass
class Seen:
    """Everything that `follow` passed on."""

    bars: list[list[object]] = field(default_factory=list)
    """[stage, total, done, whether it is closed] of each bar."""
    metrics: list[tuple[dict[str, float], int]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, *, total: int | None = None) -> Iterator[Advance]:
        bar: list[object] = [name, total, 0, False]
        self.bars.append(bar)

        def advance(done: int) -> None:
            assert isinstance(bar[2], int)
            bar[2] += done

        try:
            yield advance
        finally:
            bar[3] = True

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.metrics.append((dict(metrics), step))

    def follow(self, runner: JobRunner, *, after: int = 0) -> JobStatus:
        return follow(
            "sft-1",
            runner=runner,
            progress=self,
            log=self.log,
            say=self.said.append,
            sleep=self.pauses.append,
            poll_s=2.0,
            after=after,
        )


def step(number: int, *, stage: str = "train", **metrics: float) -> str:
    return StepEvent(stage=stage, step=number, steps=4, metrics=metrics).model_dump_json()


def test_steps_move_the_bar_metrics_reach_the_tracker_and_other_lines_the_person() -> None:
    seen = Seen()
    runner = ScriptedRunner(
        (RUNNING, ["on cpu: no CUDA device", step(1, loss=3.5)]),
        (RUNNING, []),
        (COMPLETED, [step(4, loss=2.5), "done"]),
    )

    assert seen.follow(runner) == COMPLETED

    assert seen.bars == [["train", 4, 4, True]]
    assert seen.metrics == [({"loss": 3.5}, 1), ({"loss": 2.5}, 4)]
    assert seen.said == ["on cpu: no CUDA device", "done"]
    assert seen.pauses == [2.0, 2.0]


def test_stages_that_take_turns_keep_their_bars() -> None:
    seen = Seen()
    lines = [step(1), step(2, stage="evaluate", validation_loss=2.0), step(3)]
    seen.follow(ScriptedRunner((COMPLETED, lines)))
    assert seen.bars == [["train", 4, 3, True], ["evaluate", 4, 2, True]]
    assert seen.metrics == [({"validation_loss": 2.0}, 2)]


def test_a_stage_that_goes_back_to_a_checkpoint_gets_a_new_bar() -> None:
    seen = Seen()
    seen.follow(ScriptedRunner((COMPLETED, [step(3), step(2), step(4)])))
    assert seen.bars == [["train", 4, 3, True], ["train", 4, 4, True]]


@pytest.mark.parametrize(
    "line", ["{", '{"event": "end"}', '{"event": "step", "stage": 1}', "[1]", '{"loss": 2}']
)
def test_a_line_that_only_looks_like_an_event_is_shown(line: str) -> None:
    seen = Seen()
    seen.follow(ScriptedRunner((COMPLETED, [line])))
    assert seen.said == [line]


def test_lines_that_were_seen_before_are_not_shown_again() -> None:
    seen = Seen()
    seen.follow(ScriptedRunner((RUNNING, ["one", "two"]), (COMPLETED, ["three"])), after=1)
    assert seen.said == ["two", "three"]


def test_what_a_run_waits_for_is_said_once() -> None:
    seen = Seen()
    queued = JobStatus(state=JobState.QUEUED, reason="preparing the instances")
    seen.follow(ScriptedRunner((queued, []), (queued, []), (COMPLETED, [])))
    assert seen.said == ["sft-1 queued: preparing the instances"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.STOPPED])
def test_a_run_that_did_not_complete_is_an_error_with_its_reason_and_the_way_on(
    state: JobState,
) -> None:
    seen = Seen()
    ended = JobStatus(state=state, reason="ended by signal 9")
    with pytest.raises(TrainingFailed) as error:
        seen.follow(ScriptedRunner((ended, [step(1), "last words"])))
    assert str(error.value).startswith(f"sft-1 {state}: ended by signal 9; ")
    assert "twin jobs resume sft-1" in str(error.value)
    assert seen.said == ["last words"], "the log is read to its end first"
    assert seen.bars == [["train", 4, 1, True]]


def test_ctrl_c_leaves_the_run_going_and_says_how_to_follow_and_stop_it() -> None:
    seen = Seen()
    with pytest.raises(KeyboardInterrupt):
        seen.follow(ScriptedRunner((RUNNING, [step(1)]), KeyboardInterrupt()))
    (said,) = seen.said
    assert "twin jobs logs sft-1 --follow" in said
    assert "twin jobs stop sft-1" in said
    assert seen.bars[0][3], "the bar is closed"


def test_a_runner_that_is_away_for_a_while_is_asked_again() -> None:
    seen = Seen()
    away = BackendUnavailable("no answer from SageMaker")
    assert seen.follow(ScriptedRunner(away, away, (COMPLETED, ["done"]))) == COMPLETED
    assert seen.said == ["no answer from SageMaker; asking again", "done"]
    assert seen.pauses == [4.0, 8.0]


def test_a_runner_that_stays_away_is_given_up_and_the_run_goes_on() -> None:
    seen = Seen()
    away = BackendUnavailable("no answer from SageMaker")
    with pytest.raises(BackendUnavailable, match="no answer"):
        seen.follow(ScriptedRunner(*[away] * (MISSES + 1)))
    assert len(seen.pauses) == MISSES
    assert 500 < sum(seen.pauses) < 1_500
    assert "goes on without this command" in seen.said[-1]
