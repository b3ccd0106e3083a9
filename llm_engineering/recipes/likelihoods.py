"""How likely a model finds whole answers, and what it would rather say than its reference.

The reward of an answer is beta times how much more likely the model finds it than its reference
does (Rafailov et al., arXiv 2305.18290, eq. 5). The reference is what training starts from, frozen:
its likelihoods are computed once, before the first step, and kept as numbers, so that no second
model is held, no step pays for one, and nothing that training does can move it.

Does not know: trainers, adapters, where answers come from.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.training import LOSS_GROWTH, DeviceUse, HeldOut
from llm_engineering.recipes.packing import alone, collate, columns, pack
from llm_engineering.recipes.turns import IGNORED, Tokens

if TYPE_CHECKING:
    import torch

Likelihoods = Mapping[Tokens, float]
"""Log-likelihood of each answer given its prompt: the sum over its tokens, in nats."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, each with the prompt before it."""

    chosen: Tokens
    rejected: Tokens


@dataclass(frozen=True)
class Rating:
    """One answer, and whether it was liked."""

    answer: Tokens
    liked: bool


def log_likelihoods(
    model: Any, answers: Collection[Tokens], device: DeviceUse, *, length: int, packed: bool
) -> dict[Tokens, float]:
    """Of each answer; `packed`: several share a sequence of `length` tokens, apart from each other.

    The model's mode is put back. Logits are made only where an answer's token is predicted.
    """
    import torch

    distinct = tuple(dict.fromkeys(answers))
    longest = max((len(answer.ids) for answer in distinct), default=0)
    sequences = pack(distinct, length=max(length, longest)) if packed else alone(distinct)
    table = columns(sequences)
    found: dict[Tokens, float] = {}
    was_training = model.training
    model.eval()
    cast = torch.autocast(device.name, torch.bfloat16, enabled=device.precision == "bfloat16")
    with torch.no_grad(), cast:
        for number, sequence in enumerate(sequences):
            batch = collate([{name: table[name][number] for name in table}], padding=0)
            sums = _sums(model, {name: each.to(device.name) for name, each in batch.items()})
            ends = torch.tensor(table["seq_lengths"][number]).cumsum(0)
            found |= dict(zip(sequence.rows, _by_row(sums, ends), strict=True))
    model.train(was_training)
    return found


def _sums(model: Any, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Log-likelihood of each token of one sequence after the first; 0 where none is learnt."""
    import torch

    labels = batch.pop("labels")[0, 1:]
    places = (labels != IGNORED).nonzero().flatten()
    logits = model(**batch, use_cache=False, logits_to_keep=places).logits[0]
    told = torch.nn.functional.cross_entropy(logits.float(), labels[places], reduction="none")
    sums = torch.zeros(len(labels), dtype=torch.float64)
    sums[places.cpu()] = -told.double().cpu()
    return sums


def _by_row(sums: "torch.Tensor", ends: "torch.Tensor") -> list[float]:
    """`sums` starts with the second token of the first row; a row's first token is its prompt's."""
    starts = [0, *ends.tolist()[:-1]]
    return [
        float(sums[max(start - 1, 0) : end - 1].sum())
        for start, end in zip(starts, ends.tolist(), strict=True)
    ]


def measured_pairs(
    pairs: Sequence[Pair], now: Likelihoods, reference: Likelihoods, *, beta: float
) -> HeldOut:
    """Loss of the chosen answers; margin, accuracy and preference loss of the pairs."""
    margins = [
        beta * (now[p.chosen] - reference[p.chosen] - now[p.rejected] + reference[p.rejected])
        for p in pairs
    ]
    return HeldOut(
        rows=len(pairs),
        loss=_loss_of([pair.chosen for pair in pairs], now),
        reward_margin=_mean(margins),
        reward_accuracy=_mean([float(margin > 0) for margin in margins]),
        preference_loss=_mean([_softplus(-margin) for margin in margins]),
    )


def measured_ratings(
    ratings: Sequence[Rating], now: Likelihoods, reference: Likelihoods, *, beta: float
) -> HeldOut:
    """Loss of the liked answers; margin and accuracy over every liked with every disliked one.

    The preference loss is KTO's with a reference point of 0, both sides weighing the same.
    """
    liked, disliked = (
        [beta * (now[r.answer] - reference[r.answer]) for r in ratings if r.liked is side]
        for side in (True, False)
    )
    both = bool(liked and disliked)
    won = sum(good > bad for good in liked for bad in disliked)
    sides = [_mean([_sigmoid(-reward) for reward in liked]) if liked else None]
    sides.append(_mean([_sigmoid(reward) for reward in disliked]) if disliked else None)
    losses = [side for side in sides if side is not None]
    return HeldOut(
        rows=len(ratings),
        loss=_loss_of([r.answer for r in ratings if r.liked], now),
        reward_margin=_mean(liked) - _mean(disliked) if both else None,
        reward_accuracy=won / (len(liked) * len(disliked)) if both else None,
        preference_loss=_mean(losses),
    )


def unworthiness(now: HeldOut, *, before: HeldOut) -> float:
    """What the kept checkpoint has least of: the preference loss.

    One whose loss grew by more than is allowed comes after all others: its prose was the price.
    """
    growth = now.loss / before.loss - 1
    if growth > LOSS_GROWTH:
        return _WORST * (1 + growth)
    assert now.preference_loss is not None
    return now.preference_loss


_WORST = 1e3
"""Above any preference loss that a run comes to."""


def _loss_of(answers: Sequence[Tokens], now: Likelihoods) -> float:
    tokens = sum(answer.learnt for answer in answers)
    return -sum(now[answer] for answer in answers) / max(tokens, 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sigmoid(value: float) -> float:
    return math.exp(-_softplus(-value))


def _softplus(value: float) -> float:
    """log(1 + e^value), for any value."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
