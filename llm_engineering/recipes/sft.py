"""Supervised fine-tuning of an adapter on the author's own words.

    python -m llm_engineering.recipes.sft FOLDER/job.json --output DIR --checkpoints DIR

Loss on the answers only, rows packed whole and apart from each other, LoRA on all linear layers,
the adapter with the lowest held-out loss kept. The same command goes on after a crash, and uses all
GPUs that it sees: each trains on its part of a step, and a base that one of them does not hold is
cut up over them.

Does not know: where the rows come from, who runs it, what is done with the adapter.
"""

import functools
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from llm_engineering.domain.errors import InvalidInput, TooFewSamples
from llm_engineering.domain.training import DeviceUse, HeldOut, JobResult, SftJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.adapters import keep_adapter, put_back, with_lora
from llm_engineering.recipes.bases import is_nano, load_config, load_model, load_tokenizer, locate
from llm_engineering.recipes.checkpoints import Progress, digest_of_job
from llm_engineering.recipes.estimates import shape_of
from llm_engineering.recipes.fits import Fit, fit_training
from llm_engineering.recipes.following import Follower, follow, trainer_arguments
from llm_engineering.recipes.held_out import held_out_loss
from llm_engineering.recipes.meter import Meter, work_of
from llm_engineering.recipes.packing import (
    Sequenced,
    alone,
    collate,
    columns,
    fitting,
    isolated,
    pack,
)
from llm_engineering.recipes.places import Place, here
from llm_engineering.recipes.running import Run, run_recipe, versions
from llm_engineering.recipes.sharding import hide_from_averaging
from llm_engineering.recipes.turns import Tokens, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.sft_trainer import SFTTrainer

