"""Steps of the datasets pipeline."""

from datetime import UTC, datetime
from typing import Annotated

from zenml import step
from zenml.types import HTMLString, MarkdownString

from llm_engineering.application.datasets.build import build_samples
from llm_engineering.application.datasets.card import dataset_card
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.datasets.report import dataset_report
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.reports import DatasetReport
from steps.reporting import page_of


@step(enable_cache=False)  # the store and the feedback change between runs
def make_samples(
    config: DatasetsConfig,
) -> tuple[
    Annotated[DatasetReport, "dataset_report"],
    Annotated[HTMLString, "dataset_page"],
    Annotated[MarkdownString, "dataset_card"],
]:
    """Turn the document store into a sample set and keep it."""
    started = datetime.now(UTC)
    with open_app() as app:
        samples = build_samples(
            config,
            store=app.documents,
            teacher=app.teacher if config.teacher.calls else None,
            feedback=app.feedback.find(),
            now=started,
            progress=app.progress,
        )
        app.samples.put(samples)
    seconds = (datetime.now(UTC) - started).total_seconds()
    report = dataset_report(samples, seconds=seconds)
    card = dataset_card(report, samples.manifest, suffix="jsonl")
    return report, page_of(report), MarkdownString(card)
