"""The SparseEncoder port."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.domain.chunks import SparseVector
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.ports.models import SparseEncoder

LANGUAGES = st.sampled_from([None, "en", "de", "fr", "ja", "xx", "pt-BR"])


@pytest.fixture(scope="module")
def encoder() -> SparseEncoder:
    return Bm25Encoder()


def one(encoder: SparseEncoder, text: str, language: str | None = "en") -> SparseVector:
    (vector,) = encoder.documents([text], languages=[language])
    return vector


@given(texts=st.lists(st.text(max_size=80), max_size=4), language=LANGUAGES)
def test_any_text_gives_ascending_32_bit_indices_with_positive_weights(
    encoder: SparseEncoder, texts: list[str], language: str | None
) -> None:
    vectors = encoder.documents(texts, languages=[language] * len(texts))
    assert len(vectors) == len(texts)
    for vector in vectors:
        assert list(vector.indices) == sorted(set(vector.indices))
        assert all(0 <= index < 2**32 for index in vector.indices)
        assert len(vector.indices) == len(vector.values)
        assert all(0 < value < 2.2 for value in vector.values)


@given(text=st.text(max_size=120), language=LANGUAGES)
def test_a_query_has_weight_1_per_distinct_term(
    encoder: SparseEncoder, text: str, language: str | None
) -> None:
    vector = encoder.query(text, language=language)
    assert list(vector.indices) == sorted(set(vector.indices))
    assert list(vector.values) == [1.0] * len(vector.indices)


@given(text=st.text(max_size=120), language=st.sampled_from(["en", "de", "fr", "xx"]))
def test_a_text_asked_for_in_its_own_words_is_found_by_all_of_them(
    encoder: SparseEncoder, text: str, language: str
) -> None:
    asked = encoder.query(text, language=language)
    assert set(asked.indices) == set(one(encoder, text, language).indices)


def test_a_query_of_stop_words_is_empty(encoder: SparseEncoder) -> None:
    assert list(encoder.query("What is it that they are?").indices) == []
    assert list(encoder.query("").indices) == []


def test_documents_do_not_depend_on_their_neighbours(encoder: SparseEncoder) -> None:
    alone = one(encoder, "rising bread")
    together = encoder.documents(["the oven", "rising bread"], languages=["en", None])
    assert together[1] == alone


def test_every_text_needs_its_language(encoder: SparseEncoder) -> None:
    with pytest.raises(ValueError, match="argument"):
        encoder.documents(["one", "two"], languages=["en"])


def test_threads_at_the_same_time_get_their_own_vectors(encoder: SparseEncoder) -> None:
    texts = [f"running {word}nesses and nationalisation{word}" for word in map(str, range(300))]
    expected = Bm25Encoder().documents(texts, languages=["en"] * len(texts))

    def encode(offset: int) -> bool:
        fresh = [f"{text} thread{offset}word{n}s" for n, text in enumerate(texts)]
        encoder.documents(fresh, languages=["de"] * len(fresh))
        return encoder.documents(texts, languages=["en"] * len(texts)) == expected

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(encode, range(4)))


def test_another_process_computes_the_same_vectors(encoder: SparseEncoder) -> None:
    code = (
        "from llm_engineering.infrastructure.bm25 import Bm25Encoder as B;"
        "print(list(B().query('sqlite-utils insert').indices), B().name)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    mine = list(encoder.query("sqlite-utils insert").indices)
    assert ran.stdout.strip() == f"{mine} {encoder.name}"
