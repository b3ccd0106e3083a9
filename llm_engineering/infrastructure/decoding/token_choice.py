"""The next token of each row, from what the model computed.

Does not know: what tokens mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm_engineering.domain.errors import MissingExtra

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtra("torch", extra="train") from error

_LIKELIEST = 1_024
"""Tokens that are sorted at first: the whole vocabulary is only where these are not enough."""


@dataclass(frozen=True, eq=False)
class Choice:
    """How one row's tokens are chosen."""

    temperature: float
    """0: the likeliest one."""
    top_p: float
    """Among the likeliest tokens whose probabilities sum up to this."""
    top_k: int
    """Among so many of the likeliest; 0: no such limit."""
    random: np.random.Generator
    """The row's own, so that its answer does not depend on who else is answered."""


def choose(logits: torch.Tensor, choices: Sequence[Choice]) -> list[int | None]:
    """A token for each row of `logits` (rows, vocabulary); None where these are no numbers."""
    tokens = logits.argmax(dim=-1)
    drawn = [row for row, choice in enumerate(choices) if choice.temperature > 0]
    if drawn:
        rows = torch.tensor(drawn, device=logits.device)
        tokens[rows] = _draw(logits[rows], [choices[row] for row in drawn])
    broken = logits.isnan().any(dim=-1)
    return [
        None if bad else token for token, bad in zip(tokens.tolist(), broken.tolist(), strict=True)
    ]


def _draw(logits: torch.Tensor, choices: Sequence[Choice]) -> torch.Tensor:
    """Where a point of [0, 1) of each row's own falls among its tokens' summed probabilities."""
    heat = _column([choice.temperature for choice in choices], logits)
    probabilities = torch.softmax(logits.float() / heat, dim=-1)
    order: torch.Tensor | None = None
    if any(choice.top_p < 1 or choice.top_k for choice in choices):
        probabilities, order = _likeliest(probabilities, choices)
    summed = probabilities.double().cumsum(dim=-1)
    points = _column([float(choice.random.random()) for choice in choices], summed)
    places = torch.searchsorted(summed, points * summed[:, -1:], right=True)
    places = places.clamp(max=summed.shape[-1] - 1)
    return (places if order is None else order.gather(-1, places)).squeeze(-1)


def _likeliest(
    probabilities: torch.Tensor, choices: Sequence[Choice]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Descending probabilities, 0 where a row leaves a token out, and whose they are."""
    vocabulary = probabilities.shape[-1]
    share = _column([choice.top_p for choice in choices], probabilities)
    most = torch.tensor(
        [[choice.top_k or vocabulary] for choice in choices], device=probabilities.device
    )
    for number in (_LIKELIEST, vocabulary):
        found, order = probabilities.topk(min(number, vocabulary), dim=-1)
        before = found.cumsum(dim=-1) - found
        enough = (before[:, -1:] >= share) | (most <= found.shape[-1])
        if bool(enough.all()):
            break
    places = torch.arange(found.shape[-1], device=found.device)
    kept = ((before < share) | (share >= 1)) & (places < most)
    kept[:, 0] = True
    return found * kept, order


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    kind = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.tensor(values, dtype=kind, device=like.device)[:, None]
