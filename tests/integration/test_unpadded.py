"""What is trained without padding is what is trained with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.training import DpoJob, JobResult, KtoJob, OptimizerRule
from llm_engineering.recipes import places, preferring
from llm_engineering.recipes.devices import detect_device
from llm_engineering.recipes.dpo import train_dpo
from llm_engineering.recipes.kto import train_kto
from llm_engineering.recipes.running import Run
from tests.integration.small_models import (
    DISLIKED,
    LIKED,
    QUIET,
    prompt,
    ran,
    said,
    skip_without_training,
    write_rows,
)

skip_without_training()
pytestmark = QUIET

RULE = OptimizerRule(
    learning_rate=5e-3, max_steps=20, batch_size=4, evaluations=1, max_length=128, epochs=9
)
"""Twenty steps of one order of rows."""


@pytest.fixture
def folder(small_job: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pairs and ratings of many lengths; computed in f32."""
    pairs = [
        {
            "id": str(number),
            "prompt": prompt(number),
            "chosen": said(f"{LIKED} {number}" * (1 + number % 3)),
            "rejected": said(f"{DISLIKED[: 4 + 5 * (number % 5)]} {number}"),
        }
        for number in range(40)
    ]
    ratings = [
        {
            "id": pair["id"],
            "prompt": pair["prompt"],
            "completion": pair["chosen" if number % 2 else "rejected"],
            "label": bool(number % 2),
        }
        for number, pair in enumerate(pairs)
    ]
    for name, rows in (("pairs", pairs), ("ratings", ratings)):
        write_rows(small_job / name, dict.fromkeys(("train", "validation", "test"), rows))
    monkeypatch.setattr(
        places,
        "detect_device",
        lambda: detect_device().model_copy(update={"precision": "float32"}),
    )
    return small_job


def steps(folder: Path) -> list[tuple[float, float]]:
    """Loss and gradient norm of each; what the run left is put away."""
    lines = (folder / "output" / "metrics.jsonl").read_text("utf-8").splitlines()
    events = [event for event in map(json.loads, lines) if event["stage"] == "train"]
    for name in ("output", "checkpoints"):
        shutil.rmtree(folder / name)
    return [(event["metrics"]["loss"], event["metrics"]["grad_norm"]) for event in events]


@pytest.mark.parametrize(
    ("recipe", "job"),
    [
        (train_dpo, DpoJob(base="base", data=Path("pairs"), sft_weight=0.5, optimizer=RULE)),
        (train_kto, KtoJob(base="base", data=Path("ratings"), optimizer=RULE)),
    ],
)
def test_the_same_20_steps_with_and_without_padding(
    folder: Path,
    recipe: Callable[[Any, Run], JobResult],
    job: DpoJob | KtoJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both read the rows in the job's order; f32 sums in another."""
    read_in_order(monkeypatch)
    without = ran(recipe, job, folder)
    told = steps(folder)
    monkeypatch.setattr(preferring, "isolated", lambda model: False)
    padded = ran(recipe, job, folder)

    assert len(told) == 20
    for one, other in zip(told, steps(folder), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert told[-1][0] < 0.98 * told[0][0], "they moved together"
    assert without.throughput is not None
    assert padded.throughput is not None
    assert without.throughput.tokens == padded.throughput.tokens
    assert without.throughput.padding_share < 0.05 < 0.1 < padded.throughput.padding_share


def read_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    real = Trainer._get_train_sampler

    def in_order(trainer: Any, *given: Any) -> Any:
        trainer.args.train_sampling_strategy = "sequential"
        return real(trainer, *given)

    monkeypatch.setattr(Trainer, "_get_train_sampler", in_order)
