"""`twin eval multihop`: whether several searches find more than one does, at equal budgets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import click

from llm_engineering.application.evaluation.binding import BoundQuestion, bind
from llm_engineering.application.evaluation.intervals import Estimate
from llm_engineering.application.evaluation.multihop import (
    MultiHopReport,
    compare_searches,
    half_of,
    multi_hop_ids,
    read_multi_hop,
)
from llm_engineering.application.evaluation.questions import QuestionFile, read_questions
from llm_engineering.application.rag.agentic import AgenticConfig, gather
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.settings import load_settings
from pipelines.configs import load_config
from tools.corpus_index import indexed_corpus, names_in, texts_in
from tools.output import Column, write_json, write_table, write_text


@click.command()
@click.option(
    "--questions",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="Questions with two notes each (.csv), or such as 'twin eval retrieval' reads.",
)
@click.option(
    "--half",
    type=click.Choice(["fit", "test", "all"]),
    default="test",
    show_default=True,
    help="Which half of the questions: rules were chosen on one of them.",
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
def multihop(
    file: Path,
    half: Literal["fit", "test", "all"],
    corpus: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Measure what several searches find beside one search, at equal budgets of characters.

    Where the config has agentic.mode off, `terms` is measured. In brackets: the 95 % interval of
    the gain, by paired bootstrap.
    """
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    asked, names = _read(file)
    kept = _half(asked, names, half=half)
    with _opened(corpus) as app:
        report = _report(app, kept, half=half, corpus=corpus, config=config)
    if as_json:
        write_json(report)
    else:
        _show(report)


def _read(path: Path) -> tuple[QuestionFile, tuple[str, ...]]:
    """The questions and what each is called: its id, or itself where it has none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"no file {path}; name a .csv, .json or .jsonl of questions") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path} ({error}); choose a file in UTF-8") from None
    if "evidence_1" in text.partition("\n")[0]:
        return read_multi_hop(text, name=path.name), multi_hop_ids(text)
    asked = read_questions(text, name=path.name)
    return asked, tuple(question.question for question in asked.questions)


def _half(asked: QuestionFile, names: tuple[str, ...], *, half: str) -> QuestionFile:
    places = [at for at, name in enumerate(names) if half in ("all", half_of(name))]
    return asked.model_copy(
        update={
            "questions": tuple(asked.questions[at] for at in places),
            "rows": tuple(asked.rows[at] for at in places),
        }
    )


@contextmanager
def _opened(corpus: Path | None) -> Iterator[App]:
    with open_app() if corpus is None else indexed_corpus(corpus, load_settings()) as app:
        yield app


def _report(
    app: App, asked: QuestionFile, *, half: str, corpus: Path | None, config: AnswerConfig
) -> MultiHopReport:
    names = names_in(app.documents)
    if not names:
        raise NotFound("there are no documents; run 'twin run end_to_end', or give --corpus")
    bound: list[BoundQuestion] = bind(
        asked, names=names, read=texts_in(app.documents, folder=corpus)
    )
    ports = replace(app.search_ports, cache=QueryCache(size=0))
    search = partial(gather, retrieval=config.retrieval, stages=config.stages, ports=ports)
    mode = config.agentic.mode if config.agentic.mode != "off" else "terms"
    several = config.agentic.model_copy(update={"mode": mode})
    search("warm up", config=AgenticConfig())  # loads the model, which is no part of an answer
    with app.progress.stage("ask", total=len(bound)) as advance:
        return compare_searches(
            bound,
            half=half,
            single=partial(search, config=AgenticConfig()),
            several=partial(search, config=several),
            advance=lambda: advance(1),
        )


def _show(report: MultiHopReport) -> None:
    columns = ["characters", "what", "one search", "several", "gain"]
    rows: list[list[str]] = []
    for each in report.budgets:
        budget = f"{each.budget:,}"
        rows.append(
            [budget, "all of it", *_row(each.whole_single, each.whole_several, each.whole_gain)]
        )
        rows.append(
            [budget, "recall", *_row(each.recall_single, each.recall_several, each.recall_gain)]
        )
    write_table([Column(name) for name in columns], rows)
    write_text(
        f"{report.answerable} questions ({report.half}): {report.searches:.2f} searches each, "
        f"{100 * report.stayed_at_one:.0f} % of {report.questions} stayed at one; "
        f"{report.single_p50_ms:.0f} ms for one, {report.several_p50_ms:.0f} ms with several"
    )


def _row(single: float, several: float, gain: Estimate) -> list[str]:
    low, mean, high = (100 * value for value in (gain.low, gain.mean, gain.high))
    return [f"{100 * single:.1f}", f"{100 * several:.1f}", f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"]
