"""Retrieve: encode the query once, rank sentences in every window, fuse the lists."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.fuse import RankedList, fuse
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.application.windows import DENSE_WINDOWS, SPARSE_WINDOWS
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import IndexMismatch, InvalidInput
from llm_engineering.domain.vectors import DenseLeg, FusedHit, Hit, Leg, SparseLeg, SparseVector
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.stores import VectorIndex

MAX_QUERY_CHARACTERS = 4_000

_TERM_SCORE = 10.0
"""What BM25 gives for a rare term that a window holds: a window that holds all of a query's terms
scores about so much for each, one that shares a word or two of a long question far less. Measured
against this and not against the best hit, words count for little where the author used others."""

_SPARSE_SHARES = {"t1": 0.3, "t8": 0.7}
"""Of the weight of words: the wide window finds more by itself."""


class RetrievalConfig(BaseModel):
    """How sentences are ranked and how much of them is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=150, ge=1, le=1_000)
    """Sentences that each ranked list returns."""
    pool: int = Field(default=400, ge=1, le=5_000)
    """Sentences nearest in meaning that are ranked in the other windows of meaning too."""
    dense_weight: float = Field(default=1.0, ge=0)
    """Of the ranked lists by meaning together."""
    sparse_weight: float = Field(default=1.5, ge=0)
    """Of the ranked lists by words together."""
    budget_tokens: int = Field(default=1_200, ge=50)
    """Evidence given to the chat model, in its tokens."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Fused hits, best first, and what finding them took."""

    hits: tuple[FusedHit, ...]
    timings_ms: dict[str, float]


def rank(
    *queries: str,
    config: RetrievalConfig,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    where: DocumentFilter = EVERYTHING,
    cache: QueryCache | None = None,
) -> Ranking:
    """Every sentence that a list returned, fused; several queries count alike.

    Raises InvalidInput, IndexEmpty, IndexMismatch.
    """
    texts = [checked_query(query) for query in queries]
    check_encoders(index, embedder, sparse)
    started = time.perf_counter()
    vectors = (cache or QueryCache()).vectors(texts, embedder)
    terms = [sparse.query(text) for text in texts]
    encoded = time.perf_counter()
    legs: list[Leg] = []
    for vector, words in zip(vectors, terms, strict=True):
        legs += [DenseLeg(name, vector, config.candidates, config.pool) for name in DENSE_WINDOWS]
        legs += [SparseLeg(name, words, config.candidates) for name in SPARSE_WINDOWS]
    answers = index.search(legs, where=where)
    searched = time.perf_counter()
    each = len(legs) // len(texts)
    lists = [
        _ranked(leg, hits, number // each, words=terms[number // each], config=config)
        for number, (leg, hits) in enumerate(zip(legs, answers, strict=True))
    ]
    hits = fuse(lists)
    fused = time.perf_counter()
    timings = {
        "embed": (encoded - started) * 1e3,
        "search": (searched - encoded) * 1e3,
        "fuse": (fused - searched) * 1e3,
    }
    return Ranking(tuple(hits), timings)


def _ranked(
    leg: Leg, hits: Sequence[Hit], query: int, *, words: SparseVector, config: RetrievalConfig
) -> RankedList:
    name = leg.name if query == 0 else f"{leg.name}/{query + 1}"
    match leg:
        case DenseLeg():
            return RankedList(name, hits, config.dense_weight / len(DENSE_WINDOWS))
        case SparseLeg():
            return RankedList(
                name,
                hits,
                config.sparse_weight * _SPARSE_SHARES[name.partition("/")[0]],
                floor=0.0,
                ceiling=_TERM_SCORE * max(len(words.indices), 1),
            )


def checked_query(query: str) -> str:
    """The query without outer white space; raises InvalidInput when empty or far too long."""
    text = query.strip()
    if not text:
        raise InvalidInput("the question is empty; ask something")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise InvalidInput(
            f"the question has {len(text):,} characters; at most {MAX_QUERY_CHARACTERS:,} are read"
        )
    return text


def check_encoders(index: VectorIndex, embedder: Embedder, sparse: SparseEncoder) -> None:
    """Raises IndexMismatch, naming both, when the index holds vectors of other encoders."""
    built = index.manifest()
    if (built.embedder, built.dimension) != (embedder.name, embedder.dimension):
        raise IndexMismatch(
            f"the index was built with {built.embedder!r} ({built.dimension} dimensions), the "
            f"settings say {embedder.name!r} ({embedder.dimension}); set TWIN_EMBEDDER__* back or "
            "run 'twin run features --no-cache'"
        )
    if built.terms != sparse.name:
        raise IndexMismatch(
            f"the index was built with the terms of {built.terms!r}, this version reads those of "
            f"{sparse.name!r}; run 'twin run features --no-cache'"
        )
