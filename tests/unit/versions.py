"""Makers of trained versions: adapter folders with real weights, and their manifests."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

from llm_engineering.domain.models import ModelManifest, ProductionManifest
from llm_engineering.domain.training import DeviceUse, HeldOut, JobResult
from llm_engineering.ports.jobs import ModelRegistry

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


def tuned(loss: float, *, rows: int = 20) -> JobResult:
    """Fine-tuned from a loss of 3 to this one."""
    return result(before=held_out(3.0, rows=rows), after=held_out(loss, rows=rows))


class Add:
    """Registers a version with the figures that are given."""

    def __init__(self, registry: ModelRegistry, folder: Path) -> None:
        self.registry, self.folder, self.count = registry, folder, 0

    def __call__(self, figures: JobResult, **given: Any) -> str:
        adapter = adapter_folder(self.folder / f"trained-{self.count}", seed=self.count)
        self.count += 1
        made = manifest(adapter, figures, **given)
        self.registry.add(made, adapter=adapter)
        return made.version


def there(registry: ModelRegistry) -> ProductionManifest:
    """What is in production."""
    production = registry.production()
    assert production is not None
    return production
