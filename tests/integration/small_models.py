"""Makers of small bases, adapters and rows that recipes are really run on."""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llm_engineering.domain.training import DeviceUse, JobResult, LoraRule, PretrainNanoJob
from llm_engineering.recipes.adapters import with_lora
from llm_engineering.recipes.bases import NANO_MARK, load_model
from llm_engineering.recipes.pretrain_nano import new_model, train_tokenizer
from llm_engineering.recipes.running import Run

LIKED = "the sea is wide and blue and calm"
DISLIKED = "buy now our offer ends very soon"
QUIET = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers", "ignore::FutureWarning:peft"
)
"""peft and TRL ask transformers by names that it will drop."""
CPU = DeviceUse(name="cpu", precision="float32", reason="for tests")


def skip_without_training() -> None:
    """Skips a module whose tests run recipes where the extra `train` is not installed."""
    for package in ("torch", "trl", "peft", "datasets", "accelerate"):
        pytest.importorskip(package)


def small_base(folder: Path, *, width: int = 32) -> Path:
    """A nano with random weights and a context of 128 tokens."""
    import torch

    texts = [LIKED, DISLIKED, "write something about day number one two three", "You are a twin."]
    tokenizer = train_tokenizer(texts * 4, vocabulary=320, context=128)
    job = PretrainNanoJob(layers=2, width=width, heads=2, context=128)
    torch.manual_seed(0)
    model = new_model(job, tokenizer)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / NANO_MARK).write_text("{}\n")
    return folder


def small_adapter(folder: Path, base: Path, *, strength: float = 0.0) -> Path:
    """On all linear layers; `strength` 0: as LoRA starts, it changes nothing."""
    import torch

    rule = LoraRule(rank=4, alpha=8)
    adapted = with_lora(load_model(str(base), CPU), rule, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data = strength * torch.randn(weight.shape, generator=generator)
    adapted.save_pretrained(str(folder))
    return folder


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def prompt(number: int) -> list[dict[str, str]]:
    return [turn("system", "You are a twin."), turn("user", f"write something about day {number}")]


def said(text: str) -> list[dict[str, str]]:
    return [turn("assistant", text)]


def write_rows(data: Path, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    data.mkdir(parents=True, exist_ok=True)
    for split, found in rows.items():
        lines = (json.dumps(row) for row in found)
        (data / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def ran(
    recipe: Callable[[Any, Run], JobResult],
    job: BaseModel,
    folder: Path,
    *,
    events: io.StringIO | None = None,
) -> JobResult:
    """A recipe's result; its output is in `folder/output`."""
    for name in ("output", "checkpoints"):
        (folder / name).mkdir(exist_ok=True)
    run = Run(folder, folder / "output", folder / "checkpoints", events=events or io.StringIO())
    with contextlib.redirect_stdout(io.StringIO()):
        return recipe(job, run)
