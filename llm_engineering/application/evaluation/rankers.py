"""The twin's own retrieval as a ranker: the sentences it finds, and how it judges the evidence."""

import time
from collections.abc import Sequence
from dataclasses import replace

from llm_engineering.application.evaluation.retrieval import Ranked, Ranker
from llm_engineering.application.evaluation.span_metrics import RankedSpan
from llm_engineering.application.rag.find import SearchPorts, find, support
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.domain.vectors import FusedHit
from llm_engineering.ports.stores import VectorIndex


def sentence_ranker(config: AnswerConfig, *, ports: SearchPorts) -> Ranker:
    """Ranks sentences as `config` says, with the stages that it switches on.

    The time is that of finding passages, encoding included; no query is remembered. Judging the
    evidence does not count. Raises as `find`.
    """
    forgetful = replace(ports, cache=QueryCache(size=0))

    def ranked(question: str) -> Ranked:
        started = time.perf_counter()
        findings = find(question, retrieval=config.retrieval, stages=config.stages, ports=forgetful)
        ms = (time.perf_counter() - started) * 1e3
        return Ranked(_spans(findings.hits, ports.index), ms, support(findings, ports=forgetful))

    return ranked


def _spans(hits: Sequence[FusedHit], index: VectorIndex) -> tuple[RankedSpan, ...]:
    chunks = index.chunks(list(dict.fromkeys(hit.sentence.chunk for hit in hits)))
    return tuple(
        RankedSpan(chunk.document.id, *chunk.sentences[hit.sentence.number])
        for hit in hits
        if (chunk := chunks.get(hit.sentence.chunk)) is not None
    )
