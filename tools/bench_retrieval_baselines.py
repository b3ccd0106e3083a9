"""The rankings that `make bench-retrieval` compares the twin with: chunks, in plain NumPy.

Chunks are those of the twin's own rule, at two sizes, encoded as they are or below their title and
headings, ranked by meaning, by words, or by both. Every score is exact; there is no index.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llm_engineering.application.chunk import ChunkRule, chunk
from llm_engineering.application.context import contexts
from llm_engineering.application.evaluation.retrieval import Ranked, Ranker
from llm_engineering.application.evaluation.span_metrics import RankedSpan
from llm_engineering.domain.chunks import Chunk
from llm_engineering.domain.documents import Document
from llm_engineering.domain.vectors import SparseVector, TermCounts
from llm_engineering.ports.models import Embedder, SparseEncoder

SIZES = (120, 200)
"""Longest chunks, in the embedder's tokens."""

RRF_CONSTANTS = (2, 10, 60)
_RANKED = 100
"""Chunks of each list that a reciprocal rank fusion sees."""
_SCALED = 60
"""Chunks near in meaning whose cosines are scaled; below the last of them a cosine is 0."""
_LEXICAL_WEIGHT = 1.25
"""Beside 1 for meaning; what did best on questions with reference spans."""
_OPENING = 400
"""Characters of a chunk in which a heading is not said again."""

Scores = NDArray[np.float64]
Score = Callable[[str], Scores]

WEIGHTED = "weighted sum"
"""Of scaled scores: what this project did before it ranked sentences."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One way of ranking chunks."""

    name: str
    contextual: bool
    """Whether title and headings were encoded with the chunks."""
    ranker: Ranker


def baselines(
    documents: Sequence[Document], *, embedder: Embedder, sparse: SparseEncoder
) -> Iterator[Baseline]:
    """All of them over cleaned documents, those of one index after each other."""
    for size in SIZES:
        rule = ChunkRule(max_tokens=size)
        cut = chunk(documents, rule=rule, token_spans=embedder.token_spans)
        chunks = [each for pieces in cut for each in pieces]
        for contextual in (False, True):
            texts = _with_headings(chunks, embedder) if contextual else [c.text for c in chunks]
            dense, lexical = _scores(chunks, texts, embedder=embedder, sparse=sparse)
            for name, score in _rankings(dense, lexical):
                yield Baseline(f"{name}, {size} tokens", contextual, _ranker(chunks, score))


def _rankings(dense: Score, lexical: Score) -> Iterator[tuple[str, Score]]:
    yield "dense", dense
    yield "BM25", lexical
    for constant in RRF_CONSTANTS:
        fuse = partial(reciprocal_ranks, k=constant)
        yield f"RRF k={constant}", _both(dense, lexical, fuse)
    yield WEIGHTED, _both(dense, lexical, scaled_sum)


def _both(dense: Score, lexical: Score, fuse: Callable[[Scores, Scores], Scores]) -> Score:
    return lambda question: fuse(dense(question), lexical(question))


def reciprocal_ranks(*lists: Scores, k: int) -> Scores:
    """Reciprocal rank fusion (Cormack et al., 2009) of the first of each list."""
    fused = np.zeros(len(lists[0]))
    for scores in lists:
        best = _best(scores, _RANKED)
        fused[best] += 1 / (k + 1 + np.arange(len(best)))
    return fused


def scaled_sum(dense: Scores, lexical: Scores) -> Scores:
    """Sum of scores scaled to 0..1: cosine from that of the last one kept, BM25 from its zero.

    Chunks near in meaning have their BM25 counted wherever it ranks them.
    """
    near = _best(dense, _SCALED)
    floor = dense[near[-1]] if len(near) else 0.0
    return _scaled(dense, floor) + _LEXICAL_WEIGHT * _scaled(lexical, 0.0)


def _scaled(scores: Scores, floor: float) -> Scores:
    above = np.clip(scores - floor, 0.0, None)
    return above / max(float(above.max(initial=0.0)), 1e-9)


def _ranker(chunks: Sequence[Chunk], score: Score) -> Ranker:
    spans = [RankedSpan(each.document.id, each.start, each.end) for each in chunks]

    def ranked(question: str) -> Ranked:
        started = time.perf_counter()
        best = _best(score(question), _RANKED)
        ms = (time.perf_counter() - started) * 1e3
        return Ranked(tuple(spans[at] for at in best), ms)

    return ranked


def _scores(
    chunks: Sequence[Chunk], texts: Sequence[str], *, embedder: Embedder, sparse: SparseEncoder
) -> tuple[Score, Score]:
    vectors = embedder.embed(texts)
    counts = sparse.count(texts, languages=[each.document.language for each in chunks])
    # The average length that is best for BM25 is that of these very texts.
    usual = max(round(np.mean([len(each.sentences) for each in chunks])), 1)
    postings = _Postings(counts, sparse.weigh(counts, sentences=usual))

    def dense(question: str) -> Scores:
        return np.asarray(vectors @ embedder.embed([question])[0], dtype=np.float64)

    def lexical(question: str) -> Scores:
        return postings.scores(sparse.query(question))

    return dense, lexical


class _Postings:
    """Which texts hold a term, and with what weight."""

    def __init__(self, counts: TermCounts, weights: Sequence[SparseVector]) -> None:
        self._texts = len(counts)
        order = np.argsort(counts.terms, kind="stable")
        self._rows = np.repeat(np.arange(len(counts)), np.diff(counts.starts))[order]
        values = [vector.values for vector in weights]
        self._weights = np.concatenate([*values, np.zeros(0)])[order]
        terms, begin = np.unique(counts.terms[order], return_index=True)
        ends = pairwise([*begin.tolist(), len(order)])
        self._places = dict(zip(terms.tolist(), ends, strict=True))

    def scores(self, query: SparseVector) -> Scores:
        """BM25 of every text, IDF as in Robertson and Zaragoza (2009), kept above zero by 1."""
        scores = np.zeros(self._texts)
        for term in query.indices.tolist():
            begin, end = self._places.get(term, (0, 0))
            held = end - begin
            idf = np.log1p((self._texts - held + 0.5) / (held + 0.5))
            scores[self._rows[begin:end]] += idf * self._weights[begin:end]
        return scores


def _best(scores: Scores, limit: int) -> NDArray[np.int64]:
    """Places of the highest scores, best first; a score of 0 is none."""
    order = np.argsort(-scores, kind="stable")[:limit]
    return order[scores[order] > 0]


def _with_headings(chunks: Sequence[Chunk], embedder: Embedder) -> list[str]:
    texts = []
    for above, each in zip(contexts(chunks, token_spans=embedder.token_spans), chunks, strict=True):
        lines = [line for line in above.split("\n") if line and line not in each.text[:_OPENING]]
        texts.append("\n".join([*lines, each.text]))
    return texts
