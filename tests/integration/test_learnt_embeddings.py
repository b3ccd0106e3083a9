"""An adapter that learns the embeddings as well goes the whole way: SFT, DPO, generate, merge."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llm_engineering.domain.training import (
    DpoJob,
    GenerateJob,
    JobResult,
    LoraRule,
    MergeJob,
    SftJob,
)
from llm_engineering.recipes.adapters import CONFIG, rule_of
from llm_engineering.recipes.bases import load_config, load_model
from llm_engineering.recipes.dpo import train_dpo
from llm_engineering.recipes.estimates import memory_of, shape_of
from llm_engineering.recipes.generate import generate
from llm_engineering.recipes.merge import merge
from llm_engineering.recipes.sft import train_sft
from tests.integration.small_models import (
    CPU,
    DISLIKED,
    LIKED,
    prompt,
    ran,
    said,
    small_base,
    write_rows,
)

for package in ("torch", "trl", "peft", "datasets", "accelerate"):
    pytest.importorskip(package)

pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn about their own defaults

SIZES = {"train": 24, "validation": 6, "test": 6}
STEPS = {"learning_rate": 5e-3, "max_steps": 12, "max_length": 128, "evaluations": 2, "epochs": 9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of jobs on a small base whose matrix of embeddings is both ends of it."""
    folder = tmp_path_factory.mktemp("embeddings")
    small_base(folder / "base")
    chosen = {"completion": said(LIKED), "chosen": said(LIKED), "rejected": said(DISLIKED)}
    for data, sides in (
        ("asked", ()),
        ("rows", ("completion",)),
        ("pairs", ("chosen", "rejected")),
    ):
        write_rows(
            folder / data,
            {
                split: [
                    {"id": f"{split} {n}", "prompt": prompt(n)}
                    | {side: chosen[side] for side in sides}
                    for n in range(size)
                ]
                for split, size in SIZES.items()
            },
        )
    return folder


def sft(*, embeddings: bool) -> SftJob:
    rule = LoraRule(rank=4, alpha=8, embeddings=embeddings)
    return SftJob.model_validate({"base": "base", "data": "rows", "lora": rule, "optimizer": STEPS})


def done(recipe: Callable[..., JobResult], job: BaseModel, folder: Path) -> JobResult:
    """As `ran`, from the beginning."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return ran(recipe, job, folder)


def test_an_adapter_with_its_embeddings_goes_the_whole_way(folder: Path) -> None:
    without = done(train_sft, sft(embeddings=False), folder).after["test"].loss
    tuned = done(train_sft, sft(embeddings=True), folder)
    assert tuned.after["test"].loss < without, "what else it may learn, it learns"
    assert json.loads((folder / "output/adapter" / CONFIG).read_text())["modules_to_save"]
    assert rule_of(folder / "output/adapter").embeddings
    (folder / "output/adapter").rename(folder / "adapter")

    preferred = done(
        train_dpo,
        DpoJob.model_validate({"base": "base", "data": "pairs", "optimizer": STEPS}),
        folder,
    )
    assert preferred.before["test"].loss == pytest.approx(tuned.after["test"].loss, rel=1e-4)
    assert preferred.before["test"].reward_margin == pytest.approx(0, abs=1e-4)
    assert (preferred.after["test"].reward_margin or 0) > 0

    job = GenerateJob(
        base="base", adapter=Path("adapter"), data=Path("asked"), max_tokens=16, temperature=0
    )
    done(generate, job, folder)
    first = json.loads((folder / "output/answers.jsonl").read_text().splitlines()[0])
    assert first["text"].startswith(LIKED[:8])

    done(merge, MergeJob(base="base"), folder)  # compares itself with base and adapter
    merged: Any = load_model(str(folder / "output/model"), CPU)
    table = merged.get_input_embeddings().weight
    assert table.data_ptr() == merged.get_output_embeddings().weight.data_ptr(), "still one matrix"
    base: Any = load_model(str(folder / "base"), CPU)
    assert not table.equal(base.get_input_embeddings().weight)


def test_embeddings_that_are_learnt_take_memory_once(folder: Path) -> None:
    shape = shape_of(load_config(str(folder / "base")))
    assert shape.embeddings == shape.head, "one matrix is both"
    step: dict[str, Any] = {"sequences": 1, "length": 128, "measured": 128, "bytes_each": 4}
    plain, learnt = (
        memory_of(shape, LoraRule(rank=4, embeddings=each), **step).adapter
        for each in (False, True)
    )
    assert learnt - plain == pytest.approx(shape.embeddings * 16 / 1024**2)
