"""Which sentences of an answer claim something, as spans of its text in code points.

Does not know: whether what they claim is true.
"""

import re
from collections.abc import Iterator

from llm_engineering.application.markdown import blocks, code_spans
from llm_engineering.application.quotable import is_statement
from llm_engineering.application.rag.tokens import CITATION
from llm_engineering.application.sentences import sentence_spans
from llm_engineering.domain.chunks import Span

_CLAIMING = frozenset(("paragraph", "item", "quote"))
_EDGE = re.compile(rf"(?:\s|[>*]|(?:[-+]|\d{{1,9}}[.)])\s|{CITATION}(?!\())+")
_CITATION = re.compile(CITATION)
_CITED_END = re.compile(rf"[.!?…][\"”»')\]]*\s*(?:{CITATION}\s*)+(?=[\"“«(]?[^\W\d_a-z])")
"""Where a sentence ends behind its citation marks, which a splitter takes for its middle."""
_CIVIL = re.compile(
    r"(?:hi|hello|hey|dear|thanks|thank you|sure|of course|certainly|great question|good question|"
    r"let me know|feel free|i hope (?:this|that) helps|happy to|here (?:is|are|'s)\b.*:)",
    re.IGNORECASE,
)


def claims(text: str) -> list[Span]:
    """In order, without list marks and citation marks at their edges.

    Code, headings, tables, questions and courtesies claim nothing; what is only a word or two is
    no sentence.
    """
    prose = _without_code(text.replace("\r", " "))
    found: list[Span] = []
    for block in blocks(prose):
        if block.kind not in _CLAIMING:
            continue
        body = prose[block.start : block.end]
        for a, b in _cut(body):
            start, end = _trimmed(body, a, b)
            sentence = body[start:end]
            if is_statement(sentence) and not _CIVIL.match(sentence.lstrip("“\"'")):
                found.append((block.start + start, block.start + end))
    return found


def _cut(body: str) -> Iterator[Span]:
    for start, end in sentence_spans(body, language=None):
        at = start
        for mark in _CITED_END.finditer(body, start, end):
            yield at, mark.end()
            at = mark.end()
        yield at, end


def _without_code(text: str) -> str:
    """The same length, with white space in place of blocks of code."""
    for start, end in code_spans(text):
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    return text


def _trimmed(body: str, start: int, end: int) -> Span:
    if edge := _EDGE.match(body, start, end):
        start = edge.end()
    while True:
        end = start + len(body[start:end].rstrip())
        mark = body.rfind("[", start, end)
        if mark < 0 or not _CITATION.fullmatch(body, mark, end):
            return start, end
        end = mark
