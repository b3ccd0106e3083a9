"""A version beside the one in production: can their test losses be compared, and which is lower.

A loss means the same on the same rows and in the same tokens only, so on one sample set and one
base. Preferences are measured on pairs, which are other rows than those of fine-tuning: a version
that learnt them counts with the loss of the fine-tuning that it starts from, changed by the share
by which its own training changed the loss of its own rows.

Does not know: what follows from it.
"""

from dataclasses import dataclass

from llm_engineering.application.figures import before_and_after, growth, is_measured
from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.domain.models import Comparison, ModelManifest, SameRows
from llm_engineering.domain.training import LOSS_GROWTH
from llm_engineering.ports.jobs import ModelRegistry


def compare(
    manifest: ModelManifest, *, production: ModelManifest, registry: ModelRegistry
) -> Comparison:
    """Their losses on the same rows, or why there are none."""
    named = production.version
    ours, theirs = (_scored(each, registry) for each in (manifest, production))
    if manifest.nano and not production.nano:
        why = f"it is a nano, which writes no prose, and {named} is none"
    elif manifest.base != production.base:
        why = f"its base is {manifest.base}, that of {named} is {production.base}"
    elif ours is None or theirs is None:
        unknown = "its own test loss" if ours is None else f"the test loss of {named}"
        why = (
            f"{unknown} is not known: it, or what it starts from, was not measured, is gone or "
            "damaged"
        )
    elif ours.dataset != theirs.dataset:
        why = (
            f"it was measured on sample set {ours.dataset}, {named} on {theirs.dataset}, "
            "which are other rows"
        )
    elif ours.rows != theirs.rows:
        why = f"it was measured on {ours.rows} rows, {named} on {theirs.rows} of the same set"
    else:
        rows = SameRows(
            dataset=ours.dataset,
            rows=ours.rows,
            loss=ours.loss,
            production_loss=theirs.loss,
            allowed_growth=_allowed_growth(manifest, production),
        )
        return Comparison(production=named, on=rows)
    return Comparison(production=named, incomparable=why)


def is_good_enough(on: SameRows) -> bool:
    """Whether it may take the place of the one that it was compared with."""
    if on.allowed_growth:
        return on.loss <= on.production_loss * (1 + on.allowed_growth)
    return on.loss < on.production_loss


def compared(comparison: Comparison) -> str:
    """In one line."""
    if (on := comparison.on) is None:
        return f"not compared with {comparison.production}: {comparison.incomparable}"
    return (
        f"beside {comparison.production} test loss {on.loss:.4f} against "
        f"{on.production_loss:.4f} on the {on.rows} rows of sample set {on.dataset}"
    )


def _allowed_growth(manifest: ModelManifest, production: ModelManifest) -> float:
    """Preferences may cost a little of the prose, once: were it allowed again beside a production
    that learnt them itself, the loss would drift up with every training."""
    learnt = [each.result.recipe in ("dpo", "kto") for each in (manifest, production)]
    return LOSS_GROWTH if learnt == [True, False] else 0.0


@dataclass(frozen=True, slots=True)
class _Score:
    dataset: str
    rows: int
    loss: float


def _scored(manifest: ModelManifest, registry: ModelRegistry) -> _Score | None:
    """On the rows of its fine-tuning; None when it, or what it starts from, has no figures."""
    if not is_measured(manifest):
        return None
    before, after = before_and_after(manifest)
    if manifest.parent is None:
        return _Score(manifest.dataset, after.rows, after.loss)
    try:
        start = _scored(registry.get(manifest.parent).manifest, registry)
    except (NotFound, BackendUnavailable):  # it says itself, when it is asked for, what it lacks
        return None
    if start is None:
        return None
    return _Score(start.dataset, start.rows, start.loss * (1 + growth(before, after)))
