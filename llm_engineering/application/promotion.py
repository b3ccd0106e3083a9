"""Promote: put a version into production, if what was measured of it allows that.

It must be better on the test split than what it started from, and than what is in production.
Does not know: how it was trained, who serves it, what a reader thinks of it.
"""

from llm_engineering.application.comparison import compare, compared, is_good_enough
from llm_engineering.application.figures import before_and_after, growth, is_measured, measured
from llm_engineering.domain.errors import NotFound, NotPromotable
from llm_engineering.domain.models import (
    Comparison,
    ModelManifest,
    ModelStage,
    ProductionManifest,
)
from llm_engineering.domain.reports import TrainingReport
from llm_engineering.domain.training import LOSS_GROWTH, HeldOut
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.stores import DocumentStore


def promote(
    version: str, *, registry: ModelRegistry, uncompared: bool = False
) -> ProductionManifest:
    """Make `version` the one in production; the manifest says which figures allowed it.

    `uncompared` lets it take the place of one whose loss is of another base or other rows; one
    that was measured to be no better is refused all the same. Raises NotFound; NotPromotable, with
    all that is missing and its figures; or BackendUnavailable when its adapter is not the one that
    was measured.
    """
    manifest, current = registry.get(version).manifest, registry.production()
    if missing := shortcomings(manifest, registry=registry):
        raise _refused(version, *missing)
    registry.adapter(version)
    if current is None:
        return registry.promote(version, reason=measured(manifest), instead_of=None)
    if current.manifest.version == version:
        return current
    beside = compare(manifest, production=current.manifest, registry=registry)
    if missing := behind(beside):
        raise _refused(version, *missing)
    if beside.incomparable and not uncompared:
        raise _uncompared(version, beside)
    return registry.promote(
        version,
        reason=f"{measured(manifest)}; {compared(beside)}",
        comparison=beside,
        instead_of=current.manifest.version,
    )


def bring_back(
    version: str, *, registry: ModelRegistry, uncompared: bool = False
) -> ProductionManifest:
    """Make a version that was in production before the one in production again.

    It was found good enough once, so it need not be better than what it replaces now; the manifest
    says how the two compare. Raises NotPromotable for one that was never there or is tainted, and,
    unless `uncompared`, for a nano in the place of a model that writes; NotFound;
    BackendUnavailable when its adapter is damaged.
    """
    entry, current = registry.get(version), registry.production()
    manifest = entry.manifest
    if entry.stage is ModelStage.CANDIDATE:
        raise NotPromotable(f"{version} was never in production, so it cannot come back")
    if manifest.tainted:
        raise _refused(version, f"it is tainted: {manifest.tainted}")
    registry.adapter(version)
    reason = f"it was in production before; {measured(manifest)}"
    if current is None:
        return registry.promote(version, reason=reason, instead_of=None)
    if current.manifest.version == version:
        return current
    beside = compare(manifest, production=current.manifest, registry=registry)
    if manifest.nano and not current.manifest.nano and not uncompared:
        raise _uncompared(version, beside)
    return registry.promote(
        version,
        reason=f"{reason}; {compared(beside)}",
        comparison=beside,
        instead_of=current.manifest.version,
    )


def decided(report: TrainingReport, *, wanted: bool, registry: ModelRegistry) -> TrainingReport:
    """The report with what became of its versions: the newest that may be is promoted if that is
    `wanted`, so that preferences which went wrong cost no fine-tuning that went well; and why the
    newer ones were not. What is not comparable is never promoted here: that takes a person.
    """
    if not wanted:
        why = f"nobody asked; 'twin model promote {report.versions[-1].version}' does"
        return report.model_copy(update={"why": why})
    refusals: list[str] = []
    for version in (trained.version for trained in reversed(report.versions)):
        try:
            reason = promote(version, registry=registry).reason
        except NotPromotable as error:
            refusals.append(str(error))
        else:
            why = ". ".join((reason, *refusals))
            return report.model_copy(update={"promoted": version, "why": why})
    return report.model_copy(update={"why": ". ".join(refusals)})


def taint_withdrawn(*, registry: ModelRegistry, documents: DocumentStore) -> tuple[str, ...]:
    """Mark the versions that were trained on a document which is no longer there; returns them."""
    trained_on = {key for entry in registry.entries() for key in entry.manifest.document_ids}
    gone = trained_on - {head.id for head in documents.heads()} if trained_on else set()
    if not gone:
        return ()
    count = f"{len(gone):,} of its documents were" if len(gone) > 1 else "one of its documents was"
    return registry.taint(sorted(gone), reason=f"{count} withdrawn")


def shortcomings(manifest: ModelManifest, *, registry: ModelRegistry) -> tuple[str, ...]:
    """Why a version may never go into production, each with its figures; () when it may."""
    found = [f"it is tainted: {manifest.tainted}"] if manifest.tainted else []
    if not is_measured(manifest):
        return (*found, "its loss on the test split was not measured before and after training")
    before, after = before_and_after(manifest)
    match manifest.result.recipe:
        case "dpo" | "kto":
            found += _of_preferences(before, after)
            found += _of_parent(manifest, registry=registry)
        case _ if not after.loss < before.loss:  # nor when it is no number
            found.append(
                f"its test loss {after.loss:.4f} is not below the base's {before.loss:.4f}"
            )
    return tuple(found)


def behind(beside: Comparison) -> tuple[str, ...]:
    """Why a version may not replace the one that it was compared with; () when it may, or nobody
    can tell."""
    if (on := beside.on) is None or is_good_enough(on):
        return ()
    theirs = (
        f"the {on.production_loss:.4f} of {beside.production}, which is in production, on the "
        f"same {on.rows} rows"
    )
    if not on.allowed_growth:
        return (f"its test loss {on.loss:.4f} is not below {theirs}",)
    more = on.loss / on.production_loss - 1
    return (
        f"its test loss {on.loss:.4f} is {more:+.1%} of {theirs}; at most "
        f"{on.allowed_growth:+.0%} is allowed",
    )


def _refused(version: str, *missing: str) -> NotPromotable:
    return NotPromotable(
        f"{version} may not go into production: {'; '.join(missing)}. "
        "Train another one ('twin run training'), or choose one of 'twin model list'"
    )


def _uncompared(version: str, beside: Comparison) -> NotPromotable:
    return NotPromotable(
        f"{version} cannot be compared with {beside.production}, which is in production: "
        f"{beside.incomparable}. 'twin model promote {version} --uncompared' replaces it all the "
        "same, on your word instead of a measurement"
    )


def _of_preferences(before: HeldOut, after: HeldOut) -> list[str]:
    found = []
    if after.reward_margin is None or not after.reward_margin > 0:
        margin = "missing" if after.reward_margin is None else f"{after.reward_margin:+.4f}"
        found.append(f"its reward margin on the test split is {margin}, not above 0")
    if not after.loss <= before.loss * (1 + LOSS_GROWTH):
        found.append(
            f"its test loss {after.loss:.4f} is {growth(before, after):+.1%} of its parent's "
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
    gained, lost = growth(*before_and_after(parent)), growth(*before_and_after(manifest))
    if (1 + gained) * (1 + lost) < 1:
        return []
    return [f"its parent's test loss changed by {gained:+.1%}, its own by {lost:+.1%}: no gain"]
