"""Whether several searches find more of what answers a question than one does, at equal budgets.

Every question is asked twice, of one search and of several. Both get passages of as many
characters, and the difference per question is what the interval is of. One half of the questions,
by a hash of what they are called, is for tuning; the other is not looked at before.

Does not know: how a search is done, which texts there are.
"""

import csv
import io
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.application.evaluation.binding import BoundQuestion
from llm_engineering.application.evaluation.intervals import Estimate, estimates
from llm_engineering.application.evaluation.questions import Question, QuestionFile, Reference
from llm_engineering.application.evaluation.span_metrics import BUDGETS
from llm_engineering.application.rag.agentic import Gathered
from llm_engineering.application.rag.passages import select
from llm_engineering.domain.chat import Passage
from llm_engineering.domain.chunks import Span
from llm_engineering.domain.errors import InvalidInput

Half = Literal["fit", "test"]
Search = Callable[[str], Gathered]

_COLUMNS = ("id", "question", "kind", "document_1", "evidence_1", "document_2", "evidence_2")


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Compared(Frozen):
    """One search and several within a budget of characters."""

    budget: int
    whole_single: float
    """Share of the questions of which every reference lies within the passages."""
    whole_several: float
    whole_gain: Estimate
    recall_single: float
    """Share of each reference's characters within the passages, mean over them."""
    recall_several: float
    recall_gain: Estimate


class MultiHopReport(Frozen):
    """What several searches bring, and cost."""

    half: str
    questions: int
    answerable: int
    unlocated: int
    """References that no indexed text holds; they count as not found."""
    budgets: tuple[Compared, ...]
    searches: float
    """Mean per question, where several were allowed."""
    stayed_at_one: float
    """Share of all questions."""
    single_p50_ms: float
    several_p50_ms: float


def read_multi_hop(text: str, *, name: str) -> QuestionFile:
    """The questions of a CSV with two notes each, evidence by its words. Raises InvalidInput."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    questions: list[Question] = []
    try:
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise InvalidInput(f"{name}: has no column {missing[0]!r}; add it to the header")
        for row, cells in enumerate(reader, start=2):
            questions.append(_question(cells, where=f"{name}, row {row}"))
    except csv.Error as error:
        raise InvalidInput(f"{name}: is no CSV ({error}); write it anew as CSV") from None
    if not questions:
        raise InvalidInput(f"{name}: holds no question; add rows below the header")
    rows = tuple(range(2, len(questions) + 2))
    return QuestionFile(name=name, questions=tuple(questions), rows=rows)


def multi_hop_ids(text: str) -> tuple[str, ...]:
    """What the questions of the CSV are called, in order."""
    return tuple(cells["id"] for cells in csv.DictReader(io.StringIO(text, newline="")))


def half_of(name: str) -> Half:
    """To which half a question of that name belongs, the same for ever."""
    return "test" if sha256(name.encode()).digest()[0] % 2 else "fit"


def compare_searches(
    questions: Sequence[BoundQuestion],
    *,
    half: str,
    single: Search,
    several: Search,
    advance: Callable[[], object] = lambda: None,
) -> MultiHopReport:
    """Ask every question of both. Raises InvalidInput when none can be answered."""
    scores: list[list[list[float]]] = []
    times: list[tuple[float, float]] = []
    searches: list[int] = []
    for question in questions:
        one, one_ms = _timed(single, question.question.question)
        more, more_ms = _timed(several, question.question.question)
        times.append((one_ms, more_ms))
        searches.append(more.searches)
        if question.answerable:
            scores.append([_scores(found, question) for found in (one, more)])
        advance()
    if not scores:
        raise InvalidInput("no question has a reference; add questions that the corpus answers")
    single_ms, several_ms = np.median(np.array(times), axis=0)
    return MultiHopReport(
        half=half,
        questions=len(questions),
        answerable=len(scores),
        unlocated=sum(question.unlocated for question in questions),
        budgets=_compared(np.array(scores)),
        searches=float(np.mean(searches)),
        stayed_at_one=float(np.mean(np.array(searches) == 1)),
        single_p50_ms=float(single_ms),
        several_p50_ms=float(several_ms),
    )


def _question(cells: dict[str, str], *, where: str) -> Question:
    try:
        return Question(
            question=cells["question"],
            kind=cells["kind"],
            references=tuple(
                Reference(content=cells[f"evidence_{n}"], path=cells[f"document_{n}"])
                for n in (1, 2)
            ),
        )
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise InvalidInput(f"{where}: {reason}; fill {', '.join(_COLUMNS)}") from None


def _timed(search: Search, question: str) -> tuple[Gathered, float]:
    started = time.perf_counter()
    found = search(question)
    return found, (time.perf_counter() - started) * 1e3


def _scores(gathered: Gathered, question: BoundQuestion) -> list[float]:
    """Per budget whether all references are within the passages, then what share of each is."""
    hits, chunks = gathered.findings.hits, gathered.findings.chunks
    references = [
        (document, span) for document, spans in question.gold.spans.items() for span in spans
    ]
    number = len(references) + question.unlocated
    whole: list[float] = []
    recall: list[float] = []
    for budget in BUDGETS:
        found = select(hits, chunks, budget_tokens=budget, count_tokens=len)
        passages = [each.passage for each in found]
        shares = [_within(document, span, passages) for document, span in references]
        whole.append(float(question.unlocated == 0 and all(share == 1 for share in shares)))
        recall.append(sum(shares) / number)
    return whole + recall


def _within(document: str, span: Span, passages: Sequence[Passage]) -> float:
    """Share of the span's characters; passages of one document do not overlap."""
    start, end = span
    common = sum(
        max(0, min(end, passage.end) - max(start, passage.start))
        for passage in passages
        if passage.document.id == document
    )
    return common / (end - start)


def _compared(scores: NDArray[np.float64]) -> tuple[Compared, ...]:
    """From (questions, single or several, metric)."""
    single, several = scores.mean(axis=0)
    gains = estimates(scores[:, 1] - scores[:, 0])
    count = len(BUDGETS)
    return tuple(
        Compared(
            budget=budget,
            whole_single=float(single[at]),
            whole_several=float(several[at]),
            whole_gain=gains[at],
            recall_single=float(single[count + at]),
            recall_several=float(several[count + at]),
            recall_gain=gains[count + at],
        )
        for at, budget in enumerate(BUDGETS)
    )
