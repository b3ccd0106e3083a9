"""Passages: neighbouring hits merged into exact spans, until the context budget is used."""

from collections.abc import Callable, Sequence

from llm_engineering.domain.chat import Passage, Sentence
from llm_engineering.domain.chunks import Chunk, FusedHit


def merge(
    hits: Sequence[FusedHit], *, budget_tokens: int, count_tokens: Callable[[str], int]
) -> tuple[Passage, ...]:
    """Take hits, best first, until one does not fit the budget; join those that touch.

    The first hit is always taken. Passages come best first; a passage has the score of its best
    hit. Chunks of one document touch, so a joined text is still an exact span.
    """
    taken: list[tuple[FusedHit, int]] = []
    left = budget_tokens
    for hit in hits:
        tokens = count_tokens(hit.chunk.text)
        if taken and tokens > left:
            break
        taken.append((hit, tokens))
        left -= tokens
    runs: list[list[tuple[FusedHit, int]]] = []
    for item in sorted(taken, key=lambda item: (item[0].chunk.document.id, item[0].chunk.start)):
        if runs and _touch(runs[-1][-1][0].chunk, item[0].chunk):
            runs[-1].append(item)
        else:
            runs.append([item])
    passages = [_passage(run) for run in runs]
    return tuple(sorted(passages, key=lambda p: (-p.score, p.document.id, p.start)))


def _touch(one: Chunk, other: Chunk) -> bool:
    return one.document.id == other.document.id and one.end == other.start


def _passage(run: Sequence[tuple[FusedHit, int]]) -> Passage:
    chunks = [hit.chunk for hit, _ in run]
    best = max(run, key=lambda item: item[0].score)[0]
    text = "".join(chunk.text for chunk in chunks)
    return Passage(
        document=chunks[0].document,
        start=chunks[0].start,
        end=chunks[-1].end,
        text=text,
        heading_path=best.chunk.heading_path,
        sentences=tuple(
            Sentence(start=a, end=b, heading_path=chunk.heading_path)
            for chunk in chunks
            for a, b in chunk.sentences
        ),
        tokens=sum(tokens for _, tokens in run),
        score=best.score,
    )
