"""Turns the `[n]` marks of a generated answer into citations that can be checked.

A mark says which passage; the statement in it is the one that shares the most words with what the
mark stands behind, and the whole passage when none shares any. Whether the statement supports the
claim is not known here.
"""

import math
import re
from collections.abc import Sequence

from llm_engineering.domain.chat import Citation, Passage
from llm_engineering.ports.models import SparseEncoder

_MARK = re.compile(
    r"(?P<code>```.*?(?:```|\Z)|`[^`\n]*`)|\[(?P<numbers>\d\d?(?:\s*[,;]\s*\d\d?)*)\](?!\()",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def cited(
    text: str, passages: Sequence[Passage], *, sparse: SparseEncoder
) -> tuple[str, tuple[Citation, ...]]:
    """The text with its marks counting through the citations, and these.

    A mark that points at no passage is taken out; code is left alone.
    """
    citations: dict[Citation, int] = {}
    pieces: list[str] = []
    at, claim = 0, ""
    for match in _MARK.finditer(text):
        if match["code"]:
            continue
        before = text[at : match.start()]
        claim = _last_sentence(before) or claim
        numbers = []
        for said in re.findall(r"\d+", match["numbers"]):
            if 1 <= int(said) <= len(passages):
                citation = _citation(claim, passages[int(said) - 1], sparse)
                numbers.append(citations.setdefault(citation, len(citations) + 1))
        pieces.append(before if numbers else before.rstrip(" "))
        pieces += (f"[{number}]" for number in dict.fromkeys(numbers))
        at = match.end()
    return "".join([*pieces, text[at:]]), tuple(citations)


def _last_sentence(before: str) -> str:
    parts = _SENTENCE_END.split(before.rstrip(" .!?…\n"))
    return parts[-1].strip(" .,;:")


def _citation(claim: str, passage: Passage, sparse: SparseEncoder) -> Citation:
    start, end, heading_path = passage.start, passage.end, passage.heading_path
    best = 0.0
    terms = set(sparse.query(claim).indices.tolist())
    for statement in passage.sentences:
        quote = passage.quote(statement.start, statement.end)
        held = set(sparse.query(quote, language=passage.document.language).indices.tolist())
        if (score := _likeness(terms, held)) > best:
            best = score
            start, end, heading_path = statement.start, statement.end, statement.heading_path
    quote = passage.quote(start, end)
    return Citation.of(
        passage.document,
        start=start,
        end=start + len(quote.rstrip()),
        quote=quote.rstrip(),
        heading_path=heading_path,
    )


def _likeness(one: set[int], other: set[int]) -> float:
    """Cosine of two sets."""
    shared = len(one & other)
    return shared / math.sqrt(len(one) * len(other)) if shared else 0.0
