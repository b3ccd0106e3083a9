"""The SparseEncoder port."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.domain.vectors import SparseVector, TermCounts
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.ports.models import SparseEncoder

LANGUAGES = st.sampled_from([None, "en", "de", "fr", "ja", "xx", "pt-BR"])


@pytest.fixture(scope="module")
def encoder() -> SparseEncoder:
    return Bm25Encoder()


Row = tuple[dict[int, float], float]
"""Of one text: how often each term occurs, and its length."""


def rows(counts: TermCounts) -> list[Row]:
    found = [dict(zip(terms.tolist(), n.tolist(), strict=True)) for terms, n in counts.rows()]
    return list(zip(found, counts.lengths.tolist(), strict=True))


def weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def count(encoder: SparseEncoder, *texts: str, language: str | None = "en") -> list[Row]:
    return rows(encoder.count(texts, languages=[language] * len(texts)))


@given(
    texts=st.lists(st.text(max_size=80), max_size=4),
    language=LANGUAGES,
    sentences=st.integers(1, 9),
)
def test_any_text_gives_ascending_32_bit_indices_with_positive_weights(
    encoder: SparseEncoder, texts: list[str], language: str | None, sentences: int
) -> None:
    counts = encoder.count(texts, languages=[language] * len(texts))
    vectors = encoder.weigh(counts, sentences=sentences)
    assert len(vectors) == len(counts) == len(texts)
    for vector, (terms, numbers) in zip(vectors, counts.rows(), strict=True):
        assert vector.indices.dtype == terms.dtype == np.uint32
        assert vector.indices.tolist() == terms.tolist() == sorted(set(terms.tolist()))
        assert len(vector.values) == len(numbers) == len(terms)
        assert all(numbers >= 1)
        assert all(0 < value < 2.2 for value in vector.values)


@given(texts=st.lists(st.text(max_size=80), max_size=4), language=LANGUAGES)
def test_what_a_text_consists_of_is_the_sum_of_what_its_parts_do(
    encoder: SparseEncoder, texts: list[str], language: str | None
) -> None:
    parts = count(encoder, *texts, language=language)
    ((terms, length),) = count(encoder, "\n\n".join(texts), language=language)
    together: Counter[int] = Counter()
    for each, _ in parts:
        together.update({term: int(number) for term, number in each.items()})
    assert terms == together
    assert length == sum(words for _, words in parts)


@given(text=st.text(max_size=80), language=LANGUAGES)
def test_a_term_weighs_more_in_a_window_of_more_sentences(
    encoder: SparseEncoder, text: str, language: str | None
) -> None:
    counts = encoder.count([text], languages=[language])
    (short,), (long,) = (encoder.weigh(counts, sentences=n) for n in (1, 3))
    assert np.all(long.values > short.values)


@given(text=st.text(max_size=120), language=LANGUAGES)
def test_a_query_has_weight_1_per_distinct_term(
    encoder: SparseEncoder, text: str, language: str | None
) -> None:
    vector = encoder.query(text, language=language)
    assert vector.indices.tolist() == sorted(set(vector.indices.tolist()))
    assert vector.values.tolist() == [1.0] * len(vector.indices)


@given(text=st.text(max_size=120), language=st.sampled_from(["en", "de", "fr", "xx"]))
def test_a_text_asked_for_in_its_own_words_is_found_by_all_of_them(
    encoder: SparseEncoder, text: str, language: str
) -> None:
    asked = encoder.query(text, language=language)
    ((terms, _),) = count(encoder, text, language=language)
    assert weights(asked).keys() == terms.keys()


def test_a_query_of_stop_words_is_empty(encoder: SparseEncoder) -> None:
    assert list(encoder.query("What is it that they are?").indices) == []
    assert list(encoder.query("").indices) == []


def test_texts_do_not_depend_on_their_neighbours(encoder: SparseEncoder) -> None:
    counts = encoder.count(["the oven", "rising bread"], languages=["de", "en"])
    assert rows(counts)[1:] == count(encoder, "rising bread")
    together = encoder.weigh(counts, sentences=1)
    (alone,) = encoder.weigh(encoder.count(["rising bread"], languages=["en"]), sentences=1)
    assert weights(together[1]) == weights(alone)


def test_every_text_needs_its_language(encoder: SparseEncoder) -> None:
    with pytest.raises(ValueError, match="argument"):
        encoder.count(["one", "two"], languages=["en"])


def test_threads_at_the_same_time_get_their_own_counts(encoder: SparseEncoder) -> None:
    texts = [f"running {word}nesses and nationalisation{word}" for word in map(str, range(300))]
    expected = count(Bm25Encoder(), *texts)

    def encode(offset: int) -> bool:
        fresh = [f"{text} thread{offset}word{n}s" for n, text in enumerate(texts)]
        count(encoder, *fresh, language="de")
        return count(encoder, *texts) == expected

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(encode, range(4)))


def test_another_process_computes_the_same_vectors(encoder: SparseEncoder) -> None:
    code = (
        "from llm_engineering.infrastructure.bm25 import Bm25Encoder as B;"
        "print(B().query('sqlite-utils insert').indices.tolist(), B().name)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    mine = encoder.query("sqlite-utils insert").indices.tolist()
    assert ran.stdout.strip() == f"{mine} {encoder.name}"
