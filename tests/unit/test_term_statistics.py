"""Term statistics: what is added and taken away again leaves what a fresh count finds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.domain.vectors import SparseVector
from llm_engineering.infrastructure.term_statistics import (
    NO_TERMS,
    TermStatistics,
    dumped,
    loaded,
)

SENTENCES = st.lists(st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 5), max_size=6))


def counted(sentences: list[set[int]]) -> TermStatistics:
    return TermStatistics.of(np.array(sorted(terms), dtype=np.uint32) for terms in sentences)


@given(SENTENCES)
def test_each_sentence_counts_once_for_each_of_its_terms(sentences: list[set[int]]) -> None:
    statistics = counted(sentences)
    expected = Counter(term for terms in sentences for term in terms)
    found = dict(zip(statistics.terms.tolist(), statistics.holders.tolist(), strict=True))
    assert found == expected
    assert statistics.terms.tolist() == sorted(expected)
    assert statistics.population == sum(1 for terms in sentences if terms)


@given(SENTENCES, SENTENCES)
def test_adding_and_taking_away_is_as_counting_afresh(
    some: list[set[int]], others: list[set[int]]
) -> None:
    both = counted(some).plus(counted(others))
    assert both.equals(counted([*some, *others]))
    assert both.minus(counted(some)).equals(counted(others))
    assert both.minus(both).equals(NO_TERMS)


@given(SENTENCES, SENTENCES)
def test_statistics_come_back_from_bytes_and_equal_ones_are_equal_bytes(
    some: list[set[int]], others: list[set[int]]
) -> None:
    statistics = {"b": counted(some), "a/1": counted(others)}
    content = dumped(statistics)
    back = loaded(content)
    assert back.keys() == statistics.keys()
    assert all(back[name].equals(each) for name, each in statistics.items())
    assert dumped({"a/1": counted(others), "b": counted(some)}) == content


def test_many_terms_are_counted_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [{number, number % 7, number % 11} for number in range(100)]
    at_once = counted(sentences)
    monkeypatch.setattr("llm_engineering.infrastructure.term_statistics._MERGED_AT", 10)
    assert counted(sentences).equals(at_once)


def test_a_query_is_weighed_by_rarity_and_loses_what_nobody_holds() -> None:
    statistics = counted([{1, 2}, {2}, {2, 9}, set()])
    weighed = statistics.weighed(SparseVector.of({0: 1.0, 1: 2.0, 2: 1.0, 5: 1.0, 10: 1.0}))
    assert weighed.indices.tolist() == [1, 2]
    expected = [2 * np.log1p((3 - 1 + 0.5) / 1.5), np.log1p((3 - 3 + 0.5) / 3.5)]
    assert weighed.values.tolist() == pytest.approx(expected)


def test_nothing_is_left_of_a_query_to_an_empty_index() -> None:
    assert len(NO_TERMS.weighed(SparseVector.of({1: 1.0})).indices) == 0
    assert len(counted([{1}]).weighed(SparseVector.of({})).indices) == 0
