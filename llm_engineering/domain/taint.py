"""Which versions must be distrusted when a document is withdrawn, and why.

Does not know: where versions are kept, what happens to those that are marked.
"""

from collections.abc import Mapping

from llm_engineering.domain.models import ModelManifest


def newly_tainted(
    manifests: Mapping[str, ModelManifest], document_ids: frozenset[str], *, reason: str
) -> dict[str, ModelManifest]:
    """The versions that were not tainted and are now, with their new manifests: those that were
    trained on one of the documents, and all that start from a tainted one."""
    fresh: dict[str, ModelManifest] = {}
    bad = {version: each for version, each in manifests.items() if each.tainted}
    for version, manifest in manifests.items():
        if version not in bad and document_ids.intersection(manifest.document_ids):
            fresh[version] = manifest.model_copy(update={"tainted": reason})
    while heirs := {
        version: inheriting(manifest, parent=(bad | fresh)[manifest.parent])
        for version, manifest in manifests.items()
        if manifest.parent in bad.keys() | fresh.keys() and version not in bad.keys() | fresh.keys()
    }:
        fresh |= heirs
    return fresh


def inheriting(manifest: ModelManifest, *, parent: ModelManifest) -> ModelManifest:
    """What starts from a tainted version is tainted."""
    if manifest.tainted or not parent.tainted:
        return manifest
    through = f"{parent.tainted} (it starts from {parent.version})"
    return manifest.model_copy(update={"tainted": through})
