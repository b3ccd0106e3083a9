"""What happens beside a trainer's steps: held-out loss, checkpoints, and reasons to end.

`Follower` decides, `follow` attaches it to a trainer of transformers or TRL and runs it. Training
ends early when the held-out loss stops falling, when its time is over, at SIGTERM (a checkpoint is
written first) or, as a failure, when a loss or gradient is no number any more.

Does not know: which loss is trained, how the held-out loss is measured.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_engineering.domain.errors import TrainingFailed
from llm_engineering.domain.training import DeviceUse, HeldOut, OptimizerRule
from llm_engineering.recipes.checkpoints import (
    Evaluation,
    Progress,
    folder_of,
    keep_few,
    newest_whole,
    progress_of,
    seal,
)
from llm_engineering.recipes.meter import Meter
from llm_engineering.recipes.running import Run, Stopped

TOLD = ("loss", "grad_norm", "learning_rate")
"""Of what a trainer logs, beside names under `rewards/`."""


@dataclass
class Follower:
    """Follows one training run; `measure` gives the held-out measures of the model as it is."""

    run: Run
    rule: OptimizerRule
    meter: Meter
    measure: Callable[[], HeldOut]
    progress: Progress
    rank: Callable[[HeldOut], float] = lambda held_out: held_out.loss
    """Of a checkpoint's measures; the one with the lowest is kept."""
    stopped_early: str = ""
    resumed_from: int | None = None
    checkpoint: Path | None = None
    """Where training goes on, once it was found."""
    measured: dict[int, HeldOut] = field(default_factory=dict)
    """By step, in this process."""
    highest: Callable[[float], float] = float
    """Of the values that the processes of `accelerate launch` have: they must decide alike."""

    def find_checkpoint(self) -> Path | None:
        """The newest that is whole; from now on this run goes on where it was written."""
        found = newest_whole(self.run.checkpoints, job=self.progress.job)
        if found is not None:
            self.checkpoint = found
            self.progress = progress_of(found)
            self.resumed_from = self.progress.step
            self.meter.go_on_from(self.progress)
            self.run.forget_after(self.progress.step)
        return found

    @property
    def best_checkpoint(self) -> Path:
        """Raises TrainingFailed where nothing was measured."""
        if self.progress.best is None:
            raise TrainingFailed("training ended before its first evaluation; allow more steps")
        return folder_of(self.run.checkpoints, self.progress.best.step)

    def step_ended(self, step: int, steps: int) -> tuple[bool, bool]:
        """Whether to write a checkpoint now, and whether to end."""
        self.meter.step_ended()
        if self.highest(self.run.stop_asked):
            self.run.stop_asked = True
            return True, True
        minutes = self.rule.max_minutes
        late = bool(self.highest(minutes is not None and self.meter.seconds >= minutes * 60))
        every = math.ceil(steps / self.rule.evaluations)
        if not (step % every == 0 or step == steps or late):
            return False, False
        self._evaluate(step, steps)
        if step < steps and self.progress.without_gain >= self.rule.patience:
            best = self.progress.best
            assert best is not None
            self.stopped_early = (
                f"no better held-out loss in {self.rule.patience} evaluations; "
                f"kept step {best.step} of {steps}"
            )
        elif step < steps and late:
            self.stopped_early = f"the limit of {minutes:g} minutes was reached at step {step}"
        return True, bool(self.stopped_early)

    def logged(self, logs: Mapping[str, float], step: int, steps: int) -> None:
        """A step's numbers. Raises TrainingFailed for one that is no number."""
        told = {name: logs[name] for name in TOLD if name in logs}
        told |= {name: value for name, value in logs.items() if name.startswith("rewards/")}
        if "loss" not in told:
            return
        self._expect_numbers(told, step)
        self.run.tell("train", step, steps, **told, tokens_per_s=self.meter.last_rate)

    def saved(self, step: int) -> None:
        """The trainer has written its checkpoint of `step`."""
        self.progress = self.progress.model_copy(
            update={
                "step": step,
                "seconds": self.meter.seconds,
                "tokens": self.meter.tokens,
                "learnt": self.meter.learnt,
                "padding": self.meter.padding,
            }
        )
        if self.run.is_first:
            seal(folder_of(self.run.checkpoints, step), self.progress)
            best = self.progress.best
            keep_few(self.run.checkpoints, best=best.step if best else None)
        self.meter.start()

    def _evaluate(self, step: int, steps: int) -> None:
        held_out = self.measure()
        self.measured[step] = held_out
        told = {"validation_loss": held_out.loss}
        if held_out.reward_margin is not None:
            told["reward_margin"] = held_out.reward_margin
        self._expect_numbers(told, step)
        self.run.tell("evaluate", step, steps, **told)
        evaluation = Evaluation(step=step, loss=self.highest(self.rank(held_out)))
        self.progress = self.progress.model_copy(
            update={"evaluations": (*self.progress.evaluations, evaluation)}
        )
        self.meter.start()

    def _expect_numbers(self, told: Mapping[str, float], step: int) -> None:
        for name, value in told.items():
            if not math.isfinite(value):
                kept = self.progress.step
                raise TrainingFailed(
                    f"{name} is {value} at step {step}; lower optimizer.learning_rate "
                    + (f"(the checkpoint of step {kept} is kept)" if kept else "(none was kept)")
                )


def follow(trainer: Any, follower: Follower) -> None:
    """Train from the newest checkpoint, or from the start. Raises Stopped after SIGTERM."""
    from transformers.trainer_callback import PrinterCallback, TrainerCallback

    class Attached(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            follower.meter.start()

        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            follower.meter.batch_ended()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            save, end = follower.step_ended(state.global_step, state.max_steps)
            control.should_save = save
            control.should_training_stop |= end

        def on_log(self, args: Any, state: Any, control: Any, **told: Any) -> None:  # noqa: ARG002
            follower.logged(told["logs"], state.global_step, state.max_steps)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            trainer.accelerator.wait_for_everyone()  # each process writes its random state
            follower.saved(state.global_step)

    follower.highest = _highest_of_all(trainer.accelerator)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Attached())
    found = follower.checkpoint or follower.find_checkpoint()
    follower.run.can_stop = True
    trainer.train(resume_from_checkpoint=None if found is None else str(found))
    follower.run.can_stop = False
    if follower.run.stop_asked:
        raise Stopped


def _highest_of_all(accelerator: Any) -> Callable[[float], float]:
    if accelerator.num_processes == 1:
        return float
    import torch

    def highest(value: float) -> float:
        own = torch.tensor([value], dtype=torch.float64, device=accelerator.device)
        return float(accelerator.gather(own).max())

    return highest


def trainer_arguments(rule: OptimizerRule, run: Run, device: DeviceUse) -> dict[str, Any]:
    """What the configurations of TRL's trainers have in common."""
    return {
        "output_dir": str(run.checkpoints),
        "num_train_epochs": rule.epochs,
        "max_steps": rule.max_steps or -1,
        "per_device_train_batch_size": rule.batch_size,
        "gradient_accumulation_steps": rule.accumulate,
        "learning_rate": rule.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": rule.warmup_share,
        "weight_decay": rule.weight_decay,
        "max_grad_norm": rule.max_grad_norm,
        "seed": rule.seed,
        "data_seed": rule.seed,
        "use_cpu": device.name == "cpu",
        "bf16": device.precision == "bfloat16",
        "dataloader_pin_memory": device.name != "cpu",
        "ddp_find_unused_parameters": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",  # the follower says when
        "eval_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number is not to be averaged away
    }
