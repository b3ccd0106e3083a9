"""An adapter is really trained from preferences, and says what it is worth."""

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput, TooFewSamples
from llm_engineering.domain.training import (
    LOSS_GROWTH,
    DpoJob,
    HeldOut,
    KtoJob,
    OptimizerRule,
)
from llm_engineering.recipes.adapters import with_adapter
from llm_engineering.recipes.bases import load_model, load_tokenizer
from llm_engineering.recipes.dpo import train_dpo
from llm_engineering.recipes.kto import mismatched, train_kto
from llm_engineering.recipes.likelihoods import (
    Pair,
    Rating,
    log_likelihoods,
    measured_pairs,
    measured_ratings,
    unworthiness,
)
from llm_engineering.recipes.rows import Answer, Turn
from llm_engineering.recipes.turns import Tokens, tokenize
from tests.integration.small_models import (
    CPU,
    DISLIKED,
    LIKED,
    QUIET,
    prompt,
    ran,
    said,
    skip_without_training,
    write_rows,
)

skip_without_training()
pytestmark = QUIET

LEARNS = OptimizerRule(
    learning_rate=5e-3, max_steps=6, batch_size=4, evaluations=2, max_length=128, epochs=4
)
SIZES = {"train": 24, "validation": 6, "test": 6}


@pytest.fixture
def folder(small_job: Path) -> Path:
    """Of a job: its base, its adapter, pairs and ratings that tell two sentences apart."""
    write_rows(small_job / "pairs", {split: map(pair, range(n)) for split, n in SIZES.items()})
    write_rows(small_job / "ratings", {split: map(rating, range(n)) for split, n in SIZES.items()})
    return small_job


def pair(number: int) -> dict[str, Any]:
    chosen, rejected = said(f"{LIKED} {number}"), said(f"{number} {DISLIKED}")
    return {"id": str(number), "prompt": prompt(number), "chosen": chosen, "rejected": rejected}


def rating(number: int) -> dict[str, Any]:
    liked = number % 3 != 0  # twice as many as not
    answer = said(f"{LIKED if liked else DISLIKED} {number}")
    return {"id": str(number), "prompt": prompt(number), "completion": answer, "label": liked}


def dpo(**given: Any) -> DpoJob:
    return DpoJob(base="base", data=Path("pairs"), **{"optimizer": LEARNS, **given})


def kto(**given: Any) -> KtoJob:
    return KtoJob(base="base", data=Path("ratings"), **{"optimizer": LEARNS, **given})


def test_dpo_prefers_the_chosen_words_on_held_out_prompts(folder: Path) -> None:
    result = ran(train_dpo, dpo(sft_weight=0.2), folder)

    for split in ("validation", "test"):
        before, after = result.before[split], result.after[split]
        assert before.reward_margin == 0.0
        assert before.preference_loss == pytest.approx(math.log(2))
        assert after.reward_margin is not None
        assert after.reward_margin > 0.1
        assert after.reward_accuracy == 1.0
        assert after.loss < before.loss * (1 + LOSS_GROWTH)
    assert result.throughput is not None
    assert result.throughput.steps == 6
    assert result.too_long == {"train": 0, "validation": 0, "test": 0}


def test_the_kept_adapter_is_the_one_that_was_measured_and_loads_over_its_base(
    folder: Path,
) -> None:
    result = ran(train_dpo, dpo(), folder)

    tokenizer = load_tokenizer(str(folder / "base"))
    pairs = [tokens_of_pair(tokenizer, row) for row in map(pair, range(SIZES["test"]))]
    answers = [answer for p in pairs for answer in (p.chosen, p.rejected)]
    by_hand = [
        log_likelihoods(
            with_adapter(load_model(str(folder / "base"), CPU), where, trainable=False),
            answers,
            result.device,
            length=128,
            packed=False,
        )
        for where in (folder / "output" / "adapter", folder / "adapter")
    ]
    measured = measured_pairs(pairs, by_hand[0], by_hand[1], beta=0.1)
    tolerance = 1e-3 if result.device.precision == "float32" else 0.1
    assert measured.loss == pytest.approx(result.after["test"].loss, rel=tolerance)
    assert measured.reward_margin == pytest.approx(
        result.after["test"].reward_margin, rel=tolerance
    )


