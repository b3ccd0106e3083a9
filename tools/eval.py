"""`twin eval`: how good the twin is, measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from llm_engineering.application.evaluation.binding import BoundQuestion, bind
from llm_engineering.application.evaluation.intervals import Estimate
from llm_engineering.application.evaluation.questions import QuestionFile, read_questions
from llm_engineering.application.evaluation.rankers import sentence_ranker
from llm_engineering.application.evaluation.refusals import RefusalReport, Refusing
from llm_engineering.application.evaluation.retrieval import (
    METRICS,
    RetrievalReport,
    evaluate_retrieval,
)
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.settings import load_settings
from pipelines.configs import load_config
from tools.corpus_index import indexed_corpus, names_in, texts_in
from tools.eval_grounding import grounding
from tools.eval_multihop import multihop
from tools.output import Column, is_terminal, note, write_json, write_table, write_text


@click.group("eval")
def evaluation() -> None:
    """Measure the twin against questions with known answers."""


evaluation.add_command(grounding)
evaluation.add_command(multihop)


@evaluation.command()
@click.option(
    "--questions",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="Questions with the spans that answer them: .csv, .json or .jsonl.",
)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    help="Folder that the questions are about. [default: what the twin has indexed]",
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How questions are answered, e.g. configs/rag.yaml. [default: built-in values]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def retrieval(file: Path, corpus: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Measure how much of the answers retrieval finds, and what it refuses to answer.

    Recall, precision and IoU are of the characters found within a budget of characters; hit and
    MRR are of documents. In brackets: the 95 % interval.
    """
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    asked = read_question_file(file)
    with _measured_app(corpus) as app:
        report = evaluate_app(app, bound_in(app, asked, folder=corpus), config=config)
    if as_json:
        write_json(report)
    else:
        _show(report)


def read_question_file(path: Path) -> QuestionFile:
    """The questions in the file at `path`; raises NotFound and InvalidInput."""
    try:
        return read_questions(path.read_bytes().decode("utf-8-sig"), name=path.name)
    except FileNotFoundError:
        raise NotFound(f"no file {path}; name a .csv, .json or .jsonl of questions") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; choose another file") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def bound_in(app: App, asked: QuestionFile, *, folder: Path | None) -> list[BoundQuestion]:
    """The questions with their references located in the documents of `app`.

    Raises NotFound when it has none, and InvalidInput as `bind` does.
    """
    names = names_in(app.documents)
    if not names:
        raise NotFound("there are no documents; run 'twin run end_to_end', or give --corpus")
    bound = bind(asked, names=names, read=texts_in(app.documents, folder=folder))
    if missing := sum(question.unlocated for question in bound):
        note(f"{missing} references are not in the indexed text; they count as not found")
    return bound


def evaluate_app(
    app: App, questions: list[BoundQuestion], *, config: AnswerConfig
) -> RetrievalReport:
    """Ask every question of the app's index, as `config` says."""
    ranker = sentence_ranker(config, ports=app.search_ports)
    ranker("warm up")  # the first question would be timed with the loading of the model
    with app.progress.stage("ask", total=len(questions)) as advance:
        return evaluate_retrieval(
            questions,
            ranker=ranker,
            min_evidence=config.min_evidence,
            advance=lambda: advance(1),
        )


@contextmanager
def _measured_app(corpus: Path | None) -> Iterator[App]:
    if corpus is None:
        with open_app() as app:
            yield app
    else:
        with indexed_corpus(corpus, load_settings()) as app:
            yield app


def _show(report: RetrievalReport) -> None:
    """Metrics as rows, groups of questions as columns."""
    columns = ["%", *(f"{each.group} ({each.questions})" for each in report.groups)]
    rows = [
        [_title(name), *(_percent(each.estimates[name]) for each in report.groups)]
        for name in METRICS
    ]
    rows.append(["latency p50, ms", f"{report.p50_ms:.1f}"])
    rows.append(["latency p99, ms", f"{report.p99_ms:.1f}"])
    if not is_terminal():  # which column is which group is part of the result
        rows.insert(0, columns)
    even = [row + [""] * (len(columns) - len(row)) for row in rows]
    write_table([Column(name) for name in columns], even)
    if report.refusals is not None:
        _show_refusals(report.refusals)


def _title(metric: str) -> str:
    """'recall@1500' is 'recall at 1,500'."""
    name, _, at = metric.partition("@")
    words = {"iou": "IoU", "mrr": "MRR"}.get(name, name)
    return f"{words} at {int(at):,}" if at else words


def _percent(estimate: Estimate) -> str:
    mean, low, high = (100 * value for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def _show_refusals(report: RefusalReport) -> None:
    kinds = ", ".join(f"{kind} {100 * s:.0f} %" for kind, s in report.refused_by_kind.items())
    click.echo()
    write_text(
        f"evidence tells {report.answerable} questions with an answer from {report.unanswerable} "
        f"without: AUC {report.auc:.3f}{'; refused of ' + kinds if kinds else ''}"
    )
    columns = ["refused below", "precision", "recall", "answerable refused"]
    rows = [_refusing(report.configured, " (configured)"), *map(_refusing, report.curve)]
    write_table([Column(name) for name in columns], rows)


def _refusing(each: Refusing, remark: str = "") -> list[str]:
    shares = (f"{100 * share:.1f}" for share in (each.precision, each.recall, each.wrongly))
    return [f"{each.threshold:.3f}{remark}", *shares]
