"""Planning without a model: whether one search is enough for a question, and what to search next.

Reads words alone: how a question is built, and which of its terms stand in what came first. Does
not know: how a search is done, how many there may be.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_engineering.application.rag.find import Findings
from llm_engineering.ports.models import SparseEncoder

_TWO_THINGS = re.compile(
    r"\b(?:both|twice|versus|vs|compared?|comparison|differ(?:s|ent|ence)?|respectively|each of|"
    r"in each|the other|the former|the latter|first and|and once|or did you|rather than)\b",
    re.IGNORECASE,
)
_TWO_TIMES = re.compile(
    r"\b(?:years? (?:after|before|later|earlier)|used to|nowadays|today|since then|no longer|"
    r"between \w+ and \w+ \d{4}|in \d{4} you)\b",
    re.IGNORECASE,
)
_ASKING = r"(?:how|what|which|why|where|when|who|did|does|do|is|are|can|could|will|would)\b"
_CLAUSE = re.compile(
    rf"(?<=[.?!;:])\s+|,\s+(?:and|but|or|once)\s+|\s+and\s+(?={_ASKING})|,\s+(?={_ASKING})",
    re.IGNORECASE,
)
_FEWEST_TERMS = 2
"""A clause with fewer content terms says nothing to search for."""
_LEFT_OPEN = 0.5
"""Share of a clause's terms that the note which came first must lack for the clause to be open."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for next."""

    text: str
    why: str
    elsewhere: bool = False
    """What the note that came first says does not count: another one is looked for."""


def clauses(question: str, *, sparse: SparseEncoder) -> tuple[str, ...]:
    """The parts of a question that could each be asked alone, in order."""
    parts = (part.strip(" ,.?!;:") for part in _CLAUSE.split(question))
    return tuple(part for part in parts if len(_terms(part, sparse)) >= _FEWEST_TERMS)


def from_words(
    question: str, searched: Sequence[Findings], *, sparse: SparseEncoder
) -> tuple[Query, ...]:
    """The next searches, most needed first; none when one is enough.

    Once the first search is there: the question again beside the note that came first, when its
    wording asks for two things or two times, and the clause that this note leaves most open.
    Never asks again after further searches.
    """
    if len(searched) != 1 or not searched[0].found:
        return ()
    parts = clauses(question, sparse=sparse)
    open_part = _most_open(parts, searched[0], sparse=sparse) if len(parts) > 1 else ""
    asks_for_two = _TWO_THINGS.search(question) or _TWO_TIMES.search(question)
    if not (asks_for_two or open_part):
        return ()
    title = searched[0].found[0].passage.document.title
    queries = [Query(question, f"beside “{title}”", elsewhere=True)]
    if open_part:
        queries.append(Query(open_part, f"left open by “{title}”", elsewhere=True))
    return tuple(queries)


def _most_open(parts: Sequence[str], findings: Findings, *, sparse: SparseEncoder) -> str:
    """The part of which the best note lacks most; '' when it lacks little of each."""
    best = findings.found[0].passage.document
    texts = [each.passage.text for each in findings.found if each.passage.document.id == best.id]
    held = _terms("\n".join([best.title, *texts]), sparse)

    def lacking(part: str) -> float:
        terms = _terms(part, sparse)
        return len(terms - held) / len(terms)

    part = max(parts, key=lacking)
    return part if lacking(part) >= _LEFT_OPEN else ""


def _terms(text: str, sparse: SparseEncoder) -> set[int]:
    return set(sparse.query(text).indices.tolist())
