"""Candidate targets of a document: exact spans that read as whole thoughts, of several lengths.

A paragraph, two or three of them, a section, the whole document. Does not know: what is asked.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from llm_engineering.application.datasets.config import SpanRule
from llm_engineering.application.datasets.outline import (
    Run,
    Thought,
    outline,
    prose_letters,
    read_letters,
)
from llm_engineering.application.sentences import sentence_spans
from llm_engineering.domain.documents import Document

_WINDOWS = (2, 3, 5)
"""Thoughts of a span that is neither one nor a section."""
_QUOTED = re.compile(r"“[^”]{25,}”|\"[^\"\n]{25,}\"|«[^»]{25,}»|„[^“]{25,}“")
_MAX_QUOTED = 0.4
_MIN_READ, _MIN_PROSE = 0.45, 0.3
"""Share of letters among all characters that are not code: those outside of addresses, and those
outside of links."""
_DANGLING = re.compile(
    r"(?:th(?:is|at|ese|ose|ere|en|e (?:above|following|output|result|first|second|other|same)"
    r"|is)|it(?:'s|’s)?|they|he|she|which|and|but|so|also|however|instead|finally|next|now|again"
    r"|another|both|such|otherwise|or|here(?:'s|’s)?|note|you(?:'ll|’ll)? (?:then|also|now)|one"
    r"|i (?:then|also|now)|after (?:that|this|which|running|doing)|with (?:this|that)|in this case"
    r"|as (?:above|before|you can see)|for example|because|to do (?:this|that|so))\b",
    re.IGNORECASE,
)
"""English beginnings that point at what was said before (in other languages none is known)."""
_LEADS_ON = re.compile(
    r"(?:\bhere(?:'s|’s| is| are) (?:how|what|the|my|an?|some)\b[^.!?\n]*|\bas follows)[.!]$",
    re.IGNORECASE,
)
_UNFINISHED = (":", ",", ";", "(", "-", "–", "—")


class Level(StrEnum):
    PARAGRAPH = "paragraph"
    PARAGRAPHS = "paragraphs"
    SECTION = "section"
    """All of it, or what stands between its heading and the first quotation or table."""
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Characters [start, end) of a cleaned document."""

    start: int
    end: int
    level: Level
    heading_path: tuple[str, ...]
    stands: bool
    """Whether it can be understood without what was said before it."""
    begins: bool
    """Whether its document begins with it."""
    before: tuple[int, int] | None
    """The thought right before it, of the same section."""
    first_sentence: int | None
    """End of its first sentence where more of the same kind follows; None for a single one."""
    question: str
    """That somebody asked, right before it."""


def candidates(
    document: Document, *, rule: SpanRule, boilerplate: Set[str], dropped: Counter[str]
) -> list[Candidate]:
    """The document's targets by position, longer ones first; why others are none is counted."""
    runs = outline(
        document.text,
        title=document.title,
        author=document.author,
        boilerplate=boilerplate,
        dropped=dropped,
    )
    found: dict[tuple[int, int], Candidate] = {}
    for level, run, first, end in _groups(document.text, runs, longest=rule.max_characters):
        span = (run.thoughts[first].start, end)
        if span in found:
            continue
        thoughts = [each for held in runs for each in held.thoughts if _within(each, span)]
        reason = unfit(
            document.text[slice(*span)], code=sum(each.code for each in thoughts), rule=rule
        )
        if reason:
            dropped[f"span: {reason}"] += 1
            continue
        found[span] = Candidate(
            *span,
            level=level,
            heading_path=run.heading_path if end <= run.thoughts[-1].end else (),
            stands=_stands(document, run, first),
            begins=run is runs[0] and first == 0 and run.first and not run.heading_path,
            before=_before(run, first),
            first_sentence=_first_sentence(document, thoughts),
            question=run.question if first == 0 else "",
        )
    return sorted(found.values(), key=lambda each: (each.start, -each.end))


