"""Vectors of sentences, the ranked lists asked of an index, and the hits that come back.

Does not know: which model makes the vectors, which engine ranks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import IndexEntry, SentenceId

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """Weights of the terms present; `indices` ascending, both of the same length."""

    indices: NDArray[np.uint32]
    values: Floats

    @classmethod
    def of(cls, weights: Mapping[int, float]) -> "SparseVector":
        """From the weight of each term."""
        terms = sorted(weights)
        return cls(
            np.array(terms, dtype=np.uint32),
            np.array([weights[term] for term in terms], dtype=np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TermCounts:
    """How often each term occurs in each of several texts, row by row."""

    starts: NDArray[np.int64]
    """(texts + 1,): row i is [starts[i], starts[i + 1]) of `terms` and `counts`."""
    terms: NDArray[np.uint32]
    """Of each row ascending and distinct."""
    counts: Floats
    lengths: Floats
    """(texts,): words of each text that count for its length."""

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self) -> Iterator[tuple[NDArray[np.uint32], Floats]]:
        """Terms and counts of each text."""
        for start, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield self.terms[start:end], self.counts[start:end]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedChunk:
    """A chunk with the named vectors of its sentences, ready to be indexed."""

    entry: IndexEntry
    dense: Mapping[str, Floats]
    """(sentences, dimension) by name, rows of unit length."""
    sparse: Mapping[str, Sequence[SparseVector]]
    """One per sentence by name; an empty one is as good as none."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseLeg:
    """Rank by cosine with the dense vector `name`; `limit` best.

    Unless `name` is the index's gate, only the `pool` sentences nearest by the gate are ranked.
    Which of several that tie at the end of the pool are among them is the engine's choice.
    """

    name: str
    vector: Floats
    limit: int
    pool: int


@dataclass(frozen=True, slots=True, eq=False)
class SparseLeg:
    """Rank by dot product with the sparse vector `name`, times IDF kept by the index."""

    name: str
    vector: SparseVector
    limit: int


Leg = DenseLeg | SparseLeg


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """How many of an index's sentences hold each of some terms."""

    sentences: int
    holders: NDArray[np.int64]

    def idf(self) -> NDArray[np.float64]:
        """BM25's inverse document frequency of each term; never negative."""
        return np.log1p((self.sentences - self.holders + 0.5) / (self.holders + 0.5))

    def largest_idf(self) -> float:
        """That of a term that no sentence holds."""
        return float(np.log1p((self.sentences + 0.5) / 0.5))


class Hit(NamedTuple):
    """A sentence that one ranked list returned, with that list's own raw score."""

    sentence: SentenceId
    score: float


@dataclass(frozen=True, slots=True)
class LegRank:
    """Where one leg placed a sentence."""

    leg: str
    rank: int
    """1 is best."""
    score: float
    """The leg's own raw score."""


@dataclass(frozen=True, slots=True)
class FusedHit:
    """A sentence with its fused score and where each leg placed it."""

    sentence: SentenceId
    score: float
    ranks: tuple[LegRank, ...]
