"""Evidence rises with what tells an answer from its neighbourhood, and is a probability."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llm_engineering.application.rag.evidence import Signals, evidence, judged, signals
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.vectors import FusedHit, Held, LegRank
from llm_engineering.infrastructure.hash_embedder import HashEmbedder

EMBEDDER = HashEmbedder(dimension=64)
SHARES = st.floats(0, 1)
ANY_SIGNALS = st.builds(
    Signals,
    nearness=st.floats(-1, 1),
    spread=st.floats(0, 2),
    unknown=SHARES,
    rarity=SHARES,
)


@given(told=ANY_SIGNALS)
def test_it_is_a_probability(told: Signals) -> None:
    assert 0 < evidence(told) < 1


@given(told=ANY_SIGNALS, name=st.sampled_from(["nearness", "spread", "rarity"]))
def test_it_rises_with_nearness_spread_and_rarity(told: Signals, name: str) -> None:
    assert evidence(replace(told, **{name: getattr(told, name) + 0.1})) > evidence(told)


@given(told=ANY_SIGNALS)
def test_it_falls_with_terms_that_nothing_holds(told: Signals) -> None:
    assert evidence(replace(told, unknown=told.unknown + 0.1)) < evidence(told)


def held(*holders: int, sentences: int = 1_000) -> Held:
    return Held(sentences, np.array(holders, dtype=np.int64))


TWO_RARE = held(1, 1)


def wide(*scores: float) -> list[FusedHit]:
    """Hits that the wide window placed in this order, and another one in the opposite order."""
    last = len(scores)
    return [
        FusedHit(
            SentenceId("chunk", place),
            1.0,
            (LegRank("s2", last - place, 0.9), LegRank("s8", place + 1, score)),
        )
        for place, score in enumerate(scores)
    ]


def told(
    question: str = "green tea",
    hits: Sequence[FusedHit] = (),
    *,
    texts: Sequence[str] = (),
    held: Held = TWO_RARE,
) -> Signals:
    return signals(question, hits, texts=texts, held=held, embedder=EMBEDDER, cache=QueryCache())


def test_nearness_is_that_of_the_nearest_text() -> None:
    far, near = "steel frames", "green tea"
    assert told(texts=[far, near]).nearness == pytest.approx(1.0)
    assert told(texts=[far]).nearness < 0.5
    assert told().nearness == 0.0


def test_spread_is_from_the_first_of_the_wide_window_to_its_last_or_hundredth() -> None:
    assert told(hits=wide(0.9, 0.7, 0.4)).spread == pytest.approx(0.5)
    assert told(hits=list(reversed(wide(0.9, 0.7, 0.4)))).spread == pytest.approx(0.5)
    many = [1 - place / 1_000 for place in range(150)]
    assert told(hits=wide(*many)).spread == pytest.approx(0.099)
    assert told(hits=wide(0.9)).spread == 0.0


def test_unknown_is_the_share_of_terms_that_nothing_holds() -> None:
    assert told(held=held(0, 3, 5, 0)).unknown == 0.5
    assert told(held=held(3, 5)).unknown == 0.0


def test_rarity_is_that_of_the_two_rarest_terms() -> None:
    common = told(held=held(900, 900)).rarity
    assert told(held=held(900, 2, 1, 900)).rarity == told(held=held(1, 2)).rarity > common
    assert told(held=held(0, 0)).rarity == pytest.approx(1.0)
    assert 0 <= common < 0.05


def test_a_question_of_stop_words_only_holds_nothing_known() -> None:
    assert (told(held=held()).unknown, told(held=held()).rarity) == (1.0, 1.0)


def test_a_question_of_which_nothing_is_known_has_hardly_any_evidence() -> None:
    assert evidence(told("zebra", held=held(0))) < 0.01


class Reading(HashEmbedder):
    """Keeps what it has embedded."""

    def __init__(self) -> None:
        super().__init__(dimension=64)
        self.read: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        return super().embed(texts)


def judgement(*texts: str, enough: float, embedder: HashEmbedder = EMBEDDER) -> float:
    """Of a question about green tea."""
    hits = wide(0.9, 0.7, 0.6)
    cache = QueryCache()
    return judged(
        "green tea", hits, texts=texts, held=TWO_RARE, embedder=embedder, cache=cache, enough=enough
    )


def test_the_best_sentence_alone_is_read_when_it_is_enough() -> None:
    embedder = Reading()

    given = judgement("green tea", "tea", "steel frames", enough=0.5, embedder=embedder)

    assert embedder.read == ["green tea", "green tea"]
    assert given == judgement("green tea", enough=1.0)


def test_the_others_are_read_when_the_best_is_not_enough() -> None:
    embedder = Reading()

    given = judgement("steel frames", "tea", "green tea", enough=0.5, embedder=embedder)

    assert embedder.read == ["green tea", "steel frames", "tea", "green tea"]
    assert given == judgement("green tea", enough=1.0) > judgement("steel frames", enough=1.0)


@given(
    texts=st.lists(
        st.sampled_from(["green tea", "tea", "green frames", "steel frames", "zebra"]), max_size=3
    ),
    enough=SHARES,
)
def test_reading_less_never_changes_the_verdict(texts: list[str], enough: float) -> None:
    whole = evidence(told("green tea", hits=wide(0.9, 0.7, 0.6), texts=texts))

    given = judgement(*texts, enough=enough)

    assert (given >= enough) == (whole >= enough)
    assert given == whole or enough <= given < whole
