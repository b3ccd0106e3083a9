"""Passages: neighbouring hits merged into exact spans, until the context budget is used."""

import re
from collections.abc import Callable, Sequence

from llm_engineering.application.markdown import blocks
from llm_engineering.application.sentences import sentence_spans
from llm_engineering.domain.chat import Passage, Sentence
from llm_engineering.domain.chunks import Chunk, FusedHit

_LINK_TARGET = re.compile(r"(?<=\])\([^)]*\)|https?://\S+")
_MIN_LETTERS = 12
"""Less is a fragment ('See also:', '1.2.3'), not a sentence."""


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
    start = chunks[0].start
    spans = quotable(text, language=chunks[0].document.language)
    return Passage(
        document=chunks[0].document,
        start=start,
        end=chunks[-1].end,
        text=text,
        heading_path=best.chunk.heading_path,
        sentences=tuple(
            Sentence(start=start + a, end=start + b, heading_path=_path_at(start + a, chunks))
            for a, b in spans
        ),
        tokens=sum(tokens for _, tokens in run),
        score=best.score,
    )


def _path_at(position: int, chunks: Sequence[Chunk]) -> tuple[str, ...]:
    return next(chunk.heading_path for chunk in reversed(chunks) if chunk.start <= position)


def quotable(text: str, *, language: str | None) -> list[tuple[int, int]]:
    """Spans of the statements in paragraphs, list items and quotes, edges trimmed.

    Headings, code, tables and raw HTML are not sentences; a question says nothing; what is left of
    a sentence without its link targets must be more than a fragment.
    """
    spans: list[tuple[int, int]] = []
    for block in blocks(text):
        if block.kind not in ("paragraph", "item", "quote"):
            continue
        body = text[block.start : block.end]
        if "```" in body or "~~~" in body:  # code inside a list item or quote
            continue
        for a, b in sentence_spans(body, language=language):
            start, end = _trimmed(body, a, b)
            words = _LINK_TARGET.sub("", body[start:end])
            if sum(map(str.isalpha, words)) >= _MIN_LETTERS and not words.endswith(("?", "？")):
                spans.append((block.start + start, block.start + end))
    return spans


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space, list marks and quote marks at its edges."""
    while start < end and (text[start].isspace() or text[start] in ">*+-#"):
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
