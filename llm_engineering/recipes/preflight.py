"""What a training job will need and cost, before any weight is read or downloaded.

    python -m llm_engineering.recipes.preflight FOLDER/job.json [--instance ml.g5.2xlarge]

Prints a `Preflight` as JSON and exits with 0, or says in one line on standard error why the job
cannot run and exits with 1. Only the base's configuration and tokenizer are read.

Does not know: how a job is started.
"""

import argparse
import contextlib
import json
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DpoJob, KtoJob, SftJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.adapters import rule_of
from llm_engineering.recipes.bases import is_nano, load_config, load_tokenizer, locate
from llm_engineering.recipes.estimates import shape_of, trained_by
from llm_engineering.recipes.fits import Fit, Trained, fit_training
from llm_engineering.recipes.meter import Work
from llm_engineering.recipes.packing import fitting, pack
from llm_engineering.recipes.places import Place, here, there
from llm_engineering.recipes.prices import PRICES_OF
from llm_engineering.recipes.running import line_of, read_job, settle_environment
from llm_engineering.recipes.turns import Tokens, tokenize

TRAINED: TypeAdapter[Trained] = TypeAdapter(Trained)

USED = {"cuda": 0.35, "cpu": 0.1}
"""Share of the matrix multiplication rate that training is taken to use: cautious."""
READY_SECONDS = {"cuda": 120.0, "cpu": 20.0}
"""Until the first step: imports, loading."""


class Preflight(BaseModel):
    """What a job needs and what is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    base: str
    nano: bool
    place: Place
    parameters: int
    trained: int
    """Weights of the adapter."""
    memory_mb: dict[str, float]
    """By what it is for; `needed` is the sum at the peak, with a margin."""
    recompute: bool
    """Whether it only fits when layers are computed twice (activation checkpointing)."""
    shards: int
    """Devices over which the base is cut up, because one does not hold it."""
    rows: dict[str, int]
    too_long: dict[str, int]
    tokens: int
    """Of the training rows."""
    steps: int
    minutes: float
    usd: float | None
    prices_of: str | None


def main(arguments: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="llm_engineering.recipes.preflight")
    parser.add_argument("job", type=Path)
    parser.add_argument("--instance", help="a SageMaker instance type instead of this machine")
    parser.add_argument("--price", type=float, help="its dollars per hour today")
    named = parser.parse_args(list(arguments))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            job, folder = read_job(named.job, TRAINED), named.job.parent.resolve()
            settle_environment(job.base, folder)
            place = (
                there(named.instance, job.recipe, price=named.price)
                if named.instance
                else here(job.recipe)
            )
            found = preflight(job, folder, place)
    except Exception as error:
        logging.getLogger(__name__).error("preflight: error: %s", line_of(error))
        return 1
    print(json.dumps(found.model_dump(mode="json"), indent=2))  # noqa: T201
    return 0


def preflight(job: Trained, folder: Path, place: Place) -> Preflight:
    """Raises InvalidInput for a job that does not fit, naming what it needs and what would help."""
    base = locate(job.base, folder)
    lora = job.lora if isinstance(job, SftJob) else rule_of(folder / job.adapter)
    shape = shape_of(load_config(base))
    fit = fit_training(job, shape, lora, place)
    tokens, rows, too_long = _read(job, folder, base)
    count = sum(len(row.ids) for row in tokens)
    an_epoch = _steps_of_an_epoch(job, tokens, place.device.count)
    steps = min(math.ceil(an_epoch * job.optimizer.epochs), job.optimizer.max_steps or sys.maxsize)
    work = Work(body=shape.linear, head=shape.head, trained=trained_by(lora, shape))
    an_epochs = work.operations(tokens=count, learnt=sum(row.learnt for row in tokens))
    seconds = _seconds(job, fit, place, operations=an_epochs * steps / an_epoch)
    usd = None if place.usd_per_hour is None else seconds / 3600 * place.usd_per_hour
    return Preflight(
        recipe=job.recipe,
        base=job.base,
        nano=is_nano(base),
        place=place,
        parameters=shape.parameters,
        trained=trained_by(lora, shape),
        memory_mb={**asdict(fit.memory), "needed": fit.needed_mb},
        recompute=fit.recompute,
        shards=fit.shards,
        rows=rows,
        too_long=too_long,
        tokens=count,
        steps=steps,
        minutes=seconds / 60,
        usd=usd,
        prices_of=None if usd is None else PRICES_OF,
    )


def _seconds(job: Trained, fit: Fit, place: Place, *, operations: float) -> float:
    """Of the whole run, loading included."""
    if fit.recompute:
        operations *= 1.5  # one more forward pass beside a backward pass of the same size
    rate = place.operations_per_s * USED[place.device.name] * place.device.count
    trained_s = min(operations / rate, (job.optimizer.max_minutes or math.inf) * 60)
    return trained_s + READY_SECONDS[place.device.name]


def _read(
    job: Trained, folder: Path, base: str
) -> tuple[tuple[Tokens, ...], dict[str, int], dict[str, int]]:
    """The training rows that fit as tokens, and by split how many there are and do not fit."""
    tokenizer = load_tokenizer(base)
    kept: tuple[Tokens, ...] = ()
    rows: dict[str, int] = {}
    too_long: dict[str, int] = {}
    for split in (data.VALIDATION, data.TEST, data.TRAIN):
        pairs = _answers(job, folder / job.data, split)
        found = [tokenize(tokenizer, prompt, answer) for prompt, answer in pairs]
        kept, too_long[split] = fitting(found, length=job.optimizer.max_length)
        rows[split] = len(found)
    if not kept:
        raise InvalidInput(f"{folder / job.data} holds no row to train on; make a sample set")
    return kept, rows, too_long


def _answers(job: Trained, folder: Path, split: str) -> list[tuple[data.Prompt, data.Answer]]:
    if isinstance(job, SftJob):
        sft = data.read_rows(folder, split, data.SftRow)
        return [(row.prompt, row.completion[0]) for row in sft]
    if isinstance(job, KtoJob):
        kto = data.read_rows(folder, split, data.KtoRow)
        return [(row.prompt, row.completion[0]) for row in kto]
    dpo = data.read_rows(folder, split, data.DpoRow)
    return [(row.prompt, side) for row in dpo for side in (row.chosen[0], row.rejected[0])]


def _steps_of_an_epoch(job: Trained, tokens: Sequence[Tokens], devices: int) -> int:
    rule = job.optimizer
    if isinstance(job, SftJob):
        count = len(pack(tokens, length=rule.max_length)) if job.packing else len(tokens)
    else:
        count = len(tokens) // (2 if isinstance(job, DpoJob) else 1)
    return max(1, math.ceil(count / (rule.batch_size * rule.accumulate * devices)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
