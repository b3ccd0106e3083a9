"""What is ranked: sentences of prose, list lines, a few lines of code or of a table.

The rule was measured (docs/explanation/retrieval.md): lines of code that stand alone rank badly,
so they are joined; a sentence far longer than others is cut, or it would win by its length alone.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil

from llm_engineering.application.markdown import Block
from llm_engineering.application.sentences import sentence_spans
from llm_engineering.domain.chunks import Span

MAX_TOKENS = 60
"""Longest unit, in the embedder's tokens."""

JOINED_CHARACTERS = 240
"""Lines of code or of a table are joined up to this length."""

_LEAST_LETTERS = 10
"""Letters and digits: less (`1.`, the `!` of an image, a fence) is no unit of its own."""

TokensIn = Callable[[int, int], Sequence[int]]
"""Where the tokens that start inside a span start."""


def block_parts(text: str, block: Block, *, language: str | None) -> list[Span]:
    """The sentences or lines of a block, as spans of `text` that touch and cover it."""
    body = text[block.start : block.end]
    if block.kind in ("paragraph", "quote", "heading"):
        parts = list(sentence_spans(body, language=language))
    else:
        parts = _lines(body)
    if block.kind == "item":  # lines of a list item may hold whole paragraphs
        parts = [
            (a + start, a + end)
            for a, b in parts
            for start, end in sentence_spans(body[a:b], language=language)
        ]
    return [(block.start + a, block.start + b) for a, b in parts]


def unit_starts(
    text: str, structure: Sequence[Block], *, language: str | None, tokens_in: TokensIn
) -> list[int]:
    """Where units start, ascending; a unit reaches to the next one, white space included.

    `structure` is `blocks(text)`; in an empty text nothing starts.
    """
    starts: list[int] = []
    for block in structure:
        if block.kind == "heading":
            parts = [(block.start, block.end)]
        else:
            parts = block_parts(text, block, language=language)
        if block.kind in ("code", "table", "html"):
            parts = _joined(parts)
        for start, end in _telling(text, parts):
            starts += _cut(text, start, end, tokens_in=tokens_in)
    return starts


def says_something(text: str) -> bool:
    """Whether it has enough letters to be ranked by itself."""
    return sum(map(str.isalnum, text)) >= _LEAST_LETTERS


def _lines(text: str) -> list[Span]:
    ends = [position + 1 for position, letter in enumerate(text) if letter == "\n"]
    return [(a, b) for a, b in pairwise([0, *ends, len(text)]) if a < b]


def _joined(parts: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in parts:
        if joined and end - joined[-1][0] <= JOINED_CHARACTERS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _telling(text: str, parts: Sequence[Span]) -> list[Span]:
    """The parts; one that says nothing joins the next, or the one before when it is the last."""
    told: list[Span] = []
    begin: int | None = None
    for start, end in parts:
        begin = start if begin is None else begin
        if says_something(text[begin:end]):
            told.append((begin, end))
            begin = None
    if begin is not None and told:
        told[-1] = (told[-1][0], parts[-1][1])
    elif begin is not None:
        told = [(begin, parts[-1][1])]
    return told


def _cut(text: str, start: int, end: int, *, tokens_in: TokensIn) -> list[int]:
    """The start of the span, and of its even parts when it is too long, at words where it can."""
    tokens = tokens_in(start, end)
    cuts = [start]
    first = 0
    while (left := len(tokens) - first) > MAX_TOKENS:
        at = tokens[first + ceil(left / ceil(left / MAX_TOKENS))]
        word = at
        while word > tokens[first] + 1 and not text[word - 1].isspace():
            word -= 1
        cuts.append(word if word > tokens[first] + 1 else at)
        first = bisect_left(tokens, cuts[-1])
    return cuts
