"""`twin eval grounding`: how far the labels of an answer's sentences can be trusted."""

from pathlib import Path

import click

from llm_engineering.application.evaluation.grounding import (
    HANDS,
    GroundingReport,
    Split,
    evaluate_grounding,
    read_labelled,
)
from llm_engineering.application.evaluation.intervals import Estimate
from llm_engineering.application.rag.grounding import Grounder
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.chat import Verdict
from llm_engineering.domain.errors import InvalidInput, NotFound
from pipelines.configs import load_config
from tools.output import Column, is_terminal, write_json, write_table, write_text


@click.command()
@click.option(
    "--sentences",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    help="Sentences with their evidence and a label made by hand: .csv.",
)
@click.option(
    "--split",
    type=click.Choice(["fit", "test"]),
    default="test",
    show_default=True,
    help="Which half: rules and thresholds were fitted on one of them.",
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How questions are answered, e.g. configs/rag.yaml. [default: built-in values]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def grounding(file: Path, split: Split, config_path: Path | None, as_json: bool) -> None:
    """Measure how far `said` and `supported` can be trusted, and how much they miss.

    Rows are what the hand says, columns what the check says. In brackets: the 95 % interval.
    """
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    rows = read_labelled(_text_of(file), name=file.name)
    with open_app() as app:
        grounder = Grounder(config.grounding, app.sparse, app.embedder, app.entailment)
        count = sum(row.split == split for row in rows)
        with app.progress.stage("check", total=count) as advance:
            report = evaluate_grounding(
                rows, split=split, grounder=grounder, advance=lambda: advance(1)
            )
    if as_json:
        write_json(report)
    else:
        _show(report)


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"no file {path}; name a .csv of labelled sentences") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; choose another file") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _show(report: GroundingReport) -> None:
    columns = [f"{report.split} ({report.sentences})", *(verdict.value for verdict in Verdict)]
    rows = [[hand, *(str(report.confusion[hand][v]) for v in Verdict)] for hand in HANDS]
    if not is_terminal():  # which column is which is part of the result
        rows.insert(0, columns)
    write_table([Column(name) for name in columns], rows)
    click.echo()
    for name, estimate in (
        ("precision of said", report.said_precision),
        ("precision of supported", report.supported_precision),
        ("precision of both", report.backed_precision),
        ("recall of both", report.backed_recall),
    ):
        write_text(f"{name}: {_percent(estimate)}")
    if report.mistaken:
        write_text(f"mistaken: {', '.join(report.mistaken)}")


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "nothing was called so"
    mean, low, high = (100 * value for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean:.1f} % [{low:.1f}, {high:.1f}]"
