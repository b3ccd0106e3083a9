"""Clean, chunk, embed and index what is in the document store."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from llm_engineering.application.features import FeaturesConfig
from steps.features import index_documents


@pipeline(name="features", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def features(config: FeaturesConfig) -> None:
    index_documents(config)