def test_the_reference_is_the_adapter_and_not_the_base(folder: Path) -> None:
    """With a rate that moves nothing, the trainer's own margins are zero as well."""
    still = LEARNS.model_copy(update={"learning_rate": 1e-12, "max_steps": 2})
    ran(train_dpo, dpo(optimizer=still), folder)

    lines = (folder / "output" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    margins = [event["metrics"]["rewards/margins"] for event in events if event["stage"] == "train"]
    assert len(margins) == 2
    assert max(map(abs, margins)) < 0.05


def test_rows_above_the_length_are_left_out_whole_and_counted(folder: Path) -> None:
    long = pair(99) | {"chosen": said(LIKED * 9)}
    rows = [*map(pair, range(20)), long]
    write_rows(folder / "pairs", {"train": rows})

    result = ran(train_dpo, dpo(), folder)

    assert result.too_long["train"] == 1


def test_rejected_answers_that_were_cut_off_are_counted_and_learnt_without_an_end(
    folder: Path,
) -> None:
    rows = [pair(n) | {"rejected_ended": n > 3} for n in range(SIZES["train"])]
    still = LEARNS.model_copy(update={"max_steps": 1, "epochs": 1, "evaluations": 1})
    whole = ran(train_dpo, dpo(optimizer=still), folder)
    shutil.rmtree(folder / "checkpoints")
    write_rows(folder / "pairs", {"train": rows})

    result = ran(train_dpo, dpo(optimizer=still.model_copy(update={"batch_size": 24})), folder)

    assert whole.cut_off == {"train": 0, "validation": 0, "test": 0}
    assert result.cut_off == {"train": 4, "validation": 0, "test": 0}
    tokenizer = load_tokenizer(str(folder / "base"))
    pairs = [tokens_of_pair(tokenizer, row) for row in rows]
    ends = sum(len(p.chosen.ids) + len(p.rejected.ids) for p in pairs)
    assert result.throughput is not None
    assert result.throughput.tokens == ends - 4


def test_kto_prefers_what_was_liked_on_held_out_prompts(folder: Path) -> None:
    result = ran(train_kto, kto(), folder)

    for split in ("validation", "test"):
        before, after = result.before[split], result.after[split]
        assert before.reward_margin == 0.0
        assert after.reward_margin is not None
        assert after.reward_margin > 0.05
        assert after.reward_accuracy == 1.0
        assert after.loss < before.loss * (1 + LOSS_GROWTH)


class Dies(io.StringIO):
    """Ends the run at the first word about training step 5, past the checkpoint of step 4."""

    def write(self, text: str) -> int:
        if '"stage":"train","step":5' in text:
            raise KeyboardInterrupt
        return super().write(text)


def test_a_run_that_died_goes_on_to_the_same_adapter(folder: Path) -> None:
    job = dpo(optimizer=LEARNS.model_copy(update={"max_steps": 8, "evaluations": 4}))
    uninterrupted = ran(train_dpo, job, folder)
    whole = (folder / "output" / "adapter" / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(folder / "checkpoints")

    with pytest.raises(KeyboardInterrupt):
        ran(train_dpo, job, folder, events=Dies())
    resumed = ran(train_dpo, job, folder)

    assert resumed.resumed_from == 4
    assert resumed.after == uninterrupted.after
    assert (folder / "output" / "adapter" / "adapter_model.safetensors").read_bytes() == whole


# what is refused


def test_too_few_or_one_sided_rows_are_refused(folder: Path) -> None:
    write_rows(folder / "pairs", {"train": map(pair, range(3))})
    with pytest.raises(TooFewSamples, match="holds 3 rows and 16 are needed"):
        ran(train_dpo, dpo(), folder)
    liked = [rating(number) | {"label": True} for number in range(24)]
    write_rows(folder / "ratings", {"train": liked})
    with pytest.raises(TooFewSamples, match="train needs liked and disliked answers"):
        ran(train_kto, kto(), folder)


def test_no_adapter_or_batches_of_one_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no adapter"):
        ran(train_dpo, dpo(adapter=Path("nowhere")), folder)
    with pytest.raises(InvalidInput, match=r"set optimizer\.batch_size above 1"):
        ran(train_kto, kto(optimizer=LEARNS.model_copy(update={"batch_size": 1})), folder)


# likelihoods


def tokens_of_pair(tokenizer: Any, row: dict[str, Any]) -> Pair:
    chosen, rejected = (tokens(tokenizer, row, row[side][0]) for side in ("chosen", "rejected"))
    return Pair(chosen, rejected)


def tokens(tokenizer: Any, row: dict[str, Any], answer: dict[str, str]) -> Tokens:
    turns = [Turn.model_validate(each) for each in row["prompt"]]
    return tokenize(tokenizer, turns, Answer.model_validate(answer))


def test_packed_answers_are_as_likely_as_alone_and_as_by_hand(small: Path) -> None:
    import torch

    tokenizer = load_tokenizer(str(small / "base"))
    model = load_model(str(small / "base"), CPU)
    answers = [tokens_of_pair(tokenizer, pair(number)).rejected for number in range(7)]

    packed, alone = (
        log_likelihoods(model, answers, CPU, length=100, packed=packed) for packed in (True, False)
    )

    for answer in answers:
        ids = torch.tensor([answer.ids])
        scores = model(input_ids=ids).logits.detach()[0, :-1].log_softmax(-1)
        told = scores.gather(1, ids[0, 1:, None])[answer.given - 1 :].sum()
        assert alone[answer] == pytest.approx(float(told), abs=1e-3)
        assert packed[answer] == pytest.approx(float(told), abs=1e-3)


def row(*ids: int) -> Tokens:
    return Tokens(ids, given=1)


def test_margins_are_beta_times_the_gain_over_the_reference() -> None:
    pairs = [Pair(row(1, 2, 3), row(1, 4)), Pair(row(1, 5), row(1, 6))]
    reference = dict.fromkeys([a for p in pairs for a in (p.chosen, p.rejected)], -3.0)
    now = reference | {pairs[0].chosen: -1.0, pairs[1].rejected: -2.0}

    measured = measured_pairs(pairs, now, reference, beta=0.5)

    assert measured.reward_margin == pytest.approx((1.0 - 0.5) / 2)
    assert measured.reward_accuracy == 0.5
    assert measured.loss == pytest.approx((1.0 + 3.0) / 3)
    assert measured.preference_loss == pytest.approx(
        (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5))) / 2
    )