def unfit(text: str, *, code: int, rule: SpanRule) -> str:
    """Why a span is no target; '' when it is one."""
    if len(text) < rule.min_characters:
        return "too short"
    if len(text) > rule.max_characters:
        return "too long"
    if code > rule.max_code_share * len(text):
        return "mostly code"
    if text.endswith(_UNFINISHED) or _LEADS_ON.search(text):
        return "breaks off"
    if sum(len(found) for found in _QUOTED.findall(text)) > _MAX_QUOTED * len(text):
        return "mostly quoted"
    rest = len(text) - code
    if (
        read_letters(text) - code < _MIN_READ * rest
        or prose_letters(text) - code < _MIN_PROSE * rest
    ):
        return "mostly links"
    return ""


def _groups(
    text: str, runs: Sequence[Run], *, longest: int
) -> Iterator[tuple[Level, Run, int, int]]:
    """(level, run, number of its first thought, where the group ends), the larger ones first."""
    if runs and (end := _beginning(text, runs, longest)) is not None:
        whole = end == runs[-1].thoughts[-1].end and all(run.whole for run in runs)
        yield Level.DOCUMENT if whole else Level.PARAGRAPHS, runs[0], 0, end
    for run in runs:
        ends = [thought.end for thought in run.thoughts]
        count = len(ends)
        section = run.whole or (run.first and bool(run.heading_path))
        if count > 1:
            yield Level.SECTION if section else Level.PARAGRAPHS, run, 0, ends[-1]
        for size in _WINDOWS:
            for first in range(0, count - size + 1, size):
                yield Level.PARAGRAPHS, run, first, ends[first + size - 1]
        for first in range(count):
            alone = count == 1 and run.first and run.heading_path
            yield Level.SECTION if alone else Level.PARAGRAPH, run, first, ends[first]


def _beginning(text: str, runs: Sequence[Run], longest: int) -> int | None:
    """End of the most whole sections, from the first on, that fit; None when not even that does."""
    fits = None
    for count in range(1, len(runs) + 1):
        end = runs[count - 1].thoughts[-1].end
        gap = count > 1 and not _touch(text, runs[:count])
        if not runs[count - 1].whole or gap or end - runs[0].thoughts[0].start > longest:
            break
        fits = end
    return fits


def _touch(text: str, runs: Sequence[Run]) -> bool:
    """Whether nothing but headings stands between the runs (a picture, a quote ...)."""
    thoughts = [thought for run in runs for thought in run.thoughts]
    between = (text[one.end : other.start] for one, other in pairwise(thoughts))
    return all(
        not line.strip() or line.lstrip().startswith("#") or set(line.strip()) <= {"=", "-"}
        for gap in between
        for line in gap.split("\n")
    )


def _within(thought: Thought, span: tuple[int, int]) -> bool:
    return span[0] <= thought.start and thought.end <= span[1]


def _stands(document: Document, run: Run, first: int) -> bool:
    if first == 0 and run.first:
        return True
    if (document.language or "en") != "en":
        return False
    return not _DANGLING.match(document.text, run.thoughts[first].start)


def _before(run: Run, first: int) -> tuple[int, int] | None:
    if first == 0:
        return None
    thought = run.thoughts[first - 1]
    return thought.start, thought.end


def _first_sentence(document: Document, thoughts: Sequence[Thought]) -> int | None:
    """Where the rest of the span begins: after the first of several sentences or blocks."""
    lead = thoughts[0].blocks[0]
    if lead.kind != "paragraph":
        return None
    body = document.text[lead.start : lead.end]
    sentences = sentence_spans(body, language=document.language)
    if len(sentences) > 1 and body[: sentences[0][1]].rstrip().endswith((".", "!", "?", "…")):
        return lead.start + sentences[0][1]
    if len(sentences) == 1 and len(thoughts) > 1 and len(thoughts[0].blocks) == 1:
        return thoughts[1].start
    return None
