"""What a search takes and gives."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.schemas import FILTERS_EXAMPLE, Filters, Question, rounded
from llm_engineering.application.rag.find import Findings
from llm_engineering.application.rag.passages import Found
from llm_engineering.domain.documents import DocumentRef

HIT_LIMIT = 100
"""Hits of one search."""


class SearchRequest(Schema):
    """A query to rank passages by."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "one file database", "limit": 3},
                {"query": "one file database", "limit": 3, "filters": FILTERS_EXAMPLE},
            ]
        }
    )

    query: Question
    """White space around it is dropped."""
    limit: Annotated[int, Field(strict=True, ge=1, le=HIT_LIMIT)] = 10
    filters: Filters = Filters()


class LegRank(Schema):
    """Where one ranking placed the sentence that a passage was found by."""

    leg: str
    """`s0`, `s2`, `s8`, `s16`: meaning, of the sentence with so many neighbours on each side;
    `t1`, `t8`: words; `rerank`: a reranker."""
    rank: int
    """1 is best."""
    score: float
    """The ranking's own raw score: a cosine, or BM25."""


class SearchHit(Schema):
    """A passage, its document and why it is here."""

    text: str
    start: int
    end: int
    """`text` is the characters [start, end) of the cleaned document."""
    best_start: int
    best_end: int
    """The sentence that it was found by: the document's characters [best_start, best_end)."""
    heading_path: tuple[str, ...]
    score: float
    """Fused over the rankings; comparable within one response only."""
    ranks: tuple[LegRank, ...]
    document: DocumentRef


class SearchResponse(Schema):
    """Passages, best first."""

    hits: tuple[SearchHit, ...]
    message: str
    """Why there is nothing, where the query asks for a name that is not held; else empty."""
    index_version: str
    """The version that was published when the search was asked for."""
    timings_ms: dict[str, float]
    """`wait` is the time in line, `total` everything on the server."""

    @classmethod
    def of(cls, findings: Findings, *, index_version: str, timings_ms: Mapping[str, float]) -> Self:
        return cls(
            hits=tuple(_hit(found) for found in findings.found),
            message=findings.not_held,
            index_version=index_version,
            timings_ms=rounded({**findings.timings_ms, **timings_ms}),
        )


def _hit(found: Found) -> SearchHit:
    passage = found.passage
    return SearchHit(
        text=passage.text,
        start=passage.start,
        end=passage.end,
        best_start=found.best[0],
        best_end=found.best[1],
        heading_path=passage.heading_path,
        score=passage.score,
        ranks=tuple(
            LegRank(leg=rank.leg, rank=rank.rank, score=rank.score) for rank in found.hit.ranks
        ),
        document=passage.document,
    )
