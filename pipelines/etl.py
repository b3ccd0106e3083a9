"""Crawl the sources into the document store."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from llm_engineering.application.crawl import CrawlConfig
from steps.etl import crawl_sources


# FAIL_FAST raises the step's own exception; the other modes hide it behind a RuntimeError.
@pipeline(name="etl", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def etl(config: CrawlConfig) -> None:
    crawl_sources(config)
