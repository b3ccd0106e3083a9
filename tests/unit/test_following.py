"""When a training run measures, saves, ends, fails: decided without any trainer."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llm_engineering.domain.errors import TrainingFailed
from llm_engineering.domain.training import DeviceUse, HeldOut, OptimizerRule
from llm_engineering.recipes.checkpoints import Progress, folder_of
from llm_engineering.recipes.following import Follower
from llm_engineering.recipes.meter import Meter
from llm_engineering.recipes.running import Run

CPU = DeviceUse(name="cpu", precision="float32", reason="a test")


def follower(
    folder: Path,
    losses: Sequence[float] = (),
    *,
    evaluations: int = 5,
    patience: int = 2,
    max_minutes: float | None = None,
) -> Follower:
    """Its held-out losses are `losses`, one after the other."""
    left: Iterator[float] = iter(losses)
    meter = Meter(CPU)
    run = Run(folder, folder, folder, events=io.StringIO())
    rule = OptimizerRule(evaluations=evaluations, patience=patience, max_minutes=max_minutes)
    return Follower(
        run, rule, meter, lambda: HeldOut(rows=1, loss=next(left)), Progress(job="mine")
    )


def steps(found: Follower, count: int) -> tuple[list[int], int]:
    """Steps at which a checkpoint was asked for, and the one at which training ended."""
    saved = []
    for step in range(1, count + 1):
        found.meter.watch(lambda _: {"input_ids": _Numel(8)})([{"input_ids": [0] * 8}])
        save, end = found.step_ended(step, count)
        if save:
            saved.append(step)
            folder_of(found.run.checkpoints, step).mkdir()
            found.saved(step)
        if end:
            return saved, step
    return saved, count


class _Numel(list[int]):
    def __init__(self, size: int) -> None:
        super().__init__([0] * size)

    def numel(self) -> int:
        return len(self)


def test_it_measures_and_saves_as_often_as_the_rule_says_and_at_the_end(tmp_path: Path) -> None:
    found = follower(tmp_path, [5, 4, 3, 2, 1])
    assert steps(found, 18) == ([4, 8, 12, 16, 18], 18)
    assert found.stopped_early == ""


def test_it_ends_when_the_loss_has_not_fallen_for_so_long_and_keeps_the_best(
    tmp_path: Path,
) -> None:
    found = follower(tmp_path, [5, 3, 4, 3])
    assert steps(found, 20) == ([4, 8, 12, 16], 16)
    assert found.stopped_early == "no better held-out loss in 2 evaluations; kept step 8 of 20"
    assert found.best_checkpoint == folder_of(tmp_path, 8)
    assert found.best_checkpoint.is_dir(), "the best is kept beside the newest"


def test_it_ends_at_the_next_step_after_its_time_measured_and_saved(tmp_path: Path) -> None:
    found = follower(tmp_path, [5], max_minutes=0.5)
    found.meter.seconds = 31
    assert steps(found, 20) == ([1], 1)
    assert found.stopped_early == "the limit of 0.5 minutes was reached at step 1"


def test_sigterm_saves_at_the_next_step_and_measures_nothing(tmp_path: Path) -> None:
    found = follower(tmp_path)
    found.run.stop_asked = True
    assert steps(found, 20) == ([1], 1)
    assert found.stopped_early == ""


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_fails_and_names_the_checkpoint_that_is_kept(
    tmp_path: Path, name: str, value: float
) -> None:
    found = follower(tmp_path, [5])
    steps(found, 1)
    logs = {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 0.1} | {name: value}
    with pytest.raises(
        TrainingFailed, match=rf"{name} is {value} at step 2; lower .* of step 1 is"
    ):
        found.logged(logs, 2, 20)


def test_a_held_out_loss_that_is_no_number_fails_before_anything_is_saved(tmp_path: Path) -> None:
    found = follower(tmp_path, [float("nan")])
    with pytest.raises(TrainingFailed, match=r"validation_loss is nan at step 1.*none was kept"):
        steps(found, 1)
    assert found.progress.evaluations == ()


def test_training_that_measured_nothing_has_no_best(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="before its first evaluation"):
        _ = follower(tmp_path).best_checkpoint


def test_a_resumed_run_goes_on_with_what_it_knew_and_tells_later_steps_anew(
    tmp_path: Path,
) -> None:
    first = follower(tmp_path, [5, 4])
    for step in (1, 2, 3):
        first.run.tell("train", step, 20, loss=float(step))
    steps(first, 2)
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"event": "step", "st')  # killed while writing
    second = follower(tmp_path, [])
    assert second.find_checkpoint() == folder_of(tmp_path, 2)
    assert second.resumed_from == 2
    assert second.progress.evaluations == first.progress.evaluations
    assert second.meter.tokens == first.meter.tokens == 16
    told = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert max(event["step"] for event in told) == 2
