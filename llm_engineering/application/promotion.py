"""Promote: put a version into production, if what was measured of it allows that.

It must be better on the test split than what it started from. Does not know: how it was trained,
who serves it, what a reader thinks of it.
"""

from llm_engineering.domain.errors import NotFound, NotPromotable
from llm_engineering.domain.models import ModelManifest, ProductionManifest
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import LOSS_GROWTH, HeldOut
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.stores import DocumentStore


def promote(version: str, *, registry: ModelRegistry) -> ProductionManifest:
    """Make `version` the one in production; the manifest says which figures allowed it.

    Raises NotFound; NotPromotable, with all that is missing and its figures; or BackendUnavailable
    when its adapter is not the one that was measured.
    """
    manifest = registry.get(version).manifest
    if missing := shortcomings(manifest, registry=registry):
        raise NotPromotable(
            f"{version} may not go into production: {'; '.join(missing)}. "
            "Train another one ('twin run training'), or choose one of 'twin model list'"
        )
    registry.adapter(version)
    return registry.promote(version, reason=measured(manifest))


def taint_withdrawn(*, registry: ModelRegistry, documents: DocumentStore) -> tuple[str, ...]:
    """Mark the versions that were trained on a document which is no longer there; returns them."""
    trained_on = {key for entry in registry.entries() for key in entry.manifest.document_ids}
    gone = trained_on - {head.id for head in documents.heads()} if trained_on else set()
    if not gone:
        return ()
    count = f"{len(gone):,} of its documents were" if len(gone) > 1 else "one of its documents was"
    return registry.taint(sorted(gone), reason=f"{count} withdrawn")


def shortcomings(manifest: ModelManifest, *, registry: ModelRegistry) -> tuple[str, ...]:
    """Why a version may not go into production, each with its figures; () when it may."""
    found = [f"it is tainted: {manifest.tainted}"] if manifest.tainted else []
    if not _is_measured(manifest):
        return (*found, "its loss on the test split was not measured before and after training")
    before, after = _measured(manifest)
    match manifest.result.recipe:
        case "dpo" | "kto":
            found += _of_preferences(before, after)
            found += _of_parent(manifest, registry=registry)
        case _ if not after.loss < before.loss:  # nor when it is no number
            found.append(
                f"its test loss {after.loss:.4f} is not below the base's {before.loss:.4f}"
            )
    return tuple(found)


def measured(manifest: ModelManifest) -> str:
    """The figures of the test split in one line."""
    if not _is_measured(manifest):
        return "not measured"
    before, after = _measured(manifest)
    line = (
        f"test loss {before.loss:.4f} -> {after.loss:.4f} ({_growth(before, after):+.1%}) "
        f"on {after.rows} rows"
    )
    if after.reward_margin is not None:
        line += f", reward margin {after.reward_margin:+.4f}"
    return line + (" (nano: proves the pipeline, not the prose)" if manifest.nano else "")


def _of_preferences(before: HeldOut, after: HeldOut) -> list[str]:
    found = []
    if after.reward_margin is None or not after.reward_margin > 0:
        margin = "missing" if after.reward_margin is None else f"{after.reward_margin:+.4f}"
        found.append(f"its reward margin on the test split is {margin}, not above 0")
    if not after.loss <= before.loss * (1 + LOSS_GROWTH):
        found.append(
            f"its test loss {after.loss:.4f} is {_growth(before, after):+.1%} of its parent's "
            f"{before.loss:.4f}, at most {LOSS_GROWTH:+.0%} is allowed"
        )
    return found


def _of_parent(manifest: ModelManifest, *, registry: ModelRegistry) -> list[str]:
    """It was measured against its parent, so the parent has to be better than the base, and by
    more than preferences took away."""
    try:
        parent = registry.get(manifest.parent or "").manifest
    except NotFound:
        return [f"its parent {manifest.parent or '(none)'} is not registered"]
    if missing := shortcomings(parent, registry=registry):
        return [f"of its parent {parent.version}: {each}" for each in missing]
    gained, lost = _growth(*_measured(parent)), _growth(*_measured(manifest))
    if (1 + gained) * (1 + lost) < 1:
        return []
    return [f"its parent's test loss changed by {gained:+.1%}, its own by {lost:+.1%}: no gain"]


def _is_measured(manifest: ModelManifest) -> bool:
    sides = manifest.result.before, manifest.result.after
    return all(Split.TEST in side and side[Split.TEST].rows for side in sides)


def _measured(manifest: ModelManifest) -> tuple[HeldOut, HeldOut]:
    """The test split before and after training."""
    return manifest.result.before[Split.TEST], manifest.result.after[Split.TEST]


def _growth(before: HeldOut, after: HeldOut) -> float:
    return after.loss / before.loss - 1 if before.loss else float("inf")
