"""What was measured of a version on the test split, the latest writing: before training and after.

Does not know: what the figures have to be.
"""

from llm_engineering.domain.models import ModelManifest
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import HeldOut


def is_measured(manifest: ModelManifest) -> bool:
    sides = manifest.result.before, manifest.result.after
    return all(Split.TEST in side and side[Split.TEST].rows for side in sides)


def before_and_after(manifest: ModelManifest) -> tuple[HeldOut, HeldOut]:
    """Of a version that is measured."""
    return manifest.result.before[Split.TEST], manifest.result.after[Split.TEST]


def growth(before: HeldOut, after: HeldOut) -> float:
    """Share by which the loss grew."""
    return after.loss / before.loss - 1 if before.loss else float("inf")


def measured(manifest: ModelManifest) -> str:
    """The figures in one line."""
    if not is_measured(manifest):
        return "not measured"
    before, after = before_and_after(manifest)
    line = (
        f"test loss {before.loss:.4f} -> {after.loss:.4f} ({growth(before, after):+.1%}) "
        f"on {after.rows} rows"
    )
    if after.reward_margin is not None:
        line += f", reward margin {after.reward_margin:+.4f}"
    return line + (" (nano: proves the pipeline, not the prose)" if manifest.nano else "")
