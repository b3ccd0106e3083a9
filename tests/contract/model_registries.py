"""What the tests of model registries share: versions with real weights, and where they are kept."""

from pathlib import Path

from llm_engineering.domain.models import ProductionManifest
from llm_engineering.ports.jobs import ModelRegistry
from tests.unit.versions import adapter_folder, manifest, result


def add(
    registry: ModelRegistry,
    tmp_path: Path,
    *,
    seed: int = 0,
    documents: tuple[str, ...] = ("d1", "d2"),
    parent: str | None = None,
) -> str:
    """Add a version whose adapter and age follow from the seed; returns its name."""
    adapter = adapter_folder(tmp_path / f"trained-{seed}", seed=seed)
    given = manifest(adapter, result(), minutes=seed, document_ids=documents, parent=parent)
    registry.add(given, adapter=adapter)
    return given.version


def put(registry: ModelRegistry, version: str, *, reason: str) -> ProductionManifest:
    """Promote it in the place of what is there."""
    current = registry.production()
    instead_of = current.manifest.version if current else None
    return registry.promote(version, reason=reason, instead_of=instead_of)


def models(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"
