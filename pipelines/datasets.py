"""Cleaned documents in, a versioned sample set out."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from llm_engineering.application.datasets.config import DatasetsConfig
from steps.datasets import make_samples


@pipeline(name="datasets", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def datasets(config: DatasetsConfig) -> None:
    make_samples(config)