def test_ratings_are_compared_each_with_each() -> None:
    ratings = [Rating(row(1, n), liked=n < 4) for n in (2, 3, 4, 5)]
    reference = {r.answer: -3.0 for r in ratings}
    now = dict(zip((r.answer for r in ratings), (-2.0, -4.0, -3.5, -5.0), strict=True))

    measured = measured_ratings(ratings, now, reference, beta=1.0)

    assert measured.reward_margin == pytest.approx(0.0 - -1.25)
    assert measured.reward_accuracy == 0.75
    assert measured.loss == 3.0


def test_a_checkpoint_that_costs_too_much_comes_after_all_others() -> None:
    before = HeldOut(rows=4, loss=2.0)
    dear, worse, cheap = (
        unworthiness(HeldOut(rows=4, loss=loss, preference_loss=preference), before=before)
        for loss, preference in ((2.2, 0.1), (2.0, 0.6), (2.09, 0.5))
    )
    assert cheap < worse < dear


def test_mismatched_answers_are_those_of_the_same_batch() -> None:
    ratings = [Rating(Tokens((n, 10 + n), given=1), liked=True) for n in range(5)]

    found = mismatched(ratings, batch=2)

    assert [answer.ids for answer in found] == [(0, 11), (1, 10), (2, 13), (3, 12), (4, 14)]
