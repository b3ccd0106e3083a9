"""Crawl, then features: from a person's writing to an index that answers."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.configs import EndToEndConfig
from steps.etl import crawl_sources
from steps.features import index_documents


@pipeline(name="end_to_end", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def end_to_end(config: EndToEndConfig) -> None:
    crawl_sources(config.etl)
    index_documents(config.features, after="crawl_sources")
