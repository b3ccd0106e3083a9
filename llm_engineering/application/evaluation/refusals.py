"""How well an evidence score tells questions that can be answered from those that cannot.

A question is refused when its score is below the threshold.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

_THRESHOLDS = 10


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusing(Frozen):
    """What refusing below one threshold does."""

    threshold: float
    precision: float
    """Of the questions refused, the share that cannot be answered; 1 when none is refused."""
    recall: float
    """Of the questions that cannot be answered, the share refused."""
    wrongly: float
    """Of the questions that can be answered, the share refused."""


class RefusalReport(Frozen):
    """Over all questions of a file."""

    answerable: int
    unanswerable: int
    auc: float
    """Chance that a question that can be answered has the higher score; a tie is half of one."""
    configured: Refusing
    curve: tuple[Refusing, ...]
    """At ten thresholds spread over the scores."""
    refused_by_kind: dict[str, float]
    """Of the unanswerable questions of each kind, the share refused as configured."""


def refusal_report(
    answerable: Sequence[float],
    unanswerable: Sequence[float],
    *,
    kinds: Sequence[str],
    threshold: float,
) -> RefusalReport:
    """From the scores of questions of both sorts, at least one of each.

    `kinds` are those of the unanswerable ones.
    """
    good, bad = np.asarray(answerable, dtype=float), np.asarray(unanswerable, dtype=float)
    shares = (np.arange(_THRESHOLDS) + 0.5) / _THRESHOLDS
    spread = np.quantile(np.concatenate([good, bad]), shares).tolist()
    refused: dict[str, list[bool]] = {}
    for kind, score in zip(kinds, unanswerable, strict=True):
        if kind:
            refused.setdefault(kind, []).append(score < threshold)
    return RefusalReport(
        answerable=len(good),
        unanswerable=len(bad),
        auc=auc(answerable, unanswerable),
        configured=_refusing(good, bad, threshold),
        curve=tuple(_refusing(good, bad, each) for each in spread),
        refused_by_kind={kind: sum(each) / len(each) for kind, each in refused.items()},
    )


def auc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """Chance that one of `higher` is above one of `lower`, ties half."""
    ordered = np.sort(np.asarray(lower, dtype=float))
    below = np.searchsorted(ordered, higher, side="left")
    up_to = np.searchsorted(ordered, higher, side="right")
    return float((below + up_to).sum() / (2 * len(higher) * len(lower)))


def _refusing(
    good: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    bad: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    threshold: float,
) -> Refusing:
    right, wrong = int((bad < threshold).sum()), int((good < threshold).sum())
    return Refusing(
        threshold=threshold,
        precision=right / (right + wrong) if right + wrong else 1.0,
        recall=right / len(bad),
        wrongly=wrong / len(good),
    )
