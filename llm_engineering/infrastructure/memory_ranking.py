"""The ranked lists of an index, calculated over everything in it with NumPy.

Does not know: versions, builds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import IndexManifest, SentenceId
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.vectors import (
    DenseLeg,
    EmbeddedChunk,
    Hit,
    Leg,
    SparseLeg,
    SparseVector,
)
from llm_engineering.infrastructure.index_rules import asked_vector
from llm_engineering.infrastructure.term_statistics import TermStatistics

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Postings:
    """Who holds which term, ordered by term."""

    terms: NDArray[np.uint32]
    rows: NDArray[np.int64]
    weights: Doubles


class SentenceMatrix:
    """The rankable sentences of `points`, a row each, ordered by id."""

    def __init__(self, manifest: IndexManifest, points: Iterable[EmbeddedChunk]) -> None:
        self._manifest = manifest
        ranked = (point for point in points if point.entry.duplicate_of is None and point.dense)
        self.points = sorted(ranked, key=lambda point: point.entry.chunk.id)
        """The chunks of the sentences."""
        self.sizes = np.array([len(p.dense[manifest.gate]) for p in self.points], dtype=np.int64)
        """How many sentences each of `points` has."""
        self._ids = [
            SentenceId(point.entry.chunk.id, number)
            for point, size in zip(self.points, self.sizes, strict=True)
            for number in range(size)
        ]

    def matching(self, where: DocumentFilter) -> NDArray[np.bool_]:
        """Whether each row may be ranked."""
        chunks = [where.matches(point.entry.chunk.document) for point in self.points]
        return np.repeat(np.array(chunks, dtype=bool), self.sizes)

    def rank(self, leg: Leg, *, rankable: NDArray[np.bool_]) -> list[Hit]:
        match leg:
            case DenseLeg():
                among = rankable
                if leg.name != self._manifest.gate:
                    gate = self._cosines(leg, self._manifest.gate)
                    among = np.zeros_like(rankable)
                    among[_best_rows(gate, rankable, limit=leg.pool)] = True
                scores = self._cosines(leg, leg.name)
            case SparseLeg():
                scores, held = self._bm25(leg)
                among = rankable & held
        rows = _best_rows(scores, among, limit=leg.limit)
        return [Hit(self._ids[row], float(scores[row])) for row in rows]

    def _cosines(self, leg: DenseLeg, name: str) -> Doubles:
        return self._dense[name] @ asked_vector(leg).astype(np.float64)

    def _bm25(self, leg: SparseLeg) -> tuple[Doubles, NDArray[np.bool_]]:
        """The score of every row, and whether it holds a term at all."""
        postings = self._postings[leg.name]
        scores = np.zeros(len(self._ids))
        held = np.zeros(len(self._ids), dtype=bool)
        query = self.statistics[leg.name].weighed(leg.vector)
        starts = np.searchsorted(postings.terms, query.indices, side="left")
        ends = np.searchsorted(postings.terms, query.indices, side="right")
        for start, end, weight in zip(starts, ends, query.values, strict=True):
            rows = postings.rows[start:end]
            scores[rows] += weight * postings.weights[start:end]
            held[rows] = True
        return scores, held

    @cached_property
    def _dense(self) -> dict[str, Doubles]:
        """By name. In double precision their products are exact, so equal rows tie in any order."""
        empty = np.zeros((0, self._manifest.dimension))
        return {
            name: np.concatenate([empty, *(point.dense[name] for point in self.points)])
            for name in self._manifest.dense
        }

    @cached_property
    def statistics(self) -> dict[str, TermStatistics]:
        """By sparse vector name."""
        return {
            name: TermStatistics.of(vector.indices for vector in self._vectors(name))
            for name in self._manifest.sparse
        }

    @cached_property
    def _postings(self) -> dict[str, _Postings]:
        return {name: _postings(self._vectors(name)) for name in self._manifest.sparse}

    def _vectors(self, name: str) -> list[SparseVector]:
        return [vector for point in self.points for vector in point.sparse[name]]


def _postings(vectors: Sequence[SparseVector]) -> _Postings:
    no_terms = SparseVector.of({})
    terms = np.concatenate([no_terms.indices, *(vector.indices for vector in vectors)])
    weights = np.concatenate([no_terms.values, *(vector.values for vector in vectors)])
    rows = np.repeat(np.arange(len(vectors)), [len(vector.indices) for vector in vectors])
    order = np.argsort(terms, kind="stable")
    return _Postings(terms[order], rows[order], weights[order].astype(np.float64))


def _best_rows(scores: Doubles, among: NDArray[np.bool_], *, limit: int) -> NDArray[np.int64]:
    rows = np.flatnonzero(among)
    return rows[np.argsort(-scores[rows], kind="stable")[:limit]]
