"""What an index must answer, written down as plainly as it can be."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.vectors import (
    DenseLeg,
    EmbeddedChunk,
    Floats,
    Hit,
    Leg,
    SparseLeg,
    SparseVector,
)
from tests.contract.indexed_chunks import ids


def ranking(
    chunks: Sequence[EmbeddedChunk], leg: Leg, *, gate: str, where: DocumentFilter = EVERYTHING
) -> dict[SentenceId, float]:
    """Everything that `leg` ranks, best first: its limit does not count."""
    ranked = [chunk for chunk in chunks if chunk.entry.duplicate_of is None]
    matching = [chunk for chunk in ranked if where.matches(chunk.entry.chunk.document)]
    match leg:
        case SparseLeg():
            every = [vector for chunk in ranked for vector in chunk.sparse[leg.name]]
            scores = _bm25(matching, leg, weights=_idf(every))
        case DenseLeg() if leg.name == gate:
            scores = _cosines(matching, leg, gate)
        case DenseLeg():
            pool = [*_in_order(_cosines(matching, leg, gate))][: leg.pool]
            cosines = _cosines(matching, leg, leg.name)
            scores = {key: cosines[key] for key in pool}
    return _in_order(scores)


def _in_order(scores: dict[SentenceId, float]) -> dict[SentenceId, float]:
    return dict(sorted(scores.items(), key=lambda scored: (-scored[1], scored[0])))


def _cosines(chunks: Sequence[EmbeddedChunk], leg: DenseLeg, name: str) -> dict[SentenceId, float]:
    query = _half(leg.vector / np.linalg.norm(leg.vector))
    return {
        SentenceId(chunk.entry.chunk.id, number): float(np.dot(_half(row), query))
        for chunk in chunks
        for number, row in enumerate(chunk.dense[name])
    }


def _half(vector: Floats) -> Floats:
    return vector.astype(np.float16).astype(np.float32)


def _idf(vectors: Sequence[SparseVector]) -> dict[int, float]:
    held = Counter(term for vector in vectors for term in vector.indices.tolist())
    population = sum(len(vector.indices) > 0 for vector in vectors)
    return {n: np.log1p((population - df + 0.5) / (df + 0.5)) for n, df in held.items()}


def _bm25(
    chunks: Sequence[EmbeddedChunk], leg: SparseLeg, *, weights: dict[int, float]
) -> dict[SentenceId, float]:
    asked = dict(zip(leg.vector.indices.tolist(), leg.vector.values.tolist(), strict=True))
    scores = {}
    for chunk in chunks:
        for number, vector in enumerate(chunk.sparse[leg.name]):
            held = dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))
            if common := held.keys() & asked.keys():
                score = sum(held[term] * asked[term] * weights[term] for term in common)
                scores[SentenceId(chunk.entry.chunk.id, number)] = float(score)
    return scores


def assert_ranked_as(got: Sequence[Hit], want: dict[SentenceId, float], *, limit: int) -> None:
    """`got` is the start of `want`; those that score alike to 1e-5 may change places.

    Engines calculate in single precision.
    """
    best = [*want.values()][:limit]
    assert [hit.score for hit in got] == pytest.approx(best, abs=1e-5, rel=1e-5)
    assert [want[key] for key in ids(got)] == pytest.approx(best, abs=1e-5, rel=1e-5)
    assert len(set(ids(got))) == len(got)
