"""How many sentences hold each term: what IDF is made of, kept exact by addition and subtraction.

An engine's own IDF counts what was deleted until it next rewrites its files. This one depends on
nothing but what is indexed, so a changed index scores as one built afresh.

Does not know: where it is kept, which sentences count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.vectors import Held, SparseVector

_MERGED_AT = 1 << 20
"""Terms counted at once: one sort of everything would take several times as long."""


@dataclass(frozen=True, slots=True, eq=False)
class TermStatistics:
    """Of one sparse vector name."""

    population: int
    """Sentences that have the vector: an empty one does not count."""
    terms: NDArray[np.uint32]
    """Held by one sentence at least; ascending."""
    holders: NDArray[np.int64]
    """How many sentences hold each of `terms`."""

    @classmethod
    def of(cls, rows: Iterable[NDArray[np.uint32]]) -> "TermStatistics":
        """Of the terms of each sentence, distinct within it."""
        total, held, size = NO_TERMS, list[NDArray[np.uint32]](), 0
        for row in rows:
            if len(row):
                held.append(row)
                size += len(row)
            if size > _MERGED_AT:
                total, held, size = total.plus(_counted(held)), [], 0
        return total.plus(_counted(held)) if held else total

    def plus(self, other: "TermStatistics") -> "TermStatistics":
        """Of the sentences of both."""
        return self._merged(other, sign=1)

    def minus(self, other: "TermStatistics") -> "TermStatistics":
        """Without the sentences of `other`, which must be among them."""
        return self._merged(other, sign=-1)

    def _merged(self, other: "TermStatistics", *, sign: int) -> "TermStatistics":
        both = np.concatenate([self.terms, other.terms])
        terms, places = np.unique(both, return_inverse=True)
        holders = np.zeros(len(terms), dtype=np.int64)
        holders[places[: len(self.terms)]] = self.holders
        holders[places[len(self.terms) :]] += sign * other.holders
        left = holders > 0
        return TermStatistics(self.population + sign * other.population, terms[left], holders[left])

    def held(self, terms: NDArray[np.uint32]) -> Held:
        """How many sentences hold each of `terms`."""
        holders = np.zeros(len(terms), dtype=np.int64)
        if len(self.terms):
            places = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
            holders = np.where(self.terms[places] == terms, self.holders[places], 0)
        return Held(self.population, holders)

    def weighed(self, vector: SparseVector) -> SparseVector:
        """The query `vector` times the IDF of its terms; terms that nobody holds are dropped."""
        held = self.held(vector.indices)
        found = held.holders > 0
        weights = vector.values[found] * held.idf()[found]
        return SparseVector(vector.indices[found], weights.astype(np.float32))

    def equals(self, other: "TermStatistics") -> bool:
        return (
            self.population == other.population
            and np.array_equal(self.terms, other.terms)
            and np.array_equal(self.holders, other.holders)
        )


NO_TERMS = TermStatistics(0, np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64))


def dumped(statistics: Mapping[str, TermStatistics]) -> bytes:
    """By vector name; equal statistics give equal bytes."""
    arrays: dict[str, NDArray[np.generic]] = {"names": np.array(sorted(statistics), dtype=np.str_)}
    for number, name in enumerate(sorted(statistics)):
        each = statistics[name]
        arrays[f"population{number}"] = np.array(each.population)
        arrays[f"terms{number}"] = each.terms
        arrays[f"holders{number}"] = each.holders.astype(np.uint32)
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def loaded(content: bytes) -> dict[str, TermStatistics]:
    """The inverse of `dumped`; raises ValueError, KeyError or BadZipFile for anything else."""
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return {
            str(name): TermStatistics(
                int(arrays[f"population{number}"]),
                arrays[f"terms{number}"],
                arrays[f"holders{number}"].astype(np.int64),
            )
            for number, name in enumerate(arrays["names"])
        }


def _counted(rows: list[NDArray[np.uint32]]) -> TermStatistics:
    terms, holders = np.unique(np.concatenate(rows), return_counts=True)
    return TermStatistics(len(rows), terms.astype(np.uint32), holders.astype(np.int64))
