"""Steps of the etl pipeline."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from llm_engineering.application.crawl import CrawlConfig, check_failures, crawl
from llm_engineering.application.promotion import taint_withdrawn
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import TooManyFailures
from llm_engineering.domain.reports import CrawlReport
from steps.reporting import keep_failed, page_of

logger = logging.getLogger(__name__)


@step(enable_cache=False)  # the sources and the store change between runs
def crawl_sources(
    config: CrawlConfig,
) -> tuple[Annotated[CrawlReport, "crawl_report"], Annotated[HTMLString, "crawl_page"]]:
    """Read all sources into the document store."""
    with open_app() as app:
        report = asyncio.run(
            crawl(
                config,
                sources=app.sources(config),
                store=app.documents,
                progress=app.progress,
                now=lambda: datetime.now(UTC),
            )
        )
        if report.removed:
            for version in taint_withdrawn(registry=app.models, documents=app.documents):
                logger.info(
                    "%s was trained on withdrawn writing: it is not promoted any more", version
                )
    try:
        check_failures(report, config)
    except TooManyFailures as error:
        keep_failed(report, name="crawl", error=error)
        raise
    return report, page_of(report)
