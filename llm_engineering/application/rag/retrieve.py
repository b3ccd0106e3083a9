"""Retrieve: encode the query once, rank chunks by every leg, fuse the lists."""

import time
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.features import DENSE, SPARSE
from llm_engineering.application.rag.fuse import RankedList, fuse
from llm_engineering.domain.chunks import DenseLeg, FusedHit, SparseLeg
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import IndexMismatch, InvalidInput
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.stores import VectorIndex

MAX_QUERY_CHARACTERS = 4_000


class RetrievalConfig(BaseModel):
    """How chunks are ranked and how much of them is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=60, ge=1, le=1_000)
    """Chunks that each leg returns."""
    dense_weight: float = Field(default=1.0, ge=0)
    sparse_weight: float = Field(default=1.25, ge=0)
    """Measured: anything from 1 to 1.5 times the dense weight does about as well."""
    budget_tokens: int = Field(default=1_200, ge=50)
    """Evidence given to the chat model, in its tokens."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Fused hits, best first, and what finding them took."""

    hits: tuple[FusedHit, ...]
    timings_ms: dict[str, float]


def search(
    query: str,
    *,
    config: RetrievalConfig,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    where: DocumentFilter = EVERYTHING,
    limit: int = 10,
) -> tuple[FusedHit, ...]:
    """The `limit` best chunks, best first. Raises InvalidInput, IndexEmpty, IndexMismatch."""
    ranking = rank(query, config=config, index=index, embedder=embedder, sparse=sparse, where=where)
    return ranking.hits[:limit]


def rank(
    query: str,
    *,
    config: RetrievalConfig,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    where: DocumentFilter = EVERYTHING,
) -> Ranking:
    """All candidates of both legs, fused. Raises as `search`."""
    text = checked_query(query)
    check_encoders(index, embedder, sparse)
    started = time.perf_counter()
    vector = embedder.embed([text])[0].tolist()
    encoded = time.perf_counter()
    dense, lexical = index.search(
        [
            DenseLeg(DENSE, vector, config.candidates),
            SparseLeg(SPARSE, sparse.query(text), config.candidates),
        ],
        where=where,
    )
    searched = time.perf_counter()
    hits = fuse(
        [
            RankedList(DENSE, dense, config.dense_weight),
            RankedList(SPARSE, lexical, config.sparse_weight, floor=0.0),
        ]
    )
    timings = {"embed": (encoded - started) * 1e3, "search": (searched - encoded) * 1e3}
    return Ranking(tuple(hits), timings)


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
