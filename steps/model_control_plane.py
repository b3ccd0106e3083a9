"""ZenML's Model Control Plane shows what the model registry holds.

The registry on disk is the truth, and what is served; ZenML gets a copy to look at. So a copy
that could not be made is made by the next call.

Does not know: what is promoted, and why.
"""

import logging
from collections.abc import Sequence
from typing import assert_never

from zenml import Model
from zenml.client import Client
from zenml.enums import ModelStages
from zenml.metadata.metadata_types import MetadataType
from zenml.models import ModelVersionResponse

from llm_engineering.application.figures import measured
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.models import ModelEntry, ModelManifest, ModelStage
from llm_engineering.domain.training import HeldOut
from llm_engineering.ports.jobs import ModelRegistry

MODEL = "llm-twin"
"""Name of the model in ZenML; each version of the twin is a version of it."""
IDS_AT_ONCE = 1_000
"""Document ids of one entry of metadata: ZenML drops one of more than 65,535 characters."""

_VERSIONS_AT_ONCE = 500

logger = logging.getLogger(__name__)


def mirror_registry(registry: ModelRegistry) -> None:
    """Show what the registry holds. One that cannot be read whole is told and shown next time: what
    was done to it is done."""
    try:
        mirror(registry.entries())
    except BackendUnavailable as error:
        logger.warning("ZenML does not show the latest versions yet: %s", error)


def mirror(entries: Sequence[ModelEntry]) -> None:
    """Make ZenML's versions those of the registry: what they were made from and measured, and
    their stage. ZenML is open already; a version that the registry lost stays in it.
    """
    held = _held() if entries else {}
    for entry in reversed(entries):  # ZenML numbers them as they come: oldest first
        manifest = entry.manifest
        known = held.get(manifest.version)
        model = Model(name=MODEL, version=manifest.version, description=measured(manifest))
        if known is None or known.run_metadata.get("tainted") != manifest.tainted:
            model.log_metadata(_metadata(manifest))
        shown = (known.stage if known else None) or ModelStages.NONE.value
        if shown != (wanted := _stage(entry.stage)).value:
            model.set_stage(wanted, force=True)


def _held() -> dict[str, ModelVersionResponse]:
    """By name; none when the model is not there yet."""
    client = Client()
    if not client.list_models(name=MODEL).items:
        return {}
    found: dict[str, ModelVersionResponse] = {}
    number, pages = 1, 1
    while number <= pages:
        page = client.list_model_versions(
            model=MODEL, page=number, size=_VERSIONS_AT_ONCE, hydrate=True
        )
        found |= {version.name: version for version in page.items if version.name}
        number, pages = number + 1, page.total_pages
    return found


def _metadata(manifest: ModelManifest) -> dict[str, MetadataType]:
    result, ids = manifest.result, manifest.document_ids
    documents = {
        f"document_ids_{start // IDS_AT_ONCE + 1}": list(ids[start : start + IDS_AT_ONCE])
        for start in range(0, len(ids), IDS_AT_ONCE)
    }
    held_out = {
        f"{split}_{moment}": _figures(scores)
        for moment, splits in (("before", result.before), ("after", result.after))
        for split, scores in splits.items()
    }
    return {
        "recipe": result.recipe,
        "author": manifest.author,
        "base": manifest.base,
        "nano": manifest.nano,
        "adapter_sha256": manifest.adapter_sha256,
        "parent": manifest.parent or "",
        "dataset": manifest.dataset,
        "documents": len(ids),
        "config": manifest.config,
        "git_commit": manifest.git_commit,
        "tainted": manifest.tainted,
        **held_out,
        **documents,
    }


def _figures(scores: HeldOut) -> dict[str, float]:
    return {name: float(value) for name, value in scores.model_dump(exclude_none=True).items()}


def _stage(stage: ModelStage) -> ModelStages:
    match stage:
        case ModelStage.CANDIDATE:
            return ModelStages.NONE
        case ModelStage.PRODUCTION:
            return ModelStages.PRODUCTION
        case ModelStage.ARCHIVED:
            return ModelStages.ARCHIVED
        case unreachable:
            assert_never(unreachable)
