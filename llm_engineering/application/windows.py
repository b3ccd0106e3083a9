"""Windows: what a sentence and its neighbours are about, as vectors.

A sentence is scored in several windows at once: itself and the w sentences before and after it in
its document. The dense vector of a window is the mean of its sentences' vectors, to which the
vector of the headings above is added; its terms are the sum of theirs. So each sentence is encoded
once, whatever the number of windows.

Does not know: which sentences changed, which engine ranks them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.vectors import Floats, TermCounts

WINDOWS = "windows-1"
"""Changes whenever the same chunks would get other vectors."""

DENSE_WINDOWS = {"s0": 0, "s2": 2, "s8": 8, "s16": 16}
"""Names of the dense vectors, and how many sentences on each side they take in."""

SPARSE_WINDOWS = {"t1": 1, "t8": 8}
"""The same of the sparse vectors."""

GATE = "s2"
"""The window that finds meaning best by itself."""

REACH = max(*DENSE_WINDOWS.values(), *SPARSE_WINDOWS.values())
"""A change touches the windows of so many sentences on each side of it."""

HEADING_SHARE = 0.3
"""Weight of the headings' vector beside the window's of length 1."""

_COUNT_BITS, _TERM_BITS = 16, 32
_ROWS = 1 << 15
"""Rows summed at a time: a row number, a term and a count share one signed 64-bit integer."""

Rows = NDArray[np.int64]
Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The rows [first[i], last[i]] that each sentence's window takes in."""

    first: Rows
    last: Rows

    @classmethod
    def around(cls, rows: Rows, *, reach: int, begin: Rows, end: Rows) -> "Bounds":
        """`reach` rows on each side of `rows`, within [begin, end) of their own documents."""
        return cls(np.maximum(rows - reach, begin), np.minimum(rows + reach, end - 1))


def running(vectors: Floats) -> Sums:
    """(n + 1, dimension): the sum of all rows before each, and of all.

    In double precision: what two sums of thousands of unit vectors differ by is then exact to
    single precision, whatever stands before them.
    """
    sums = np.zeros((len(vectors) + 1, vectors.shape[1]), dtype=np.float64)
    np.cumsum(vectors, axis=0, dtype=np.float64, out=sums[1:])
    return sums


def pooled(sums: Sums, bounds: Bounds, *, headings: Floats) -> Floats:
    """(n, dimension): unit vectors of the windows over the rows, of unit length, that `sums` runs
    over.

    `headings`: (n, dimension), the vector of what stands above each sentence; zero for nothing.
    """
    means = _unit((sums[bounds.last + 1] - sums[bounds.first]).astype(np.float32))
    return _unit(means + np.float32(HEADING_SHARE) * headings)


def summed(counts: TermCounts, bounds: Bounds) -> TermCounts:
    """The terms of each window: the sum of those of its sentences."""
    parts = [
        _summed(counts, bounds.first[at : at + _ROWS], bounds.last[at : at + _ROWS])
        for at in range(0, len(bounds.first), _ROWS)
    ]
    sizes = np.concatenate([np.diff(part.starts) for part in parts] or [np.zeros(0, np.int64)])
    return TermCounts(
        np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)]),
        np.concatenate([part.terms for part in parts] or [np.zeros(0, np.uint32)]),
        np.concatenate([part.counts for part in parts] or [np.zeros(0, np.float32)]),
        np.concatenate([part.lengths for part in parts] or [np.zeros(0, np.float32)]),
    )


def stacked(above: TermCounts, below: TermCounts, rows: Sequence[int]) -> TermCounts:
    """The terms of each row of `below` with those of row `rows[i]` of `above`."""
    number = len(below)
    joint = TermCounts(
        np.concatenate([above.starts, below.starts[1:] + above.starts[-1]]),
        np.concatenate([above.terms, below.terms]),
        np.concatenate([above.counts, below.counts]),
        np.concatenate([above.lengths, below.lengths]),
    )
    order = np.stack([np.asarray(rows, dtype=np.int64), len(above) + np.arange(number)], axis=1)
    pairs = taken(joint, order.ravel())
    return summed(pairs, Bounds(np.arange(0, 2 * number, 2), np.arange(1, 2 * number, 2)))


def taken(counts: TermCounts, rows: Rows) -> TermCounts:
    """The given rows in the given order."""
    sizes = np.diff(counts.starts)[rows]
    entries = _ranges(counts.starts[rows], sizes)
    return TermCounts(
        np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)]),
        counts.terms[entries],
        counts.counts[entries],
        counts.lengths[rows],
    )


def _summed(counts: TermCounts, first: Rows, last: Rows) -> TermCounts:
    begin, sizes = counts.starts[first], counts.starts[last + 1] - counts.starts[first]
    entries = _ranges(begin, sizes)
    rows = np.repeat(np.arange(len(first)), sizes)
    keys = (rows << _TERM_BITS) | counts.terms[entries].astype(np.int64)
    most = (1 << _COUNT_BITS) - 1
    number = np.minimum(counts.counts[entries], most).astype(np.int64)
    packed = np.sort((keys << _COUNT_BITS) | number)  # far faster than sorting by an index
    keys, number = packed >> _COUNT_BITS, packed & most
    fresh = np.flatnonzero(np.diff(keys, prepend=-1))
    keys, totals = keys[fresh], np.add.reduceat(number, fresh) if len(fresh) else number
    words = np.concatenate([[0.0], np.cumsum(counts.lengths, dtype=np.float64)])
    return TermCounts(
        np.searchsorted(keys >> _TERM_BITS, np.arange(len(first) + 1)),
        (keys & ((1 << _TERM_BITS) - 1)).astype(np.uint32),
        totals.astype(np.float32),
        (words[last + 1] - words[first]).astype(np.float32),
    )


def _ranges(starts: Rows, sizes: Rows) -> Rows:
    """start, start + 1, ... for each start, `sizes` of them, one after the other."""
    offsets = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(sizes.sum()) + np.repeat(starts - offsets, sizes), dtype=np.int64)


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms == 0, 1, norms), dtype=np.float32)
