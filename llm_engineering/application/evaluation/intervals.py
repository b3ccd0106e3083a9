"""Bootstrap intervals of means over questions (Efron, "Bootstrap Methods", 1979).

Questions are drawn with replacement; the middle 95 % of the means of the draws is the interval.
For a difference, pass differences per question: that is the paired bootstrap.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

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
