"""Optimisation from single ratings: more of what readers liked, less of what they did not.

    python -m llm_engineering.recipes.kto FOLDER/job.json --output DIR --checkpoints DIR

Goes on from an adapter, which is the reference too (Ethayarajh et al., arXiv 2402.01306). Both
sides weigh the same, however many of each there are. The same command goes on after a crash.

Does not know: where the ratings come from, who runs it, what is done with the adapter.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.errors import InvalidInput, TooFewSamples
from llm_engineering.domain.training import HeldOut, JobResult, KtoJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.following import Follower, trainer_arguments
from llm_engineering.recipes.likelihoods import Likelihoods, Rating, measured_ratings
from llm_engineering.recipes.preferring import (
    Start,
    ready_rows,
    split_ids,
    train_preferences,
    without_own_reference,
)
from llm_engineering.recipes.running import Run, run_recipe
from llm_engineering.recipes.turns import Tokens, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.kto_trainer import KTOTrainer


def train_kto(job: KtoJob, run: Run) -> JobResult:
    """See `train_preferences`. Raises InvalidInput for batches of one."""
    if job.optimizer.batch_size < 2:
        raise InvalidInput("kto compares the rows of a batch; set optimizer.batch_size above 1")

    def read(tokenizer: "PreTrainedTokenizerBase", split: str, least: int) -> tuple[Rating, ...]:
        rows = data.read_rows(run.folder / job.data, split, data.KtoRow, least=least)
        ratings = tuple(
            Rating(tokenize(tokenizer, row.prompt, row.completion[0]), liked=row.label)
            for row in rows
        )
        return _both_sides(ratings, split, least=least)

    def measure(rows: Sequence[Rating], now: Likelihoods, reference: Likelihoods) -> HeldOut:
        return measured_ratings(rows, now, reference, beta=job.beta)

    return train_preferences(job, run, read=read, measure=measure, trainer_of=kto_trainer)


def _both_sides(ratings: tuple[Rating, ...], split: str, *, least: int) -> tuple[Rating, ...]:
    """Liked and disliked ones. Raises TooFewSamples where rows are needed and a side is missing."""
    if len({rating.liked for rating in ratings}) == 2:
        return ratings
    if least:
        raise TooFewSamples(f"{split} needs liked and disliked answers; collect more ratings")
    return ()


def kto_trainer(start: Start[KtoJob, Rating], follower: Follower) -> "KTOTrainer":
    """TRL's trainer over our tokens and our reference."""
    from datasets import Dataset
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer

    rule = start.job.optimizer
    ratings = list(start.rows[data.TRAIN])
    random.Random(rule.seed).shuffle(ratings)  # noqa: S311 (TRL reads them in order)
    others = mismatched(ratings, batch=rule.batch_size)
    reference = start.likelihoods([*(r.answer for r in ratings), *others])
    liked = sum(rating.liked for rating in ratings)
    trainer = ready_rows(KTOTrainer, start)(
        model=start.model,
        args=KTOConfig(
            **trainer_arguments(rule, start.run, start.device),
            gradient_checkpointing=start.recompute,
            remove_unused_columns=False,
            max_length=None,  # what is too long is left out, and TRL would cut
            beta=start.job.beta,
            desirable_weight=max(1.0, (len(ratings) - liked) / liked),
            undesirable_weight=max(1.0, liked / (len(ratings) - liked)),
        ),
        train_dataset=Dataset.from_list(
            [columns(*both, reference) for both in zip(ratings, others, strict=True)]
        ),
        processing_class=start.tokenizer,
        data_collator=follower.meter.watch(
            start.as_collated(
                DataCollatorForUnpairedPreference(pad_token_id=start.tokenizer.pad_token_id)
            )
        ),
    )
    return without_own_reference(trainer)  # type: ignore[no-any-return]


def mismatched(ratings: Sequence[Rating], *, batch: int) -> list[Tokens]:
    """Each prompt with the answer of the one before it in its batch.

    How likely those are now tells how far the model has moved in all: KTO's reference point.
    """
    found = []
    for at, rating in enumerate(ratings):
        first = at - at % batch
        before = at - 1 if at > first else min(first + batch, len(ratings)) - 1
        prompt, _ = split_ids(rating.answer)
        _, said = split_ids(ratings[before].answer)
        found.append(replace(rating.answer, ids=(*prompt, *said)))
    return found


def columns(rating: Rating, other: Tokens, reference: Likelihoods) -> dict[str, Any]:
    """A rating as TRL's collator takes it."""
    prompt, said = split_ids(rating.answer)
    return {
        "prompt_ids": prompt,
        "completion_ids": said,
        "KL_completion_ids": split_ids(other)[1],
        "label": rating.liked,
        "ref_logps": reference[rating.answer],
        "ref_KL_logps": reference[other],
    }


if __name__ == "__main__":
    raise SystemExit(run_recipe(train_kto, KtoJob, sys.argv[1:]))
