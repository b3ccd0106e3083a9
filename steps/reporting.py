"""What a step leaves in ZenML: its report as numbers, as data and as a page."""

import logging
from collections.abc import Container
from datetime import UTC, datetime

from zenml import get_step_context, log_metadata, save_artifact
from zenml.types import HTMLString

from llm_engineering.application.report_page import Report, report_numbers, report_page
from llm_engineering.domain.errors import TwinError

REPORTS = (
    ("crawl_report",),
    ("feature_report",),
    ("dataset_report",),
    ("training_report", "preference_report", "fine_tuning_report"),
)
"""Names of the artifacts that hold reports, in the order of the pipeline. Each step of training
adds to the report of the one before, so that of the last one that completed says it all."""

logger = logging.getLogger(__name__)


def page_of(report: Report, *, error: TwinError | None = None) -> HTMLString:
    """Log the report's numbers as metadata of the step and draw its page."""
    numbers = report_numbers(report)
    log_metadata(dict(numbers))
    logger.info(", ".join(f"{name} {value:,.6g}" for name, value in numbers.items()))
    context = get_step_context()
    page = report_page(
        [report],
        title=context.pipeline.name,
        run=context.pipeline_run.name,
        at=datetime.now(UTC),
        error=error,
    )
    return HTMLString(page)


def furthest(found: Container[str]) -> tuple[str, ...]:
    """Of the names that were found, those whose reports say all that was reported."""
    groups = ((name for name in group if name in found) for group in REPORTS)
    return tuple(name for group in groups if (name := next(group, "")))


def keep_failed(report: Report, *, name: str, error: TwinError) -> None:
    """Attach the report and its page to a step that is about to fail.

    ZenML stores what a step returns, and a failing step returns nothing.
    """
    save_artifact(report, name=f"{name}_report")
    save_artifact(page_of(report, error=error), name=f"{name}_page")
