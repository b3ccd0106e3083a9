"""Retrieve: rank chunks by several legs, fuse the lists, merge neighbours into passages."""

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.chunks import FusedHit
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.stores import VectorIndex


class RetrievalConfig(BaseModel):
    """How chunks are ranked and how much of them is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=60, ge=1, le=1_000)
    dense_weight: float = Field(default=1.0, ge=0)
    sparse_weight: float = Field(default=1.0, ge=0)
    budget_tokens: int = Field(default=1_200, ge=50)


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
    raise NotImplementedError
