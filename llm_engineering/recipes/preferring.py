"""What training from preferences has in common: from where, on which rows, beside which trainer.

TRL would tokenise the rows in its own way, cut the long ones, and compute a reference of its own
at every step. It is given both ready instead: a row is what serving sees, or is left out whole and
counted; the reference is what `likelihoods` says.

Does not know: which loss is trained.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llm_engineering.domain.errors import TooFewSamples
from llm_engineering.domain.training import DeviceUse, DpoJob, HeldOut, JobResult, KtoJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.adapters import keep_adapter, put_back, rule_of, with_adapter
from llm_engineering.recipes.bases import is_nano, load_config, load_model, load_tokenizer, locate
from llm_engineering.recipes.checkpoints import Progress, digest_of_job
from llm_engineering.recipes.estimates import shape_of
from llm_engineering.recipes.fits import fit_training
from llm_engineering.recipes.following import Follower, follow
from llm_engineering.recipes.likelihoods import (
    Likelihoods,
    Pair,
    Rating,
    log_likelihoods,
    unworthiness,
)
from llm_engineering.recipes.meter import Meter, work_of
from llm_engineering.recipes.packing import isolated
from llm_engineering.recipes.places import here
from llm_engineering.recipes.running import Run, versions
from llm_engineering.recipes.sharding import hide_from_averaging
from llm_engineering.recipes.turns import Tokens
from llm_engineering.recipes.unpadded import PLACES, Unpadded, counting_places

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEAST_ROWS = 16
"""Fewer teach a model nothing but themselves."""
SPLITS = (data.TRAIN, data.VALIDATION, data.TEST)

_LOG = logging.getLogger(__name__)

RowT = TypeVar("RowT", Pair, Rating)
JobT = TypeVar("JobT", DpoJob, KtoJob)

Measure = Callable[[Sequence[RowT], Likelihoods, Likelihoods], HeldOut]
"""Of rows: their likelihoods now, and those of the reference."""


@dataclass(frozen=True)
class Start(Generic[JobT, RowT]):
    """Everything that is there before the first step."""

    job: JobT
    run: Run
    device: DeviceUse
    base: str
    tokenizer: "PreTrainedTokenizerBase"
    model: Any
    """The base with the adapter that is trained further."""
    rows: dict[str, tuple[RowT, ...]]
    too_long: dict[str, int]
    packed: bool
    """Whether the model keeps rows of one sequence apart."""
    recompute: bool
    """Whether it only fits when layers are computed twice."""
    rate: float
    """Operations per second of all devices together."""

    def likelihoods(self, answers: Iterable[Tokens]) -> dict[Tokens, float]:
        """As the model is now."""
        return log_likelihoods(
            self.model,
            tuple(answers),
            self.device,
            length=self.job.optimizer.max_length,
            packed=self.packed,
        )

    def as_collated(self, collator: Callable[..., Any]) -> Callable[..., Any]:
        """The trainer's collator for a model that is called as `as_called` says."""
        if not self.packed:
            return collator
        return counting_places(collator, length=self.job.optimizer.max_length)

    def as_called(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What the trainer calls on its batch: the model without the padding, where it can."""
        if not self.packed:
            return model, inputs
        known = {name: values for name, values in inputs.items() if name != PLACES}
        return Unpadded(model, self.job.optimizer.max_length), known


Read = Callable[["PreTrainedTokenizerBase", str, int], Sequence[RowT]]
"""The rows of a split of which there must be at least so many, as tokens."""


def train_preferences(
    job: JobT,
    run: Run,
    *,
    read: "Read[RowT]",
    measure: "Measure[RowT]",
    trainer_of: "Callable[[Start[JobT, RowT], Follower], Any]",
) -> JobResult:
    """Train the job's adapter further, measure before and after, keep the best checkpoint.

    Raises InvalidInput, TooFewSamples, BackendUnavailable before anything is trained, and
    TrainingFailed when training did not come to a result.
    """
    start = begin(job, run, read=read)
    held_out = {s: start.rows[s] for s in (data.VALIDATION, data.TEST) if start.rows[s]}
    run.tell("reference", 0, 1)
    reference = start.likelihoods(_answers(row for rows in held_out.values() for row in rows))
    run.tell("reference", 1, 1)
    before = {s: measure(rows, reference, reference) for s, rows in held_out.items()}

    def now(split: str) -> HeldOut:
        rows = held_out[split]
        return measure(rows, start.likelihoods(_answers(rows)), reference)

    follower = Follower(
        run,
        job.optimizer,
        Meter(start.device),
        measure=lambda: now(data.VALIDATION),
        progress=Progress(job=digest_of_job(job, run.folder / job.data), before=before),
        rank=lambda measured: unworthiness(measured, before=before[data.VALIDATION]),
    )
    trainer = trainer_of(start, follower)
    run.tell("evaluate", 0, 0, validation_loss=before[data.VALIDATION].loss)
    follow(trainer, follower)
    put_back(start.model, follower.best_checkpoint)
    after = {split: now(split) for split in held_out}
    return _result(start, follower, before, after, steps=trainer.state.global_step)


def begin(job: JobT, run: Run, *, read: "Read[RowT]") -> Start[JobT, RowT]:
    """Device, rows, and the base with its adapter; what may be refused comes before weights."""
    place = here(job.recipe)
    device = place.device
    _LOG.info("%s in %s: %s", device.name, device.precision, device.reason)
    base = locate(job.base, run.folder)
    tokenizer = load_tokenizer(base)
    rows, too_long = _fitting(job, tokenizer, read)
    adapter = run.folder / job.adapter
    fit = fit_training(job, shape_of(load_config(base)), rule_of(adapter), place)
    _LOG.info("%s %s", job.base, fit.how)
    four_bit = job.quantization == "4bit"
    model = load_model(base, device, four_bit=four_bit, shards=fit.shards)
    model = with_adapter(model, adapter, trainable=True)
    return Start(
        job=job,
        run=run,
        device=device,
        base=base,
        tokenizer=tokenizer,
        model=model,
        rows=rows,
        too_long=too_long,
        packed=isolated(model),
        recompute=fit.recompute,
        rate=place.operations_per_s * device.count,
    )


def _fitting(
    job: JobT, tokenizer: "PreTrainedTokenizerBase", read: "Read[RowT]"
) -> tuple[dict[str, tuple[RowT, ...]], dict[str, int]]:
    """The rows none of whose answers is longer than `max_length`, and how many were; none is cut.

    Raises TooFewSamples where too few are left to learn from or to measure on.
    """
    length = job.optimizer.max_length
    kept: dict[str, tuple[RowT, ...]] = {}
    too_long: dict[str, int] = {}
    for split, least in zip(SPLITS, (LEAST_ROWS, 1, 0), strict=True):
        found = read(tokenizer, split, least)
        kept[split] = tuple(row for row in found if longest(row) <= length)
        too_long[split] = len(found) - len(kept[split])
        if too_long[split]:
            _LOG.warning("%s: %d rows above %d tokens left out", split, too_long[split], length)
        if len(kept[split]) < least:
            raise TooFewSamples(
                f"{too_long[split]} of {len(found)} rows of {split} are longer than {length} "
                f"tokens and {least} must be left; raise optimizer.max_length"
            )
    return kept, too_long


def longest(row: Pair | Rating) -> int:
    """Tokens of its longest answer, with the prompt."""
    return max(len(answer.ids) for answer in answers_of(row))


def answers_of(row: Pair | Rating) -> tuple[Tokens, ...]:
    return (row.chosen, row.rejected) if isinstance(row, Pair) else (row.answer,)


def ready_rows(trainer: Any, start: Start[JobT, RowT]) -> Any:
    """The class `trainer` of TRL for rows that are tokens already, without what pads them."""

    class ReadyRows(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def compute_loss(self, model: Any, inputs: Any, *given: Any, **options: Any) -> Any:
            called, known = start.as_called(model, inputs)
            return super().compute_loss(called, known, *given, **options)

    return ReadyRows


def without_own_reference(trainer: Any) -> Any:
    """TRL's trainer reads the reference from its rows instead of the copy that it has made."""
    trainer.model.delete_adapter("ref")
    hide_from_averaging(trainer.model)
    trainer.precompute_ref_logps = True
    return trainer


def split_ids(answer: Tokens) -> tuple[list[int], list[int]]:
    """Tokens of the prompt, and of what follows it."""
    return list(answer.ids[: answer.given]), list(answer.ids[answer.given :])


def _answers(rows: Iterable[Pair | Rating]) -> Iterable[Tokens]:
    return (answer for row in rows for answer in answers_of(row))


def _result(
    start: Start[JobT, RowT],
    follower: Follower,
    before: dict[str, HeldOut],
    after: dict[str, HeldOut],
    *,
    steps: int,
) -> JobResult:
    lengths = [len(answer.ids) for answer in _answers(start.rows[data.TRAIN])]
    return JobResult(
        recipe=start.job.recipe,
        base=start.job.base,
        nano=is_nano(start.base),
        device=start.device,
        before=before,
        after=after,
        throughput=follower.meter.throughput(
            steps=steps,
            work=work_of(start.model, row_length=sum(lengths) / len(lengths)),
            rate=start.rate,
        ),
        too_long=start.too_long,
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
