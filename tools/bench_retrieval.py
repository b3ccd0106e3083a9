"""`make bench-retrieval`: what the twin retrieves, beside the usual ways of ranking chunks.

All rankings answer the same questions over the same texts with the same encoders in one run.
Prints Markdown tables; `--json FILE` writes every figure.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from llm_engineering.application.clean import clean
from llm_engineering.application.evaluation.binding import BoundQuestion
from llm_engineering.application.evaluation.intervals import Estimate, estimates
from llm_engineering.application.evaluation.rankers import sentence_ranker
from llm_engineering.application.evaluation.retrieval import (
    METRICS,
    MetricsOf,
    Ranker,
    metrics,
    metrics_of,
)
from llm_engineering.application.evaluation.span_metrics import BUDGETS
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.domain.errors import InvalidInput, TwinError
from llm_engineering.settings import load_settings
from tools.bench_retrieval_baselines import WEIGHTED, baselines
from tools.corpus_index import indexed_corpus
from tools.eval import bound_in, read_question_file
from tools.output import note, one_line

PRODUCT = "sentences in windows (the twin)"
SHOWN = (*(f"recall@{b}" for b in BUDGETS), f"precision@{BUDGETS[0]}", f"iou@{BUDGETS[0]}")
"""Columns of the table before those of documents."""


class Benchmark(BaseModel):
    """Questions and the folder they are about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    questions: Path
    corpus: Path


_SHARED = Path("../shared")
DEFAULTS = (
    Benchmark(
        name="spans",
        questions=_SHARED / "benchmarks" / "spans" / "questions.csv",
        corpus=_SHARED / "benchmarks" / "spans",
    ),
    Benchmark(
        name="til",
        questions=Path("benchmarks") / "til-questions.csv",
        corpus=_SHARED / "corpora" / "simonw-til",
    ),
)


class Row(BaseModel):
    """One way of ranking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contextual: bool
    """Whether title and headings were encoded with chunks."""
    metrics: MetricsOf
    ms_per_query: float


class Difference(BaseModel):
    """The twin minus the baseline of one sort that is best at this metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    contextual: bool
    baseline: str
    estimate: Estimate


