"""`twin run`: one of the pipelines, through ZenML."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import click

from llm_engineering.application.report_page import Report, report_numbers
from llm_engineering.domain.reports import (
    CrawlReport,
    DatasetReport,
    Failure,
    FeatureReport,
    TrainingReport,
)
from llm_engineering.settings import load_settings
from pipelines.configs import CONFIGS, PIPELINES, PipelineConfig, dump_config, load_config
from pipelines.launch import Run, anew, launch
from tools.output import Column, note, write_json, write_table, write_verbatim
from tools.trained import write_training

SHOWN_FAILURES = 10
SHOWN = (
    *("seen", "documents", "new", "changed", "unchanged", "removed", "failed", "empty"),
    *("chunks", "embedded", "duplicates", "chunks_removed"),
    *("instruct", "preference", "rated", "leaks", "dropped", "seconds"),
)
"""The rest is in the JSON and on the page."""


@click.command()
@click.argument("pipeline", type=click.Choice(list(PIPELINES)))
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="[default: configs/PIPELINE.yaml]",
)
@click.option(
    "-s",
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the config, e.g. http.timeout_s=5; may be given again.",
)
@click.option(
    "--no-cache", is_flag=True, help="Refetch, rebuild and train all anew, whatever is known."
)
@click.option("--dry-run", is_flag=True, help="Check the config, print it as YAML, run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def run(
    pipeline: str,
    path: Path | None,
    overrides: Sequence[str],
    no_cache: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run PIPELINE: etl, features, end_to_end (both), datasets or training."""
    settings = load_settings()
    config = _load(pipeline, path or CONFIGS / f"{pipeline}.yaml", overrides)
    config = anew(config, request=datetime.now(UTC).isoformat()) if no_cache else config
    if dry_run:
        note(f"would run {pipeline}, everything kept in {settings.home.resolve()}")
        if as_json:
            write_json(config)
        else:
            write_verbatim(dump_config(config))
        return
    outcome = launch(config, home=settings.home)
    if as_json:
        write_json(_outcome(outcome))
    else:
        _print(outcome)
    if outcome.error is not None:
        raise outcome.error


def _load(pipeline: str, path: Path, overrides: Sequence[str]) -> PipelineConfig:
    return load_config(path, PIPELINES[pipeline], overrides=overrides)


def _print(outcome: Run) -> None:
    rows = [
        (_stage(report), name, f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
        for report in outcome.reports
        for name, value in report_numbers(report).items()
        if name in SHOWN
    ]
    write_table((Column("stage"), Column("what"), Column("number")), rows)
    for report in outcome.reports:
        if isinstance(report, TrainingReport):
            write_training(report)
    for failure in [each for report in outcome.reports for each in _failed(report)][
        :SHOWN_FAILURES
    ]:
        note(f"failed: {failure.subject}: {failure.reason}")
    note(f"run {outcome.name}; report {outcome.page}")


def _outcome(outcome: Run) -> dict[str, object]:
    """Lengths of single documents and chunks are left to the page."""
    return {
        "run": outcome.name,
        "status": "failed" if outcome.error else "completed",
        "error": str(outcome.error) if outcome.error else None,
        "error_kind": type(outcome.error).__name__ if outcome.error else None,
        "page": str(outcome.page),
        "reports": {
            _stage(report): report.model_dump(mode="json", exclude={"characters", "tokens"})
            for report in outcome.reports
        },
    }


def _stage(report: Report) -> str:
    match report:
        case CrawlReport():
            return "crawl"
        case FeatureReport():
            return "features"
        case DatasetReport():
            return "datasets"
        case TrainingReport():
            return "training"
        case unreachable:
            assert_never(unreachable)


def _failed(report: Report) -> Sequence[Failure]:
    return report.failed if isinstance(report, CrawlReport) else ()
