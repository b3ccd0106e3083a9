"""Rerank: the best hits again, by a model that reads question and text together.

Does not know: which model scores, what the text of a hit is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.vectors import FusedHit, LegRank
from llm_engineering.ports.models import Reranker

LEG = "rerank"
"""Name of the reranker among the legs that placed a hit."""


class RerankConfig(BaseModel):
    """How far a reranker may change the order; `TWIN_RERANKER__KIND` says which one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=0.0, ge=0, le=1)
    """Share of the reranker's score in the new one: 0 asks no reranker, 1 forgets the legs."""
    candidates: int = Field(default=50, ge=1, le=1_000)
    """Best hits that it reads; each costs one pass of its model."""


def rerank(
    question: str,
    hits: Sequence[FusedHit],
    *,
    texts: Sequence[str],
    reranker: Reranker,
    config: RerankConfig,
) -> tuple[FusedHit, ...]:
    """All hits, the best `config.candidates` of them reordered; `texts` are theirs, in order.

    Their new score is (1 - weight) * fused + weight * reranked, both scaled to 0..1 among them.
    The rest keeps its order below: its fused scores on the same scale are not above 0. Texts past
    the candidates are not read.
    """
    if not hits:
        return ()
    best = hits[: config.candidates]
    raw = reranker.score(question, texts[: len(best)])
    fused = np.array([hit.score for hit in hits], dtype=np.float64)
    kept = (1 - config.weight) * _scaled(fused, among=len(best))
    scores = kept[: len(best)] + config.weight * _scaled(raw, among=len(best))
    places = np.empty(len(best), dtype=np.int64)
    places[np.argsort(-raw, kind="stable")] = np.arange(1, len(best) + 1)
    reranked = [
        replace(
            hit,
            score=float(score),
            ranks=(*hit.ranks, LegRank(LEG, int(place), float(given))),
        )
        for hit, score, place, given in zip(best, scores, places, raw, strict=True)
    ]
    reranked.sort(key=lambda hit: -hit.score)
    below = zip(hits[len(best) :], kept[len(best) :], strict=True)
    return (*reranked, *(replace(hit, score=float(min(score, 0.0))) for hit, score in below))


def _scaled(scores: NDArray[np.floating], *, among: int) -> NDArray[np.float64]:
    """The first `among` to 0..1, the others on their scale; equal ones are 0: they tell nothing."""
    wide = np.asarray(scores, dtype=np.float64)
    lowest, span = float(wide[:among].min()), float(np.ptp(wide[:among])) or 1.0
    return (wide - lowest) / span
