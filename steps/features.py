"""Steps of the features pipeline."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.reports import FeatureReport
from steps.reporting import page_of


@step(enable_cache=False)  # the store and the index change between runs
def index_documents(
    config: FeaturesConfig,
) -> tuple[Annotated[FeatureReport, "feature_report"], Annotated[HTMLString, "feature_page"]]:
    """Bring the index in line with the document store."""
    with open_app() as app:
        report = build_features(
            config,
            store=app.documents,
            index=app.index,
            embedder=app.embedder,
            sparse=app.sparse,
            progress=app.progress,
        )
    return report, page_of(report)
