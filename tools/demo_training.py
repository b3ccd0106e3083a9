"""The demo's training: SFT, then DPO with LoRA, in a bounded time, and what it changed."""

import json
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from llm_engineering.domain.errors import MissingExtra, TooFewSamples, TrainingFailed
from llm_engineering.domain.reports import TrainingReport
from llm_engineering.domain.training import NANO
from llm_engineering.recipes.hub_cache import is_whole_in_cache
from tools.output import note, write_text
from tools.serve import TWIN
from tools.trained import write_training

SMALL = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Small enough for a laptop's CPU, and it already writes."""
HUB_TIMEOUT_S = 4
CONFIGS = {NANO: "configs/training_demo.yaml", SMALL: "configs/training_demo_hub.yaml"}
"""Of each base: what has to learn everything learns fast, and what can write would forget it."""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
"""Of the extra that training takes."""


class ChosenBase(NamedTuple):
    """The base that is trained, and why this one."""

    name: str
    reason: str


def chosen_base() -> ChosenBase:
    """A small model of the hub where it can be had, else a nano that is made here."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if is_whole_in_cache(SMALL):
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
        [*TWIN, "run", "training", "-c", CONFIGS[base.name], "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        outcome: dict[str, Any] = json.loads(done.stdout)
    except ValueError:  # it ended before the pipeline began, and has said why
        return {"error": "it never began, see the line above", "error_kind": None, "reports": {}}
    return outcome


def not_installed() -> MissingExtra | None:
    """What training lacks on this machine."""
    lacking = (package for package in PACKAGES if find_spec(package) is None)
    package = next(lacking, None)
    return MissingExtra(package, extra="train") if package else None


def tell(outcome: Mapping[str, Any]) -> TrainingFailed | None:
    """Show what training changed on the held-out documents, as far as it came, and why no further.

    Returns the failure that a user has to know of: that a corpus is too small to train on is said,
    and is none.
    """
    if (found := outcome["reports"].get("training")) is not None:
        write_training(TrainingReport.model_validate(found))
    if (why := outcome["error"]) is None:
        return None
    if outcome["error_kind"] == TooFewSamples.__name__:
        write_text(f"{'trained no further' if found else 'not trained'}: {why}")
        return None
    write_text(f"training failed: {why}", style="bold red")
    return TrainingFailed(f"all of the demo worked but its training, which failed: {why}")
