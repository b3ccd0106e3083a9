"""A twin's home with a tiny base and versions of it, to be answered from in this process."""

import hashlib
from pathlib import Path

from llm_engineering.domain.models import ProductionManifest
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.integration.small_models import small_adapter, small_base
from tests.unit.versions import manifest, result


class TwinHome:
    """`folder` with a nano that was kept there; versions are added and promoted one by one."""

    def __init__(self, folder: Path, *, width: int = 32) -> None:
        self.folder = folder
        self.models = FolderModelRegistry(folder / "models")
        kept = self.models.keep_base(small_base(folder / "made" / f"base-{width}", width=width))
        self.base = str(kept.relative_to(folder))

    def add(self, seed: int, *, embeddings: bool = False) -> str:
        """A version with random weights that follow from the seed; returns its name."""
        made = small_adapter(
            self.folder / "made" / f"adapter-{seed}",
            self.folder / self.base,
            strength=0.5,
            seed=seed,
            embeddings=embeddings,
        )
        digest = hashlib.sha256((made / "adapter_model.safetensors").read_bytes()).hexdigest()
        given = manifest(made, result(sha256=digest), minutes=seed, base=self.base, nano=True)
        self.models.add(given, adapter=made)
        return given.version

    def promote(self, version: str) -> ProductionManifest:
        current = self.models.production()
        there = current.manifest.version if current else None
        return self.models.promote(version, reason="for a test", instead_of=there)
