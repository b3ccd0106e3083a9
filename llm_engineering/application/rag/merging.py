"""Merge: several searches for one question, as if they had been one.

Scores are compared as shares of the best of their own search. A sentence counts by the best share
that any search gives it, those after the first weighed less: what the first search put first
stays there, so a further search adds to the evidence and seldom takes from it. Measured against
sums and places in docs/explanation/agentic.md. Does not know: how much of it is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llm_engineering.application.rag.find import Findings
from llm_engineering.domain.chunks import Chunk, SentenceId
from llm_engineering.domain.vectors import FusedHit

_FURTHER = 0.8
"""What the best sentence of a further search counts beside the best of the first."""


def merged(
    first: Findings, further: Sequence[Findings]
) -> tuple[tuple[FusedHit, ...], Mapping[str, Chunk]]:
    """Hits of all searches, best first, each sentence once, and the chunks that are known."""
    best: dict[SentenceId, FusedHit] = {}
    for weight, findings in ((1.0, first), *((_FURTHER, each) for each in further)):
        top = max((hit.score for hit in findings.hits), default=0.0)
        for hit in findings.hits:
            share = weight * hit.score / top if top > 0 else 0.0
            held = best.get(hit.sentence)
            if held is None:
                best[hit.sentence] = replace(hit, score=share)
            elif share > held.score:
                best[hit.sentence] = replace(held, score=share)
    chunks = {key: chunk for each in (*further, first) for key, chunk in each.chunks.items()}
    order = sorted(best.values(), key=lambda hit: (-hit.score, hit.sentence))
    return tuple(order), chunks


def beside(findings: Findings, document_id: str) -> Findings:
    """Without what the document says, and without what is not known to be of another."""
    hits = tuple(
        hit
        for hit in findings.hits
        if (chunk := findings.chunks.get(hit.sentence.chunk)) is not None
        and chunk.document.id != document_id
    )
    found = tuple(each for each in findings.found if each.passage.document.id != document_id)
    return replace(findings, hits=hits, found=found)
