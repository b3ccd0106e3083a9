"""A query that was asked before is not encoded again."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.infrastructure.hash_embedder import HashEmbedder

REFERENCE = HashEmbedder(dimension=16)


class CountingEmbedder(HashEmbedder):
    """Remembers each batch that it was given."""

    def __init__(self, *, dimension: int = 16) -> None:
        super().__init__(dimension=dimension)
        self.batches: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        return super().embed(texts)


def test_the_same_text_is_encoded_once() -> None:
    embedder, cache = CountingEmbedder(), QueryCache()
    (first,) = cache.vectors(["tea"], embedder)
    (again,) = cache.vectors(["tea"], embedder)
    assert embedder.batches == [["tea"]]
    assert np.array_equal(first, again)
    assert np.array_equal(first, REFERENCE.embed(["tea"])[0])


def test_several_texts_are_encoded_in_one_call_without_those_that_are_held() -> None:
    embedder, cache = CountingEmbedder(), QueryCache()
    cache.vectors(["tea"], embedder)
    asked = ["bikes", "tea", "bread", "bikes"]
    given = cache.vectors(asked, embedder)
    assert embedder.batches == [["tea"], ["bikes", "bread"]]
    assert np.array_equal(np.stack(given), REFERENCE.embed(asked))


def test_nothing_asked_encodes_nothing() -> None:
    embedder = CountingEmbedder()
    assert QueryCache().vectors([], embedder) == []
    assert embedder.batches == []


def test_only_so_many_are_kept_and_those_asked_last() -> None:
    embedder, cache = CountingEmbedder(), QueryCache(size=2)
    for text in ("tea", "bikes", "tea", "bread", "tea", "bikes"):
        cache.vectors([text], embedder)
    assert embedder.batches == [["tea"], ["bikes"], ["bread"], ["bikes"]]


def test_more_at_once_than_are_kept_all_have_their_vectors() -> None:
    embedder, cache = CountingEmbedder(), QueryCache(size=2)
    asked = ["tea", "bikes", "bread"]
    assert np.array_equal(np.stack(cache.vectors(asked, embedder)), REFERENCE.embed(asked))
    cache.vectors(["bikes", "bread"], embedder)
    assert embedder.batches == [asked]


def test_each_embedder_has_its_own_vectors() -> None:
    small, large, cache = CountingEmbedder(), CountingEmbedder(dimension=32), QueryCache()
    assert [len(cache.vectors(["tea"], each)[0]) for each in (small, large, small)] == [16, 32, 16]
    assert (small.batches, large.batches) == ([["tea"]], [["tea"]])


class Interruptible(str):
    """A text during whose look-up another thread may take its turn."""

    def __hash__(self) -> int:
        return super().__hash__()


@pytest.fixture
def _hurried_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_hurried_threads")
def test_threads_that_ask_at_once_all_get_the_right_vectors() -> None:
    embedder, cache, start = CountingEmbedder(), QueryCache(size=3), Barrier(8)
    texts = [Interruptible(f"question {number}") for number in range(8)]
    expected = REFERENCE.embed(texts)

    def ask(offset: int) -> bool:
        start.wait(timeout=60)
        right = True
        for step in range(100):
            numbers = [(offset * step + n) % len(texts) for n in range(4)]
            given = cache.vectors([texts[n] for n in numbers], embedder)
            right &= np.array_equal(np.stack(given), expected[numbers])
        return right

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [True] * 8
