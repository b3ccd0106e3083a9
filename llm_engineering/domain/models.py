"""Versions of the twin: what each was made from and what was measured of it.

Does not know: where versions are kept, who serves them.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.training import JobResult


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelStage(StrEnum):
    CANDIDATE = "candidate"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    """Was in production."""


class ModelManifest(Frozen):
    """One version: an adapter, and all that it takes to make it or distrust it."""

    version: str
    """`<recipe>-<first 12 digits of the adapter's hash>`."""
    created_at: datetime
    author: str
    base: str
    """Hub id, or folder; of a nano, relative to the twin's home."""
    nano: bool
    adapter_sha256: str
    parent: str | None = None
    """Version that its training started from."""
    dataset: str
    """Version of the sample set."""
    document_ids: tuple[str, ...]
    """Trained on; erasing one of them taints this version."""
    config: dict[str, object]
    """The TrainingConfig, dumped."""
    result: JobResult
    git_commit: str = ""
    """Of the code; '' outside a checkout."""
    tainted: str = ""
    """Why it must not be promoted any more."""


class ModelEntry(Frozen):
    """A version and where it stands."""

    manifest: ModelManifest
    stage: ModelStage


class SameRows(Frozen):
    """Test losses of two versions on the same rows."""

    dataset: str
    """Sample set of the rows."""
    rows: int
    loss: float
    """Of the version, in nats per token. One that learnt preferences was measured on pairs: it
    counts with the loss of its fine-tuning, changed by the share by which the pairs' loss changed.
    """
    production_loss: float
    """Of the version that was in production."""
    allowed_growth: float = 0.0
    """Share by which the loss may be above production's; 0: it has to be below."""


class Comparison(Frozen):
    """A version beside the one that was in production when it was put there."""

    production: str
    """Version that was in production."""
    on: SameRows | None = None
    """None when their losses cannot be compared."""
    incomparable: str = ""
    """Why they cannot: another base, other rows."""


class ProductionManifest(Frozen):
    """What the serving side reads, without any training library: `models/production.json`."""

    manifest: ModelManifest
    adapter: str
    """Folder of the adapter, relative to the models' folder."""
    promoted_at: datetime
    reason: str
    """What was measured that allowed it."""
    previous: str | None = None
    """Version that it replaced."""
    comparison: Comparison | None = None
    """With the version that it replaced; None for the first one."""
