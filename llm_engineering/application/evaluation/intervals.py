"""Bootstrap intervals of means over questions (Efron, "Bootstrap Methods", 1979).

Questions are drawn with replacement; the middle 95 % of the means of the draws is the interval.
For a difference, pass differences per question: that is the paired bootstrap.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_Z = 1.959964
RESAMPLES = 10_000
_BATCH = 1_000
"""Resamples drawn at a time: thousands of questions stay within some ten megabytes."""


class Estimate(BaseModel):
    """A mean with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    low: float
    high: float


def estimates(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Estimate]:
    """One estimate per column of `values`, (questions, columns) with at least one question."""
    rng = np.random.default_rng(seed)
    questions = len(values)
    means: list[NDArray[np.float64]] = []
    for first in range(0, resamples, _BATCH):
        batch = min(_BATCH, resamples - first)
        drawn = rng.integers(questions, size=(batch, questions))
        rows = np.repeat(np.arange(batch), questions)
        counts = np.zeros((batch, questions))
        np.add.at(counts, (rows, drawn.ravel()), 1.0)
        means.append(counts @ values / questions)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return [
        Estimate(mean=float(mean), low=float(a), high=float(b))
        for mean, a, b in zip(values.mean(axis=0), low, high, strict=True)
    ]


def share_of(right: int, of: int) -> Estimate:
    """A share of few, with Wilson's 95 % interval ("Probable Inference", 1927).

    Where all of four are right, drawing them again tells nothing: this does. `of` is at least 1.
    """
    share, squared = right / of, _Z**2
    middle = (share + squared / (2 * of)) / (1 + squared / of)
    spread = _Z * sqrt(share * (1 - share) / of + squared / (4 * of**2)) / (1 + squared / of)
    return Estimate(mean=share, low=max(middle - spread, 0.0), high=min(middle + spread, 1.0))
