"""Windows are what a plain loop over each sentence's neighbours would make of them."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_engineering.application.windows import (
    DENSE_WINDOWS,
    GATE,
    HEADING_SHARE,
    REACH,
    SPARSE_WINDOWS,
    Bounds,
    pooled,
    running,
    stacked,
    summed,
    taken,
)
from llm_engineering.domain.vectors import Floats, TermCounts

Terms = dict[int, int]

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=6)
"""Sentences of each of several documents."""
TERMS = st.dictionaries(st.sampled_from([0, 1, 2, 7, 2**32 - 1]), st.integers(1, 9), max_size=4)
REACHES = st.integers(0, 9)


def bounds(sizes: Sequence[int], *, reach: int) -> Bounds:
    """Of every sentence of documents of these sizes."""
    ends = np.array(list(accumulate(sizes)), dtype=np.int64)
    rows = np.arange(ends[-1])
    return Bounds.around(
        rows, reach=reach, begin=np.repeat(ends - sizes, sizes), end=np.repeat(ends, sizes)
    )


def near(sizes: Sequence[int], row: int, *, reach: int) -> list[int]:
    """The rows of the same document at most `reach` away."""
    of = [document for document, size in enumerate(sizes) for _ in range(size)]
    return [other for other in range(len(of)) if of[other] == of[row] and abs(other - row) <= reach]


def counts(rows: Sequence[Terms]) -> TermCounts:
    starts = [0, *accumulate(len(row) for row in rows)]
    terms = [term for row in rows for term in sorted(row)]
    numbers = [row[term] for row in rows for term in sorted(row)]
    return TermCounts(
        np.array(starts, dtype=np.int64),
        np.array(terms, dtype=np.uint32),
        np.array(numbers, dtype=np.float32),
        np.array([sum(row.values()) for row in rows], dtype=np.float32),
    )


def terms_of(found: TermCounts) -> list[Terms]:
    assert len(found.starts) == len(found) + 1
    assert found.starts[-1] == len(found.terms) == len(found.counts)
    for terms, _ in found.rows():
        assert terms.tolist() == sorted(set(terms.tolist()))
    return [
        {int(term): int(number) for term, number in zip(terms, numbers, strict=True)}
        for terms, numbers in found.rows()
    ]


def total(rows: Sequence[Terms]) -> Terms:
    return dict(sum((Counter(row) for row in rows), Counter[int]()))


def units(count: int, *, seed: int = 0, dimension: int = 8) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def nothing_above(count: int) -> Floats:
    return np.zeros((count, 8), dtype=np.float32)


@given(SIZES, REACHES, st.integers(0, 99))
@example([1], 0, 0)
@example([1, 1, 1], 16, 0)
def test_a_dense_window_is_the_mean_of_the_near_sentences_of_its_document(
    sizes: list[int], reach: int, seed: int
) -> None:
    vectors, headings = units(sum(sizes), seed=seed), units(sum(sizes), seed=seed + 100)
    found = pooled(running(vectors), bounds(sizes, reach=reach), headings=headings)
    assert found.dtype == np.float32
    for row in range(sum(sizes)):
        mean = vectors[near(sizes, row, reach=reach)].astype(np.float64).mean(axis=0)
        expected = mean / np.linalg.norm(mean) + HEADING_SHARE * headings[row]
        assert found[row] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_without_headings_a_window_of_one_sentence_is_its_vector() -> None:
    vectors = units(5)
    found = pooled(running(vectors), bounds([5], reach=0), headings=nothing_above(5))
    assert found == pytest.approx(vectors, abs=1e-6)


def test_headings_count_for_less_than_the_window_below_them() -> None:
    along, across = np.eye(8, dtype=np.float32)[:2]
    found = pooled(running(along[None]), bounds([1], reach=2), headings=across[None])[0]
    assert found[1] / found[0] == pytest.approx(HEADING_SHARE)
    assert found[0] > found[1]
    assert np.linalg.norm(found) == pytest.approx(1)


def test_vectors_that_cancel_out_leave_the_headings_and_no_nan() -> None:
    vectors = np.stack([np.eye(8, dtype=np.float32)[0], -np.eye(8, dtype=np.float32)[0]])
    window = bounds([2], reach=1)
    assert not pooled(running(vectors), window, headings=nothing_above(2)).any()
    headings = units(2)
    assert pooled(running(vectors), window, headings=headings) == pytest.approx(headings, abs=1e-6)


@given(st.lists(st.lists(TERMS, min_size=1, max_size=6), min_size=1, max_size=5), REACHES)
@example([[{}]], 0)
@example([[{}, {}], [{2**32 - 1: 1}]], 1)
def test_a_sparse_window_holds_the_terms_of_the_near_sentences_of_its_document(
    documents: list[list[Terms]], reach: int
) -> None:
    sizes = [len(document) for document in documents]
    rows = [row for document in documents for row in document]
    found = summed(counts(rows), bounds(sizes, reach=reach))
    expected = [
        total([rows[other] for other in near(sizes, row, reach=reach)]) for row in range(len(rows))
    ]
    assert terms_of(found) == expected
    assert found.lengths.tolist() == [sum(terms.values()) for terms in expected]


def test_many_rows_are_summed_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{n % 5: 1, 5 + n % 7: 2} for n in range(100)]
    window = bounds([40, 60], reach=8)
    at_once = summed(counts(rows), window)
    monkeypatch.setattr("llm_engineering.application.windows._ROWS", 7)
    in_parts = summed(counts(rows), window)
    assert terms_of(in_parts) == terms_of(at_once)
    assert in_parts.lengths.tolist() == at_once.lengths.tolist()


def test_no_sentence_has_no_window() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert terms_of(summed(counts([]), Bounds(none, none))) == []


@given(st.lists(TERMS, min_size=1, max_size=4), st.data())
def test_terms_of_headings_are_added_to_each_sentence_below(
    above: list[Terms], data: st.DataObject
) -> None:
    below = data.draw(st.lists(TERMS, max_size=6))
    of = data.draw(
        st.lists(st.integers(0, len(above) - 1), min_size=len(below), max_size=len(below))
    )
    found = stacked(counts(above), counts(below), of)
    expected = [total([above[row], terms]) for row, terms in zip(of, below, strict=True)]
    assert terms_of(found) == expected
    assert found.lengths.tolist() == [sum(terms.values()) for terms in expected]


@given(st.lists(TERMS, min_size=1, max_size=6), st.data())
def test_rows_are_taken_in_the_order_asked_for(rows: list[Terms], data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    found = taken(counts(rows), np.array(order, dtype=np.int64))
    assert terms_of(found) == [rows[row] for row in order]


def test_no_window_reaches_further_than_is_said() -> None:
    assert GATE in DENSE_WINDOWS
    assert max([*DENSE_WINDOWS.values(), *SPARSE_WINDOWS.values()]) == REACH