class Outcome(BaseModel):
    """Everything that one benchmark gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    documents: int
    questions: int
    unlocated: int
    rows: tuple[Row, ...]
    """The twin last."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """The values of METRICS per question, and what each one took."""

    name: str
    contextual: bool
    scores: NDArray[np.float64]
    ms: float

    def row(self) -> Row:
        return Row(
            contextual=self.contextual,
            metrics=metrics_of(self.name, self.scores),
            ms_per_query=self.ms,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--benchmark",
        action="append",
        type=parse_benchmark,
        metavar="NAME=QUESTIONS,CORPUS",
        help="a question file and the folder it is about; may be given again",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    given = parser.parse_args()
    outcomes: list[Outcome] = []
    try:
        for each in given.benchmark or available(DEFAULTS):
            outcomes.append(measure(each))
            print(table(outcomes[-1]), end="\n\n", flush=True)
    except TwinError as error:
        sys.exit(f"bench-retrieval: error: {one_line(str(error))}")
    if given.json:
        text = json.dumps(to_jsonable_python(outcomes), indent=2)
        given.json.write_text(f"{text}\n", encoding="utf-8")


def parse_benchmark(text: str) -> Benchmark:
    name, _, paths = text.partition("=")
    questions, _, corpus = paths.partition(",")
    if not (name and questions and corpus):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=QUESTIONS,CORPUS")
    return Benchmark(name=name, questions=Path(questions), corpus=Path(corpus))


def available(benchmarks: Sequence[Benchmark]) -> Iterator[Benchmark]:
    """Those whose files are there; of the others one line says that they are not."""
    for each in benchmarks:
        absent = [path for path in (each.questions, each.corpus) if not path.exists()]
        if absent:
            note(f"{each.name}: left out, there is no {absent[0]}; name one with --benchmark")
        else:
            yield each


def measure(benchmark: Benchmark) -> Outcome:
    """All rankings over one benchmark."""
    asked = read_question_file(benchmark.questions)
    with indexed_corpus(benchmark.corpus, load_settings()) as app:
        bound = bound_in(app, asked, folder=benchmark.corpus)
        questions = [question for question in bound if question.answerable]
        if not questions:
            raise InvalidInput(f"{asked.name}: no question has a reference; add some that do")
        measured = list(_all(app, questions))
        return Outcome(
            benchmark=benchmark.name,
            documents=sum(1 for _ in app.documents.heads()),
            questions=len(questions),
            unlocated=sum(question.unlocated for question in questions),
            rows=tuple(each.row() for each in measured),
            differences=tuple(differences(measured)),
        )


def _all(app: App, questions: Sequence[BoundQuestion]) -> Iterator[Measured]:
    documents = [clean(document) for document in app.documents.find()]
    for each in baselines(documents, embedder=app.embedder, sparse=app.sparse):
        yield measured(each.name, each.ranker, questions, contextual=each.contextual)
    ranker = sentence_ranker(AnswerConfig(), ports=app.search_ports)
    yield measured(PRODUCT, ranker, questions)


def measured(
    name: str, ranker: Ranker, questions: Sequence[BoundQuestion], *, contextual: bool = False
) -> Measured:
    """Rank and score every question; what is told of the time is the median."""
    ranker("warm up")
    found = [ranker(question.question.question) for question in questions]
    scores = [
        metrics(ranked.spans, question.gold)
        for ranked, question in zip(found, questions, strict=True)
    ]
    return Measured(
        name, contextual, np.array(scores), float(np.median([ranked.ms for ranked in found]))
    )


def differences(measured: Sequence[Measured]) -> Iterator[Difference]:
    """The last of `measured` minus the best baseline of each sort, per budget, paired.

    The sorts: the usual ones (dense, BM25, reciprocal ranks), all without headings, all with them.
    """
    product, rivals = measured[-1].scores, measured[:-1]
    plain = [each for each in rivals if not each.contextual]
    usual = [each for each in plain if not each.name.startswith(WEIGHTED)]
    for sort in (usual, plain, [each for each in rivals if each.contextual]):
        for metric in SHOWN[: len(BUDGETS)]:
            column = METRICS.index(metric)
            best = max(sort, key=lambda each: float(each.scores[:, column].mean()))
            (estimate,) = estimates((product - best.scores)[:, [column]])
            yield Difference(
                metric=metric, contextual=best.contextual, baseline=best.name, estimate=estimate
            )


def table(outcome: Outcome) -> str:
    """The figures as Markdown, as docs/performance.md shows them."""
    lines = [
        f"**{outcome.benchmark}**: {outcome.questions} questions, {outcome.documents} documents, "
        f"{outcome.unlocated} references not located. R: recall within so many characters; "
        f"P, IoU: within {BUDGETS[0]:,}. +: title and headings encoded with the chunk.",
        "",
        f"| ranking | {' | '.join(f'R {b:,}' for b in BUDGETS)} | P | IoU | hit@1 | MRR | ms |",
        "|---|" + "---:|" * (len(BUDGETS) + 5),
    ]
    for row in outcome.rows:
        name = row.metrics.group + (" +" if row.contextual else "")
        means = [row.metrics.estimates[each].mean for each in (*SHOWN, "hit@1", "mrr")]
        cells = [name, *(f"{100 * mean:.1f}" for mean in means), f"{row.ms_per_query:.1f}"]
        line = " | ".join(cells)
        lines.append(f"| {line} |")
    lines += ["", "| the twin minus | at | difference in recall [95 %] |", "|---|---:|---:|"]
    for each in outcome.differences:
        name = each.baseline + (" +" if each.contextual else "")
        mean, low, high = (
            f"{100 * value:+.1f}"
            for value in (each.estimate.mean, each.estimate.low, each.estimate.high)
        )
        budget = int(each.metric.partition("@")[2])
        lines.append(f"| {name} | {budget:,} | {mean} [{low}, {high}] |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
