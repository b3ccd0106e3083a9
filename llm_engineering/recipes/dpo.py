"""Direct preference optimisation: the author's words rather than the model's own.

    python -m llm_engineering.recipes.dpo FOLDER/job.json --output DIR --checkpoints DIR

Goes on from an adapter, which is the reference too. Beside the preference loss the plain loss on
the chosen answers may be trained (`sft_weight`), which keeps the prose (RPO, arXiv 2404.19733).
The checkpoint with the lowest held-out preference loss is kept, of those whose plain loss grew by
no more than is allowed. The same command goes on after a crash.

Does not know: where the pairs come from, who runs it, what is done with the adapter.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.training import DpoJob, HeldOut, JobResult
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.following import Follower, trainer_arguments
from llm_engineering.recipes.likelihoods import Likelihoods, Pair, measured_pairs
from llm_engineering.recipes.preferring import (
    Start,
    longest,
    ready_rows,
    split_ids,
    train_preferences,
    without_own_reference,
)
from llm_engineering.recipes.running import Run, run_recipe
from llm_engineering.recipes.turns import tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.dpo_trainer import DPOTrainer


def train_dpo(job: DpoJob, run: Run) -> JobResult:
    """See `train_preferences`.

    A rejected answer that was cut off has no end to learn from: with one it would teach that texts
    do not end in the middle, which is no matter of voice. It is learnt from as far as it goes.
    """
    cut_off: dict[str, int] = {}

    def read(tokenizer: "PreTrainedTokenizerBase", split: str, least: int) -> tuple[Pair, ...]:
        rows = data.read_rows(run.folder / job.data, split, data.DpoRow, least=least)
        cut_off[split] = sum(not row.rejected_ended for row in rows)
        return tuple(
            Pair(
                chosen=tokenize(tokenizer, row.prompt, row.chosen[0]),
                rejected=tokenize(tokenizer, row.prompt, row.rejected[0], ended=row.rejected_ended),
            )
            for row in rows
        )

    def measure(rows: Sequence[Pair], now: Likelihoods, reference: Likelihoods) -> HeldOut:
        return measured_pairs(rows, now, reference, beta=job.beta)

    result = train_preferences(job, run, read=read, measure=measure, trainer_of=dpo_trainer)
    return result.model_copy(update={"cut_off": cut_off})


def dpo_trainer(start: Start[DpoJob, Pair], follower: Follower) -> "DPOTrainer":
    """TRL's trainer over our tokens and our reference."""
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

    job, pairs = start.job, start.rows[data.TRAIN]
    reference = start.likelihoods(answer for p in pairs for answer in (p.chosen, p.rejected))
    weighted = job.sft_weight > 0
    trainer = ready_rows(DPOTrainer, start)(
        model=start.model,
        args=DPOConfig(
            **trainer_arguments(job.optimizer, start.run, start.device),
            gradient_checkpointing=start.recompute,
            remove_unused_columns=False,
            max_length=None,  # what is too long is left out, and TRL would cut
            beta=job.beta,
            loss_type=["sigmoid", "sft"] if weighted else ["sigmoid"],
            loss_weights=[1.0, job.sft_weight] if weighted else [1.0],
            train_sampling_strategy="random" if start.packed else "group_by_length",
        ),
        train_dataset=Dataset.from_list([columns(pair, reference) for pair in pairs]),
        processing_class=start.tokenizer,
        data_collator=follower.meter.watch(
            start.as_collated(DataCollatorForPreference(pad_token_id=start.tokenizer.pad_token_id))
        ),
    )
    return without_own_reference(trainer)  # type: ignore[no-any-return]


def columns(pair: Pair, reference: Likelihoods) -> Mapping[str, Any]:
    """A pair as TRL's collator takes it."""
    prompt, chosen = split_ids(pair.chosen)
    return {
        "prompt_ids": prompt,
        "chosen_ids": chosen,
        "rejected_ids": split_ids(pair.rejected)[1],
        "ref_chosen_logps": reference[pair.chosen],
        "ref_rejected_logps": reference[pair.rejected],
        "length": longest(pair),
    }


if __name__ == "__main__":
    raise SystemExit(run_recipe(train_dpo, DpoJob, sys.argv[1:]))
