"""Find: from a question to passages, through the stages that are switched on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from llm_engineering.application.rag.evidence import LOOKED_AT, evidence, signals
from llm_engineering.application.rag.passages import Found, browse, select
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.application.rag.rerank import rerank
from llm_engineering.application.rag.retrieve import RetrievalConfig, checked_query, rank
from llm_engineering.application.rag.self_query import KnownNames, known_names, not_held
from llm_engineering.application.rag.stages import StagesConfig, check_stages, planned
from llm_engineering.application.windows import SPARSE_WINDOWS
from llm_engineering.domain.chat import Message
from llm_engineering.domain.chunks import Chunk
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.vectors import FusedHit
from llm_engineering.ports.models import (
    ChatModel,
    Embedder,
    EntailmentModel,
    Reranker,
    SparseEncoder,
)
from llm_engineering.ports.stores import VectorIndex

_SHORT_SENTENCE = 10
"""Tokens: a budget holds hardly more sentences than it holds of these."""
_ALIKE = 8
"""Of so many hits one at least is in a chunk of its own, as a rule."""
_MOST_READ = 500
"""Best hits of which the text is fetched at most."""
_AROUND = 2
"""Sentences on each side that a reranker reads with a hit."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SearchPorts:
    """What finding passages takes."""

    index: VectorIndex
    embedder: Embedder
    sparse: SparseEncoder
    chat: ChatModel
    reranker: Reranker | None = None
    entailment: EntailmentModel | None = None
    """Checks answers; None leaves that to rules."""
    quotes: ChatModel | None = None
    """Speaks where an answer was not backed; None: then nobody does."""
    cache: QueryCache = field(default_factory=QueryCache)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, and what finding it took."""

    question: str
    """What was searched for: the question as the stages left it."""
    standalone: str
    """What was asked: the question made to stand alone, its conditions still in it."""
    where: DocumentFilter
    found: tuple[Found, ...]
    hits: tuple[FusedHit, ...]
    """Every sentence that a list returned, best first."""
    chunks: Mapping[str, Chunk]
    """Those of the best hits."""
    timings_ms: dict[str, float]
    not_held: str = ""
    """Says which names the question asks for and the index does not hold; nothing is found then."""


def find(
    question: str,
    *,
    retrieval: RetrievalConfig,
    stages: StagesConfig,
    ports: SearchPorts,
    where: DocumentFilter = EVERYTHING,
    history: Sequence[Message] = (),
    limit: int | None = None,
) -> Findings:
    """The passages for a question, within the config's budget in the chat model's tokens.

    With a `limit`, so many whole chunks to look at instead. Raises InvalidInput,
    InvalidConfig (a stage lacks its model), IndexEmpty, IndexMismatch, and what the models raise.
    """
    text = checked_query(question)
    check_stages(stages, chat=ports.chat, reranker=ports.reranker)
    clock = _Clock({})
    known = known_names(ports.index) if stages.self_query else KnownNames()
    plan = clock(
        "plan",
        lambda: planned(
            text,
            config=stages,
            known=known,
            now=datetime.now(UTC),
            sparse=ports.sparse,
            chat=ports.chat,
            history=history,
            where=where,
        ),
    )
    if plan.asked.unknown:
        unheard = not_held(plan.asked, known=known)
        return Findings(
            plan.question, plan.standalone, plan.where, (), (), {}, clock.ms, not_held=unheard
        )
    ranking = rank(
        *plan.queries,
        config=retrieval,
        index=ports.index,
        embedder=ports.embedder,
        sparse=ports.sparse,
        where=plan.where,
        cache=ports.cache,
    )
    clock.ms.update(ranking.timings_ms)
    budget = retrieval.budget_tokens
    read = budget // _SHORT_SENTENCE if limit is None else limit * _ALIKE
    best = ranking.hits[: min(max(read, stages.rerank.candidates), _MOST_READ)]
    chunks = clock("fetch", lambda: _chunks(best, ports.index))
    best = clock("rerank", lambda: _reranked(plan.question, best, chunks, stages, ports))
    found = clock(
        "select",
        lambda: (
            browse(best, chunks, limit=limit)
            if limit is not None
            else select(best, chunks, budget_tokens=budget, count_tokens=ports.chat.count_tokens)
        ),
    )
    placed = {hit.sentence for hit in best}
    hits = (*best, *(hit for hit in ranking.hits if hit.sentence not in placed))
    return Findings(plan.question, plan.standalone, plan.where, found, hits, chunks, clock.ms)


def support(findings: Findings, *, ports: SearchPorts) -> float:
    """How well what was found supports an answer, 0 to 1; see `evidence`."""
    if not findings.found:
        return 0.0
    best = [hit for hit in findings.hits if hit.sentence.chunk in findings.chunks][:LOOKED_AT]
    texts = [_around(findings.chunks[hit.sentence.chunk], hit.sentence.number) for hit in best]
    terms = ports.sparse.query(findings.question).indices
    return evidence(
        signals(
            findings.question,
            findings.hits,
            texts=texts,
            held=ports.index.held(next(iter(SPARSE_WINDOWS)), terms),
            embedder=ports.embedder,
            cache=ports.cache,
        )
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Milliseconds by stage."""

    ms: dict[str, float]

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        done = work()
        self.ms[stage] = (time.perf_counter() - started) * 1e3
        return done


def _chunks(hits: Sequence[FusedHit], index: VectorIndex) -> Mapping[str, Chunk]:
    return index.chunks(list(dict.fromkeys(hit.sentence.chunk for hit in hits)))


def _reranked(
    question: str,
    hits: tuple[FusedHit, ...],
    chunks: Mapping[str, Chunk],
    stages: StagesConfig,
    ports: SearchPorts,
) -> tuple[FusedHit, ...]:
    if stages.rerank.weight == 0 or ports.reranker is None:
        return hits
    held = [hit for hit in hits if hit.sentence.chunk in chunks]
    texts = [_around(chunks[hit.sentence.chunk], hit.sentence.number) for hit in held]
    return rerank(question, held, texts=texts, reranker=ports.reranker, config=stages.rerank)


def _around(chunk: Chunk, number: int) -> str:
    """A sentence with its neighbours in its chunk, below its headings."""
    near = chunk.sentences[max(number - _AROUND, 0) : number + _AROUND + 1]
    text = chunk.text[near[0][0] - chunk.start : near[-1][1] - chunk.start]
    headings = dict.fromkeys((chunk.document.title, *chunk.heading_path))
    return "\n".join([*headings, text.strip()])
