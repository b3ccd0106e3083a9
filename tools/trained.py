"""What a training run measured, as a person reads it."""

from collections.abc import Iterator

from llm_engineering.application.report_training import NANO_NOTE, decision
from llm_engineering.domain.reports import TrainedVersion, TrainingReport
from llm_engineering.domain.samples import Split
from tools.output import Column, write_table, write_text

_COLUMNS = (
    Column("version"),
    Column("unseen writing"),
    Column("loss before"),
    Column("after"),
    Column("change"),
    Column("reward margin"),
)


def write_training(report: TrainingReport) -> None:
    """A row per version and held-out split, what a nano base is, and what became of the result."""
    write_table(_COLUMNS, [row for version in report.versions for row in _rows(version)])
    if any(version.result.nano for version in report.versions):
        write_text(NANO_NOTE)
    write_text(decision(report))


def _rows(version: TrainedVersion) -> Iterator[tuple[str, ...]]:
    for split in (Split.VALIDATION, Split.TEST):
        before, after = version.result.before.get(split), version.result.after.get(split)
        if before is None or after is None:
            continue
        margin = after.reward_margin
        yield (
            version.version,
            f"{split.value}, {after.rows:,} rows",
            f"{before.loss:.3f}",
            f"{after.loss:.3f}",
            f"{after.loss / before.loss - 1:+.1%}",
            "" if margin is None else f"{margin:+.3f}",
        )
