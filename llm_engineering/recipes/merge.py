"""Fold an adapter into its base: one model that needs no PEFT.

    python -m llm_engineering.recipes.merge FOLDER/job.json --output DIR --checkpoints DIR

In the precision that the base is stored in, on the CPU. What comes out is compared with base and
adapter on a probe, and not written where they differ by more than that precision explains.

Does not know: what the model is for.
"""

import logging
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from llm_engineering.domain.errors import TrainingFailed
from llm_engineering.domain.templates import without_thoughts
from llm_engineering.domain.training import MODEL, DeviceUse, JobResult, MergeJob
from llm_engineering.recipes.adapters import WEIGHTS, rule_of, with_adapter
from llm_engineering.recipes.bases import (
    NANO_MARK,
    is_nano,
    load_config,
    load_model,
    load_tokenizer,
    locate,
)
from llm_engineering.recipes.checkpoints import file_digest
from llm_engineering.recipes.devices import detect_device
from llm_engineering.recipes.estimates import shape_of
from llm_engineering.recipes.fits import fit_merging
from llm_engineering.recipes.places import room_here
from llm_engineering.recipes.running import Run, run_recipe, versions

if TYPE_CHECKING:
    import torch

PROBE = 64
"""Tokens whose predictions are compared."""
CLOSE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}
"""Largest difference of logits, as a share of their norm; bf16 has 8 bits of mantissa."""

_LOG = logging.getLogger(__name__)


def merge(job: MergeJob, run: Run) -> JobResult:
    """Raises InvalidInput for a base or an adapter that cannot be read or do not fit, together or
    into this machine's memory; TrainingFailed where the merged model predicts something else."""
    detect_device()  # raises MissingExtra
    base, adapter = locate(job.base, run.folder), run.folder / job.adapter
    tokenizer = load_tokenizer(base)
    config = load_config(base)
    device = DeviceUse(name="cpu", precision=_precision(config), reason="as the base is stored")
    fit_merging(job, shape_of(config), rule_of(adapter), room_here(device))
    adapted = with_adapter(load_model(base, device), adapter, trainable=False)
    expected = _probe(adapted)
    merged = adapted.merge_and_unload()
    difference = float((_probe(merged) - expected).norm() / expected.norm())
    _LOG.info("merged in %s; logits differ by %.1e", device.precision, difference)
    run.tell("merge", 1, 1, difference=difference)
    if not difference < CLOSE[device.precision]:
        raise TrainingFailed(
            f"the merged model predicts something else than base and adapter: logits differ by "
            f"{difference:.1e} of their norm; check that the adapter belongs to {job.base!r}"
        )
    merged.config.use_cache = True
    _keep(merged, tokenizer, base, run.output)
    return JobResult(
        recipe="merge",
        base=job.base,
        nano=is_nano(base),
        device=device,
        adapter_sha256=file_digest(adapter / WEIGHTS),
        versions=versions(),
        seconds=time.monotonic() - run.started,
    )


def _precision(config: Any) -> Literal["float32", "bfloat16", "float16"]:
    stored = str(config.dtype).removeprefix("torch.")
    return cast("Any", stored) if stored in CLOSE else "float32"


def _probe(model: Any) -> "torch.Tensor":
    """Logits of the same tokens, whichever model of this vocabulary it is."""
    import torch

    vocabulary = model.get_input_embeddings().num_embeddings
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (1, PROBE), generator=generator)
    model.eval()
    with torch.no_grad():
        return cast("torch.Tensor", model(input_ids=ids).logits.float())


def _keep(model: Any, tokenizer: Any, base: str, output: Path) -> None:
    """Model, tokenizer with its chat template, and the mark of a nano; whole or not at all."""
    part, folder = output / f".{MODEL}.part", output / MODEL
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    tokenizer.chat_template = without_thoughts(tokenizer.chat_template)
    tokenizer.save_pretrained(part)
    if is_nano(base):
        shutil.copyfile(Path(base) / NANO_MARK, part / NANO_MARK)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


if __name__ == "__main__":
    raise SystemExit(run_recipe(merge, MergeJob, sys.argv[1:]))
