"""Chunk: cut cleaned Markdown into passages that are exact spans, at its own structure.

Sections end chunks; blocks (paragraphs, list items, tables, code) stay whole where they fit;
a block that does not fit is cut at sentences, lines or rows; only a single sentence or line longer
than a chunk is cut at a token. Chunks touch, do not overlap, and cover the text.

Does not know: which embedder counts the tokens, what the chunks are for.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm_engineering.application.markdown import Block, blocks
from llm_engineering.application.quotable import quotable
from llm_engineering.application.units import block_parts, says_something, unit_starts
from llm_engineering.domain.chunks import Chunk, Span, chunk_id
from llm_engineering.domain.documents import Document

CHUNKING = "chunk-3"
"""Changes whenever the same cleaned text would be cut differently."""

_EDGE_TOKENS = 4
"""A span this near the limit is counted by itself."""

TokenSpans = Callable[[Sequence[str]], list[list[tuple[int, int]]]]
"""`Embedder.token_spans`: per text, the character span of each token."""


class ChunkRule(BaseModel):
    """How long chunks are, in the embedder's tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(default=120, ge=16)
    min_tokens: int = Field(default=32, ge=0)
    """A section shorter than this is joined with the next one where both fit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        return self


@dataclass(frozen=True, slots=True)
class _Piece:
    """A span that is not cut any more."""

    start: int
    end: int
    tokens: int
    section: int
    """Number of the heading it stands under."""


def chunk(
    documents: Sequence[Document], *, rule: ChunkRule, token_spans: TokenSpans
) -> list[list[Chunk]]:
    """Cut cleaned documents; per document its chunks in order, [] when it is empty.

    No chunk is longer than `rule.max_tokens`. Documents come many at a time because tokenisers
    are fastest so; how each is cut does not depend on the others.
    """
    rulers = [
        _Ruler(document.text, [start for start, _ in spans])
        for document, spans in zip(
            documents, token_spans([document.text for document in documents]), strict=True
        )
    ]
    outlines = [
        _outline(document, ruler=ruler, rule=rule)
        for document, ruler in zip(documents, rulers, strict=True)
    ]
    fitted = _fitted(outlines, rulers=rulers, limit=rule.max_tokens, token_spans=token_spans)
    return [
        _chunks(document, outline, spans)
        for document, outline, spans in zip(documents, outlines, fitted, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Outline:
    """Where a document is cut, and which headings stand above each cut."""

    cuts: tuple[int, ...]
    paths: Mapping[int, tuple[str, ...]]
    headings: "_Headings"
    units: tuple[int, ...] = ()
    """Where sentences start that are ranked."""
    statements: tuple[Span, ...] = ()


def _outline(document: Document, *, ruler: "_Ruler", rule: ChunkRule) -> _Outline:
    text = document.text
    structure = blocks(text)
    headings = _Headings(structure)
    if not text.strip():
        return _Outline((), {}, headings)
    groups = _pack(_pieces(structure, ruler=ruler, rule=rule, language=document.language), rule)
    starts = [0, *(group[0].start for group in groups[1:])]
    anchors = (max(group, key=lambda piece: piece.tokens).start for group in groups)
    paths = {start: headings.path_at(anchor) for start, anchor in zip(starts, anchors, strict=True)}
    units = unit_starts(text, structure, language=document.language, tokens_in=ruler.starts)
    statements = quotable(text, structure, language=document.language)
    return _Outline(
        (*starts, len(text)), paths, headings, units=tuple(units), statements=tuple(statements)
    )


def _chunks(
    document: Document, outline: _Outline, spans: Sequence[tuple[int, int, int]]
) -> list[Chunk]:
    ref = document.ref()
    seen: Counter[str] = Counter()
    chunks = []
    for start, end, tokens in spans:
        text = document.text[start:end]
        chunks.append(
            Chunk(
                id=chunk_id(document.id, text, seen[text]),
                document=ref,
                start=start,
                end=end,
                text=text,
                heading_path=outline.paths.get(start) or outline.headings.path_at(start),
                sentences=tuple(_between(outline.units, start, end, document.text)),
                statements=_inside(outline.statements, start, end),
                tokens=tokens,
            )
        )
        seen[text] += 1
    return chunks


def _inside(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    near = spans[bisect_left(spans, (start,)) : bisect_left(spans, (end,))]
    return tuple(span for span in near if span[1] <= end)


def _between(units: Sequence[int], start: int, end: int, text: str) -> list[Span]:
    """The chunk [start, end) cut where units start, unless next to nothing is cut off."""
    inner = units[bisect_right(units, start) : bisect_left(units, end)]
    if inner and not says_something(text[start : inner[0]]):
        inner = inner[1:]
    if inner and not says_something(text[inner[-1] : end]):
        inner = inner[:-1]
    return list(pairwise([start, *inner, end]))


class _Ruler:
    """Counts the tokens of any span of one text after tokenising it once."""

    def __init__(self, text: str, starts: Sequence[int]) -> None:
        self.text = text
        self._starts = starts

    def count(self, start: int, end: int) -> int:
        """Tokens that start inside the span."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def starts(self, start: int, end: int) -> Sequence[int]:
        """Where the tokens inside the span start."""
        return self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def cut(self, start: int, end: int, limit: int) -> list[Span]:
        """Cut a span into parts of at most `limit` tokens, at token starts."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        inner = self._starts[first + limit : last : limit]
        return list(pairwise([start, *inner, end]))

    def sure(self, start: int, end: int) -> bool:
        """Whether the span has as many tokens by itself: it is not cut inside a word."""
        edges = (at for at in (start, end) if 0 < at < len(self.text))
        return all(self.text[at - 1].isspace() for at in edges)


def _pieces(
    structure: Sequence[Block], *, ruler: _Ruler, rule: ChunkRule, language: str | None
) -> list[_Piece]:
    pieces: list[_Piece] = []
    section = 0
    for block in structure:
        section += block.kind == "heading"
        for start, end in _divide(block, ruler=ruler, limit=rule.max_tokens, language=language):
            pieces.append(_Piece(start, end, ruler.count(start, end), section))
    return pieces


def _divide(block: Block, *, ruler: _Ruler, limit: int, language: str | None) -> list[Span]:
    """The block whole where it fits, else its lines or sentences, else cut at tokens."""
    if ruler.count(block.start, block.end) <= limit:
        return [(block.start, block.end)]
    return [
        cut
        for start, end in block_parts(ruler.text, block, language=language)
        for cut in (
            [(start, end)] if ruler.count(start, end) <= limit else ruler.cut(start, end, limit)
        )
    ]


def _pack(pieces: Sequence[_Piece], rule: ChunkRule) -> list[list[_Piece]]:
    """Group pieces into chunks: whole sections where they fit, long ones in even parts."""
    groups: list[list[_Piece]] = []
    for section in _sections(pieces):
        parts = _even_parts(section, rule.max_tokens)
        short = bool(groups) and _tokens(groups[-1]) < rule.min_tokens
        if short and _tokens(groups[-1]) + _tokens(parts[0]) <= rule.max_tokens:
            parts[0] = groups.pop() + parts[0]
        groups += parts
    return groups


def _sections(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    sections: list[list[_Piece]] = []
    for piece in pieces:
        if sections and sections[-1][0].section == piece.section:
            sections[-1].append(piece)
        else:
            sections.append([piece])
    return sections


def _even_parts(section: list[_Piece], limit: int) -> list[list[_Piece]]:
    """Fill parts up to the even share of the section, never over `limit`."""
    total = _tokens(section)
    share = ceil(total / ceil(total / limit)) if total else limit
    parts: list[list[_Piece]] = [[]]
    size = 0
    for piece in section:
        if parts[-1] and (size >= share or size + piece.tokens > limit):
            parts.append([])
            size = 0
        parts[-1].append(piece)
        size += piece.tokens
    return parts


def _tokens(pieces: Sequence[_Piece]) -> int:
    return sum(piece.tokens for piece in pieces)


def _fitted(
    outlines: Sequence[_Outline],
    *,
    rulers: Sequence[_Ruler],
    limit: int,
    token_spans: TokenSpans,
) -> list[list[tuple[int, int, int]]]:
    """Per document (start, end, tokens) between its cuts; what is too long is cut again.

    A span cut inside a word can have more tokens by itself than inside the text, and tokenisers
    that mark white space can have a few more at its edges: where either matters, it is counted.
    """
    done: list[list[tuple[int, int, int]]] = [[] for _ in outlines]
    todo: list[tuple[int, int, int]] = []
    for number, (outline, ruler) in enumerate(zip(outlines, rulers, strict=True)):
        for start, end in pairwise(outline.cuts):
            tokens = ruler.count(start, end)
            if tokens <= limit - _EDGE_TOKENS and ruler.sure(start, end):
                done[number].append((start, end, tokens))
            else:
                todo.append((number, start, end))
    while todo:
        counted = token_spans([rulers[number].text[start:end] for number, start, end in todo])
        halves: list[tuple[int, int, int]] = []
        for (number, start, end), spans in zip(todo, counted, strict=True):
            if len(spans) <= limit or end - start < 2:
                done[number].append((start, end, len(spans)))
            else:
                middle = (start + end) // 2
                halves += [(number, start, middle), (number, middle, end)]
        todo = halves
    return [sorted(spans) for spans in done]


class _Headings:
    """Which headings stand above each position."""

    def __init__(self, structure: Sequence[Block]) -> None:
        self._starts: list[int] = []
        self._paths: list[tuple[str, ...]] = [()]
        above: list[Block] = []
        for heading in (block for block in structure if block.kind == "heading"):
            above = [*(h for h in above if h.level < heading.level), heading]
            self._starts.append(heading.start)
            self._paths.append(tuple(h.title for h in above if h.title))

    def path_at(self, position: int) -> tuple[str, ...]:
        return self._paths[bisect_right(self._starts, position)]
