"""Answer: retrieve, judge the evidence, let the chat model speak or abstain."""

import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.features import DENSE
from llm_engineering.application.rag.passages import merge
from llm_engineering.application.rag.prompts import ABSTENTION, render
from llm_engineering.application.rag.retrieve import RetrievalConfig, checked_query, rank
from llm_engineering.domain.chat import Answer, ChatRequest, Completion, Passage
from llm_engineering.domain.chunks import FusedHit
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.ports.models import ChatModel, Embedder, SparseEncoder
from llm_engineering.ports.stores import VectorIndex


class AnswerConfig(BaseModel):
    """How a question is answered (configs/rag.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrieval: RetrievalConfig = RetrievalConfig()
    min_evidence: float = Field(default=0.4, ge=0, le=1)
    """Abstain below this; see `evidence`."""
    max_tokens: int = Field(default=512, ge=16)
    """Longest answer, in the chat model's tokens."""


def answer(
    question: str,
    *,
    config: AnswerConfig,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    chat: ChatModel,
    where: DocumentFilter = EVERYTHING,
) -> Answer:
    """Answer with citations, or abstain in plain words. Raises as `search` does."""
    started = time.perf_counter()
    text = checked_query(question)
    ranking = rank(
        text, config=config.retrieval, index=index, embedder=embedder, sparse=sparse, where=where
    )
    support = evidence(text, ranking.hits, sparse=sparse)
    passages = merge(
        ranking.hits,
        budget_tokens=config.retrieval.budget_tokens,
        count_tokens=chat.count_tokens,
    )
    asked = time.perf_counter()
    if support < config.min_evidence:
        completion = Completion(text="", abstained=True)
    else:
        completion = chat.complete(_request(text, passages, config))
    done = time.perf_counter()
    return Answer(
        question=text,
        text=ABSTENTION if completion.abstained else completion.text,
        abstained=completion.abstained,
        citations=() if completion.abstained else completion.citations,
        passages=passages,
        evidence=round(support, 4),
        model=chat.name,
        timings_ms={
            **ranking.timings_ms,
            "answer": (done - asked) * 1e3,
            "total": (done - started) * 1e3,
        },
        usage=completion.usage,
    )


def _request(question: str, passages: tuple[Passage, ...], config: AnswerConfig) -> ChatRequest:
    return ChatRequest(
        messages=render(question, passages),
        question=question,
        passages=passages,
        max_tokens=config.max_tokens,
    )


_JUDGED = 5
"""Best hits that count as evidence."""

_REMOTELY_NEAR = 0.3
"""Cosine of MiniLM under which texts have nothing to do with each other."""


def evidence(question: str, hits: Sequence[FusedHit], *, sparse: SparseEncoder) -> float:
    """How well the best hit supports an answer, 0 to 1.

    The mean of two views of one hit: the cosine of chunk and question, and the share of the
    question's terms that the chunk holds. Shared words count in full only where the meaning is at
    least remotely near: 'How old am I?' and 'the old index' share every term. A hit that the dense
    leg did not return has no cosine.
    """
    terms = set(sparse.query(question).indices)
    best = 0.0
    judged = hits[:_JUDGED]
    languages = [hit.chunk.document.language for hit in judged]
    texts = [
        "\n".join((hit.chunk.document.title, *hit.chunk.heading_path, hit.chunk.text))
        for hit in judged
    ]
    for hit, found in zip(judged, sparse.documents(texts, languages=languages), strict=True):
        covered = len(terms.intersection(found.indices)) / len(terms) if terms else 0.0
        cosine = next((rank.score for rank in hit.ranks if rank.leg == DENSE), 0.0)
        near = min(max(cosine, 0.0) / _REMOTELY_NEAR, 1.0)
        best = max(best, (covered * near + max(cosine, 0.0)) / 2)
    return best
