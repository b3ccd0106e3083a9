"""What stands above a chunk: its document's title and its headings.

A sentence often does not name what it is about; the headings above it do. They are encoded beside
it and never become part of its text.
"""

from collections.abc import Sequence

from llm_engineering.application.chunk import TokenSpans
from llm_engineering.domain.chunks import Chunk

CONTEXT_TOKENS = 48
"""Most tokens that a context takes of the embedder's window."""


def contexts(chunks: Sequence[Chunk], *, token_spans: TokenSpans) -> list[str]:
    """Per chunk its title and headings, one a line, the innermost kept."""
    distinct = list(dict.fromkeys(_lines(chunk) for chunk in chunks))
    lengths = {line: 0 for lines in distinct for line in lines}
    for line, spans in zip(lengths, token_spans(list(lengths)), strict=True):
        lengths[line] = len(spans)
    fitted = {lines: "\n".join(_fit(lines, lengths)) for lines in distinct}
    return [fitted[_lines(chunk)] for chunk in chunks]


def _lines(chunk: Chunk) -> tuple[str, ...]:
    named = (chunk.document.title, *chunk.heading_path)
    lines = dict.fromkeys(" ".join(line.split()) for line in named)
    return tuple(line for line in lines if line)


def _fit(lines: tuple[str, ...], lengths: dict[str, int]) -> list[str]:
    kept: list[str] = []
    left = CONTEXT_TOKENS
    for line in reversed(lines):
        if lengths[line] > left:
            break
        left -= lengths[line]
        kept.insert(0, line)
    return kept
