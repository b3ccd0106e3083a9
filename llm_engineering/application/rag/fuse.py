"""Fuse several ranked lists into one: a weighted sum of scaled scores.

Each list's scores are scaled from its floor to its ceiling; a sentence that a list did not return
gets 0 from it. Scores and not places are added, because windows of one short document are equal:
places would put sentences that tie far apart. Measured against reciprocal rank fusion in
docs/explanation/retrieval.md. Done here and not in the engine, so that every engine ranks alike
and every rank can be explained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.vectors import FusedHit, Hit, LegRank


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one leg returned, best first."""

    leg: str
    hits: Sequence[Hit]
    weight: float
    floor: float | None = None
    """The score that counts as 0; None: the last hit's. BM25 has a zero, cosine has none."""
    ceiling: float | None = None
    """The score that counts as 1; None: the first hit's."""


def fuse(lists: Sequence[RankedList]) -> list[FusedHit]:
    """Best first, ties by sentence id."""
    ranks: dict[SentenceId, list[LegRank]] = {}
    scores: dict[SentenceId, float] = {}
    for ranked in lists:
        floor, span = _range(ranked)
        for place, (key, score) in enumerate(ranked.hits, start=1):
            scaled = max(score - floor, 0.0) / span if span > 0 else 1.0
            total = scores.get(key)
            if total is None:
                scores[key], ranks[key] = ranked.weight * scaled, []
            else:
                scores[key] = total + ranked.weight * scaled
            ranks[key].append(LegRank(ranked.leg, place, score))
    order = sorted(scores, key=lambda key: (-scores[key], key))
    return [FusedHit(key, scores[key], tuple(ranks[key])) for key in order]


def _range(ranked: RankedList) -> tuple[float, float]:
    """The score that counts as 0, and how far above it 1 is; 0 where all are alike."""
    if not ranked.hits:
        return 0.0, 0.0
    ceiling = ranked.hits[0].score if ranked.ceiling is None else ranked.ceiling
    floor = ranked.hits[-1].score if ranked.floor is None else ranked.floor
    return floor, max(ceiling - floor, 0.0)
