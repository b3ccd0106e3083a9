"""Tune an embedder on the author's pairs; keep it only if it finds held-out passages better.

    python -m llm_engineering.recipes.tune_embedder job.json

The job is a `TuneEmbedderJob`. Its output folder gets `result.json` (a `TuneEmbedderResult`) and,
when the gain of MRR@10 is above zero with its whole interval, the tuned embedder in a folder of its
own, in sentence-transformers layout. The loss tells each passage from the other passages of its
batch and from the hard negatives (Henderson et al., arXiv 1705.00652). Nothing asks a hub.

Does not know: documents, stores, how pairs are found.
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from llm_engineering.domain.errors import InvalidInput, MissingExtra, TwinError
from llm_engineering.domain.jobs import (
    Interval,
    RankingScores,
    TuneEmbedderJob,
    TuneEmbedderResult,
    TuningPair,
)
from llm_engineering.domain.vectors import Floats
from llm_engineering.recipes.running import read_job

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

JOB: TypeAdapter[TuneEmbedderJob] = TypeAdapter(TuneEmbedderJob)
RESULT = "result.json"
PACKAGES = ("torch", "sentence_transformers", "accelerate", "datasets")
"""Of the extra; the trainer imports the last two late, in the middle of its work."""
RESAMPLES = 2_000
TOP = 10

_ENCODED_AT_ONCE = 64
_LOG = logging.getLogger(__name__)

Ranks = NDArray[np.int64]


@dataclass(frozen=True)
class Device:
    """Where and in what the model is trained, and why."""

    name: str
    bf16: bool
    reason: str


def main(arguments: Sequence[str]) -> int:
    """Run the job in the file that `arguments` names; 0 also when the embedder is not kept."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        if len(arguments) != 1:
            raise InvalidInput("name one job; python -m llm_engineering.recipes.tune_embedder FILE")
        tune_embedder(read_job(Path(arguments[0]), JOB))
    except TwinError as error:
        _LOG.error("tune_embedder: error: %s", error)
        return 1
    return 0


def tune_embedder(job: TuneEmbedderJob) -> TuneEmbedderResult:
    """Train, measure, keep or drop; the result is also written into the output folder.

    Raises MissingExtra, or InvalidInput for a base that cannot be loaded.
    """
    started = time.monotonic()
    device = detect_device()
    _LOG.info("on %s: %s", device.name, device.reason)
    model = _load(job.base, device)
    before = held_out_ranks(job, model, device)
    _LOG.info("before: MRR@%d %.4f", TOP, scores_of(before).mrr_at_10)
    steps, train_seconds = train(job, model, device)
    after = held_out_ranks(job, model, device)
    gain = mrr_gain(before, after, job.held_out, seed=job.training.seed)
    _LOG.info("after: MRR@%d %.4f", TOP, scores_of(after).mrr_at_10)
    kept, folder = gain.low > 0, model_folder(job)
    if folder.exists():  # of an earlier run of the same job
        shutil.rmtree(folder)
    if kept:
        _keep(model, folder)
    told = f"MRR@{TOP} changed by {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    result = TuneEmbedderResult(
        kept=kept,
        reason=f"{told}, {'above' if kept else 'not above'} zero with its whole 95 % interval",
        model=folder if kept else None,
        base=job.base,
        device=device.name,
        device_reason=device.reason,
        train_pairs=len(job.train),
        held_out_pairs=len(job.held_out),
        held_out_documents=len({pair.document for pair in job.held_out}),
        passages=len(job.passages),
        steps=steps,
        train_seconds=train_seconds,
        seconds=time.monotonic() - started,
        before=scores_of(before),
        after=scores_of(after),
        mrr_gain=gain,
    )
    job.output.mkdir(parents=True, exist_ok=True)
    (job.output / RESULT).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _LOG.info("%s: %s", "kept" if kept else "not kept", result.reason)
    return result


