"""The demo's training: SFT, then DPO with LoRA, in a bounded time, and what it changed."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_engineering.domain.reports import TrainingReport
from llm_engineering.domain.training import NANO
from tools.output import note, write_text
from tools.serve import TWIN
from tools.trained import write_training

SMALL = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Small enough for a laptop's CPU, and it already writes."""
HUB_TIMEOUT_S = 4
CONFIG = "configs/training_demo.yaml"


class ChosenBase(NamedTuple):
    """The base that is trained, and why this one."""

    name: str
    reason: str


def chosen_base() -> ChosenBase:
    """A small model of the hub where it can be had, else a nano that is made here."""
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(try_to_load_from_cache(SMALL, "model.safetensors"), str):
        return ChosenBase(SMALL, "it is in this machine's cache")
    try:
        HfApi().model_info(SMALL, timeout=HUB_TIMEOUT_S)
    except (OSError, httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        return ChosenBase(
            NANO, f"the model hub does not answer ({reason[:80]}), so a tiny one is made here"
        )
    return ChosenBase(SMALL, "the model hub answers")


def train(base: ChosenBase) -> dict[str, Any]:
    """Run the pipeline; returns its outcome, also when it failed: then `error` says why."""
    note(f"training with {base.name}: {base.reason}…")
    done = subprocess.run(
        [*TWIN, "run", "training", "-c", CONFIG, "-s", f"training.base={base.name}", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        outcome: dict[str, Any] = json.loads(done.stdout)
    except ValueError:  # it ended before the pipeline began, and has said why
        return {"error": "see the line above", "reports": {}}
    return outcome


def tell(outcome: Mapping[str, Any]) -> None:
    """What training changed on the held-out documents, or why there was none."""
    found = outcome["reports"].get("training")
    if found is None:
        write_text(f"not trained: {outcome['error']}")
        return
    write_training(TrainingReport.model_validate(found))
