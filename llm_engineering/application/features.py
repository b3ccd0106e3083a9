"""Features: clean, chunk, embed, index; only what changed since the last run."""

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.reports import FeatureReport
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.stores import DocumentStore, VectorIndex


class FeaturesConfig(BaseModel):
    """What becomes of the documents (configs/features.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rebuild: bool = False
    """Embed everything anew instead of only what changed."""


def build_features(
    config: FeaturesConfig,
    *,
    store: DocumentStore,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    progress: Progress,
) -> FeatureReport:
    """Bring the index in line with the document store and publish it."""
    raise NotImplementedError