def detect_device() -> Device:
    """CUDA when there is one; bf16 where the device multiplies it. Raises MissingExtra."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra(package, extra="tune")
    import torch

    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        name, found = "cuda", f"found {torch.cuda.get_device_name()}"
    else:
        bf16 = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        name, found = "cpu", "no CUDA device"
    return Device(name, bf16, f"{found}; {'it multiplies bf16' if bf16 else 'no bf16, so f32'}")


def train(job: TuneEmbedderJob, model: "SentenceTransformer", device: Device) -> tuple[int, float]:
    """Train `model` in place; returns the number of steps and of seconds."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers.trainer_callback import PrinterCallback, TrainerCallback

    class Tenths(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            tenth = max(1, state.max_steps // 10)
            if state.global_step % tenth == 0:
                _LOG.info("step %d of %d", state.global_step, state.max_steps)

    rule = job.training
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="twin-tune-") as scratch:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=scratch,
                num_train_epochs=rule.epochs,
                per_device_train_batch_size=rule.batch_size,
                learning_rate=rule.learning_rate,
                warmup_steps=rule.warmup_share,
                # Two equal texts in a batch would each be wrong for the other's anchor.
                batch_sampler=BatchSamplers.NO_DUPLICATES,
                seed=rule.seed,
                data_seed=rule.seed,
                use_cpu=device.name == "cpu",
                bf16=device.bf16,
                report_to="none",
                save_strategy="no",
                logging_strategy="no",
                dataloader_pin_memory=device.name != "cpu",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(columns(job)),
            loss=MultipleNegativesRankingLoss(model),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Tenths())
        trainer.train()
    return int(trainer.state.global_step), time.monotonic() - started


def columns(job: TuneEmbedderJob) -> dict[str, list[str]]:
    """The training pairs as the trainer takes them: anchor, positive, one column per negative."""
    count = min(len(pair.negatives) for pair in job.train)
    return {
        "anchor": [pair.anchor for pair in job.train],
        "positive": [pair.text for pair in job.train],
        **{
            f"negative_{number}": [job.passages[pair.negatives[number]] for pair in job.train]
            for number in range(count)
        },
    }


def held_out_ranks(job: TuneEmbedderJob, model: "SentenceTransformer", device: Device) -> Ranks:
    """Rank, from 1, of each held-out pair's right passage among all passages.

    The right one is ranked as it is without its anchor. A tie is lost: a model that finds all
    texts alike finds nothing.
    """
    passages = _encode(job.passages, model, device)
    right = _encode([pair.text for pair in job.held_out], model, device)
    anchors = _encode([pair.anchor for pair in job.held_out], model, device)
    return ranks(anchors, right, passages, positions=[pair.passage for pair in job.held_out])


def ranks(anchors: Floats, right: Floats, passages: Floats, *, positions: Sequence[int]) -> Ranks:
    """Rank of row i of `right` for row i of `anchors` among `passages` but `positions[i]`."""
    wanted = (anchors * right).sum(axis=1)
    below = anchors @ passages.T < wanted[:, None]  # False where anything is not a number
    below[np.arange(len(positions)), list(positions)] = True
    found: Ranks = 1 + (~below).sum(axis=1)
    return found


def scores_of(found: Ranks) -> RankingScores:
    return RankingScores(
        mrr_at_10=float(reciprocal(found).mean()),
        recall_at_1=float((found == 1).mean()),
        recall_at_10=float((found <= TOP).mean()),
    )


def reciprocal(found: Ranks) -> NDArray[np.float64]:
    return np.where(found <= TOP, 1.0 / found, 0.0)


def mrr_gain(before: Ranks, after: Ranks, pairs: Sequence[TuningPair], *, seed: int) -> Interval:
    """Mean of after minus before with its 95 % interval, by paired bootstrap over documents.

    Pairs of one document are no independent evidence, so whole documents are drawn.
    """
    gains = reciprocal(after) - reciprocal(before)
    numbers: dict[str, int] = {}
    owners = [numbers.setdefault(pair.document, len(numbers)) for pair in pairs]
    sums, sizes = np.bincount(owners, weights=gains), np.bincount(owners)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(mean=float(gains.mean()), low=float(low), high=float(high))


def _load(base: str, device: Device) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    silence: Callable[[], None] = transformers_logging.disable_progress_bar
    silence()
    try:
        return SentenceTransformer(base, device=device.name, local_files_only=True)
    except (OSError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidInput(
            f"cannot load the embedder {base!r}: {problem}; name a folder that holds one"
        ) from None


def _encode(texts: Sequence[str], model: "SentenceTransformer", device: Device) -> Floats:
    with _autocast(device):
        vectors = model.encode(
            list(texts),
            batch_size=_ENCODED_AT_ONCE,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
    return np.asarray(vectors, dtype=np.float32)


def _autocast(device: Device) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast(device.name, torch.bfloat16, enabled=device.bf16)


def model_folder(job: TuneEmbedderJob) -> Path:
    """Another one for another job: an index tells embedders by name."""
    digest = hashlib.blake2b(job.model_dump_json(exclude={"output"}).encode(), digest_size=4)
    return job.output / f"tuned-{digest.hexdigest()}"


def _keep(model: "SentenceTransformer", folder: Path) -> None:
    """Write the model beside its place and move it there whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tuned-", dir=folder.parent) as scratch:
        part = Path(scratch) / "model"
        model.save_pretrained(str(part), create_model_card=False)
        part.rename(folder)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
