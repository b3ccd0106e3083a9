"""Makers of trained versions: adapter folders with real weights, and their manifests."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

from llm_engineering.domain.models import ModelManifest
from llm_engineering.domain.training import DeviceUse, HeldOut, JobResult

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def adapter_folder(folder: Path, *, seed: int = 0) -> Path:
    """An adapter of one small matrix; another seed, other weights."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32)
    save_file({"lora_A.weight": weights}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    return folder


def digest(adapter: Path) -> str:
    return hashlib.sha256((adapter / "adapter_model.safetensors").read_bytes()).hexdigest()


def held_out(loss: float, margin: float | None = None, *, rows: int = 20) -> HeldOut:
    return HeldOut(rows=rows, loss=loss, reward_margin=margin)


UNTRAINED, TRAINED = held_out(3.0), held_out(2.5)


def result(
    recipe: Literal["sft", "dpo", "kto"] = "sft",
    *,
    before: HeldOut | None = UNTRAINED,
    after: HeldOut | None = TRAINED,
    sha256: str = "",
) -> JobResult:
    return JobResult(
        recipe=recipe,
        base="nano",
        nano=False,
        device=DeviceUse(name="cpu", precision="float32", reason="no CUDA device"),
        before={"test": before} if before else {},
        after={"test": after} if after else {},
        adapter_sha256=sha256,
        seconds=12.0,
    )


def manifest(
    adapter: Path, measured: JobResult, *, minutes: int = 0, **given: Any
) -> ModelManifest:
    """Of the adapter in a folder, created so many minutes after the first one."""
    sha256 = digest(adapter)
    fields: dict[str, Any] = {
        "version": f"{measured.recipe}-{sha256[:12]}",
        "created_at": NOW + timedelta(minutes=minutes),
        "author": "Ada",
        "base": "nano",
        "nano": False,
        "adapter_sha256": sha256,
        "dataset": "5ee2970c",
        "document_ids": ("d1", "d2"),
        "config": {"seed": 0},
        "result": measured,
        "git_commit": "de4fde5",
    }
    return ModelManifest(**fields | given)