JOB = TypeAdapter(SftJob)
LEAST_ROWS = 16
"""Fewer teach a model nothing but themselves."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """The rows of a job as tokens, by split, and how many were too long."""

    rows: dict[str, tuple[Tokens, ...]]
    too_long: dict[str, int]

    @property
    def row_length(self) -> float:
        """Mean tokens of a row that is learnt from."""
        train = self.rows[data.TRAIN]
        return sum(len(row.ids) for row in train) / len(train)


@dataclass(frozen=True)
class Start:
    """Everything that is there before the first step."""

    job: SftJob
    run: Run
    place: Place
    fit: Fit
    base: str
    tokenizer: "PreTrainedTokenizerBase"
    model: Any
    """The base with a new adapter."""
    splits: Splits

    @property
    def held_out(self) -> dict[str, tuple[Sequenced, ...]]:
        """Packed, by split; those that hold rows."""
        rows, length = self.splits.rows, self.job.optimizer.max_length
        return {s: pack(rows[s], length=length) for s in (data.VALIDATION, data.TEST) if rows[s]}


def train_sft(job: SftJob, run: Run) -> JobResult:
    """Train, measure before and after, keep the best adapter.

    Raises InvalidInput, TooFewSamples, BackendUnavailable before anything is trained, and
    TrainingFailed when training did not come to a result.
    """
    start = begin(job, run)
    model, held_out, device = start.model, start.held_out, start.place.device
    follower = Follower(
        run,
        job.optimizer,
        Meter(device),
        # Several devices share the work of a step through the wrapped model only.
        measure=lambda: held_out_loss(trainer.model_wrapped, held_out[data.VALIDATION], device),
        progress=Progress(job=digest_of_job(job, run.folder / job.data)),
    )
    trainer = sft_trainer(
        job,
        run,
        device,
        model,
        start.tokenizer,
        start.splits.rows[data.TRAIN],
        follower,
        start.fit.recompute,
    )
    follower.find_checkpoint()
    before = follower.progress.before or measure_all(model, held_out, device)
    if follower.resumed_from is None:
        follower.progress = follower.progress.model_copy(update={"before": before})
        run.tell("evaluate", 0, 0, validation_loss=before[data.VALIDATION].loss)
    follow(trainer, follower)
    put_back(model, follower.best_checkpoint)
    after = measure_all(model, held_out, device)
    return _result(start, follower, before, after, steps=trainer.state.global_step)


def begin(job: SftJob, run: Run) -> Start:
    """Device, rows, and the base with an adapter; what may be refused comes before weights."""
    place = here(job.recipe)
    _LOG.info("%s in %s: %s", place.device.name, place.device.precision, place.device.reason)
    base = locate(job.base, run.folder)
    tokenizer = load_tokenizer(base)
    splits = read_splits(job, run, tokenizer)
    fit = fit_training(job, shape_of(load_config(base)), job.lora, place)
    _LOG.info("%s %s", job.base, fit.how)
    four_bit = job.quantization == "4bit"
    model = with_lora(
        load_model(base, place.device, four_bit=four_bit, shards=fit.shards),
        job.lora,
        seed=job.optimizer.seed,
    )
    hide_from_averaging(model)
    if job.packing and not isolated(model):
        raise InvalidInput(f"base {job.base!r} sees packed rows through each other; packing: false")
    return Start(job, run, place, fit, base, tokenizer, model, splits)


def _result(
    start: Start,
    follower: Follower,
    before: dict[str, HeldOut],
    after: dict[str, HeldOut],
    *,
    steps: int,
) -> JobResult:
    device = start.place.device
    return JobResult(
        recipe="sft",
        base=start.job.base,
        nano=is_nano(start.base),
        device=device,
        before=before,
        after=after,
        throughput=follower.meter.throughput(
            steps=steps,
            work=work_of(start.model, row_length=start.splits.row_length),
            rate=start.place.operations_per_s * device.count,
        ),
        too_long=start.splits.too_long,
        adapter_sha256=keep_adapter(
            follower.best_checkpoint,
            start.run.output,
            base=start.job.base,
            writes=start.run.is_first,
        ),
        stopped_early=follower.stopped_early,
        resumed_from=follower.resumed_from,
        versions=versions(),
        seconds=time.monotonic() - start.run.started,
    )


def read_splits(job: SftJob, run: Run, tokenizer: "PreTrainedTokenizerBase") -> Splits:
    """All rows as tokens; those that do not fit into `max_length` are left out whole.

    Raises TooFewSamples where too few are left to learn from or to measure on.
    """
    folder, length = run.folder / job.data, job.optimizer.max_length
    found: dict[str, tuple[Tokens, ...]] = {}
    too_long: dict[str, int] = {}
    for split, least in ((data.TRAIN, LEAST_ROWS), (data.VALIDATION, 1), (data.TEST, 0)):
        rows = data.read_rows(folder, split, data.SftRow, least=least)
        tokens = [tokenize(tokenizer, row.prompt, row.completion[0]) for row in rows]
        found[split], too_long[split] = fitting(tokens, length=length)
        if too_long[split]:
            _LOG.warning("%s: %d rows above %d tokens left out", split, too_long[split], length)
        if len(found[split]) < least:
            raise TooFewSamples(
                f"{too_long[split]} of {len(rows)} rows of {split} are longer than {length} tokens "
                f"and {least} must be left; raise optimizer.max_length or cut shorter spans"
            )
    return Splits(found, too_long)


def sft_trainer(
    job: SftJob,
    run: Run,
    device: DeviceUse,
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Tokens],
    follower: Follower,
    recompute: bool,
) -> "SFTTrainer":
    """TRL's trainer over sequences that we have tokenised and packed ourselves."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    sequences = pack(rows, length=job.optimizer.max_length) if job.packing else alone(rows)
    packed = functools.partial(collate, padding=tokenizer.pad_token_id)
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            **trainer_arguments(job.optimizer, run, device),
            gradient_checkpointing=recompute,
            remove_unused_columns=False,
            max_length=None,  # `fitting` has seen to it, and TRL would cut
            dataset_kwargs={"skip_prepare_dataset": True},
            train_sampling_strategy="random" if job.packing else "group_by_length",
        ),
        train_dataset=Dataset.from_dict(columns(sequences)),
        processing_class=tokenizer,
        data_collator=follower.meter.watch(packed),
    )


def measure_all(
    model: Any, held_out: dict[str, tuple[Sequenced, ...]], device: DeviceUse
) -> dict[str, HeldOut]:
    """By split."""
    return {split: held_out_loss(model, found, device) for split, found in held_out.items()}


if __name__ == "__main__":
    raise SystemExit(run_recipe(train_sft, SftJob, sys.argv[1:]))
