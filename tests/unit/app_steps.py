"""What the commands do with an `App`, for tests that have one already."""

from datetime import UTC, datetime

from llm_engineering.application.erasure import ErasureReport, erase_documents
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.bootstrap import App

LATER = datetime(2026, 1, 2, tzinfo=UTC)


def build(app: App) -> None:
    """Index the documents that it holds."""
    build_features(
        FeaturesConfig(),
        store=app.documents,
        index=app.index,
        embedder=app.embedder,
        sparse=app.sparse,
        progress=app.progress,
    )


def erase(app: App, *document_ids: str) -> ErasureReport:
    return erase_documents(
        document_ids,
        documents=app.documents,
        index=app.index,
        feedback=app.feedback,
        conversations=app.conversations,
        models=app.models,
        now=LATER,
    )
