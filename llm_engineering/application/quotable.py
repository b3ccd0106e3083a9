"""Which sentences of a cleaned document are statements of its author that can be quoted."""

import re
from collections.abc import Sequence

from llm_engineering.application.markdown import Block
from llm_engineering.application.sentences import sentence_spans

_MARK = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+")
"""A list mark; a minus before a number and emphasis have no space after them."""
_NOT_WORDS = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|^\[[^\]]*\]\([^)]*\)$"  # images; nothing but a link
    r"|(?<=\])\([^)]*\)|https?://\S+"  # link targets
    r"|^\s*\[[^\]]+\]:.*|\{[%{].*?[%}]\}|<[^>]+>"  # link definitions, template and HTML tags
)
_OTHER_MATTER = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])?[ \t]*(?:>|```|~~~)", re.MULTILINE)
"""Inside a list item: somebody else's words, or code."""
_MIN_LETTERS = 12
"""Less is a fragment ('See also:', '1.2.3'), not a sentence."""


def quotable(
    text: str, structure: Sequence[Block], *, language: str | None
) -> list[tuple[int, int]]:
    """Spans of the statements in paragraphs and list items, edges trimmed, in order.

    `structure` is `blocks(text)`. Headings, code, tables and raw HTML are not sentences; block
    quotes are somebody else's; a question says nothing; what is left of a sentence without its
    link targets must be more than a fragment.
    """
    spans: list[tuple[int, int]] = []
    for block in structure:
        body = text[block.start : block.end]
        if block.kind not in ("paragraph", "item"):
            continue
        if block.kind == "item" and _OTHER_MATTER.search(body):
            continue
        for a, b in sentence_spans(body, language=language):
            start, end = _trimmed(body, a, b)
            if is_statement(body[start:end]):
                spans.append((block.start + start, block.start + end))
    return spans


def is_statement(sentence: str) -> bool:
    """More than a fragment, and no question."""
    words = _NOT_WORDS.sub("", sentence).rstrip(" *_\"'”’)")
    return sum(map(str.isalpha, words)) >= _MIN_LETTERS and not words.endswith(("?", "？"))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its edges and without list marks before it."""
    while match := _MARK.match(text, start, end):
        start = match.end()
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
