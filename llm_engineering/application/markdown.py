"""The block structure of Markdown, as exact character spans.

Inline markup is not parsed. Does not know: tokens, chunks, sentences.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

BlockKind = Literal["heading", "paragraph", "item", "code", "quote", "table", "html"]

_LEAVES: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "fence": "code",
    "code_block": "code",
    "blockquote_open": "quote",
    "table_open": "table",
    "html_block": "html",
}


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines [start, end) of a text; a list is yielded as its outermost items."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """1 to 6 for headings, else 0."""
    title: str = ""
    """A heading's text without its marks."""


def blocks(text: str) -> list[Block]:
    """Top-level blocks in order, not overlapping; blank lines between them belong to none.

    `text` must use "\\n" only (see `clean`). Lines that CommonMark drops (link definitions,
    thematic breaks) come back as paragraphs, so that every non-blank line is in some block.
    """
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]

    def span(first: int, last: int) -> tuple[int, int]:
        return starts[first], min(starts[last], len(text))

    found: list[Block] = []
    line = 0
    for kind, token, title in _leaves(_parser().parse(text)):
        first, last = token.map or (0, 0)
        found += _rest(text, *span(line, first))
        start, end = span(first, last)
        level = int(token.tag[1]) if kind == "heading" else 0
        found.append(Block(kind, start, end, level, title))
        line = last
    found += _rest(text, *span(line, len(starts) - 1))
    return found


def code_spans(text: str) -> list[tuple[int, int]]:
    """Spans of code blocks at any depth, in order: cleaning must not touch them."""
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    maps = [t.map for t in _parser().parse(text) if t.type in ("fence", "code_block") and t.map]
    return [(starts[first], min(starts[last], len(text))) for first, last in maps]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline"])
    return parser


def _leaves(tokens: list[Token]) -> Iterator[tuple[BlockKind, Token, str]]:
    for position, token in enumerate(tokens):
        if token.type == "list_item_open" and token.level == 1:
            yield "item", token, ""
        elif token.level == 0 and token.type in _LEAVES:
            title = ""
            if token.type == "heading_open":
                title = " ".join(tokens[position + 1].content.split())
            yield _LEAVES[token.type], token, title


def _rest(text: str, start: int, end: int) -> list[Block]:
    return [Block("paragraph", start, end)] if text[start:end].strip() else []
