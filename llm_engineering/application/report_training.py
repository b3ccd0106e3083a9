"""A training run on its page: what each version measured on documents that it never saw."""

from collections.abc import Iterator
from html import escape

from llm_engineering.application.report_charts import bars
from llm_engineering.application.report_parts import cards
from llm_engineering.domain.reports import TrainedVersion, TrainingReport
from llm_engineering.domain.training import HeldOut

NANO_NOTE = (
    "The base is a nano: a tiny model trained from nothing on this corpus. It proves the pipeline, "
    "not the prose."
)


def decision(report: TrainingReport) -> str:
    """Which version is in production now, or why none is, in one line."""
    if report.promoted:
        return f"{report.promoted} is in production: {report.why}"
    return f"nothing was promoted: {report.why or 'the run ended before that was decided'}"


def training_numbers(report: TrainingReport) -> dict[str, int | float]:
    """The figures of every version as flat numbers, to be compared between runs."""
    numbers: dict[str, int | float] = {
        f"{version.result.recipe}_{split}_{name}_{moment}": value
        for version in report.versions
        for moment, splits in _moments(version)
        for split, held_out in splits
        for name, value in _figures(held_out)
    }
    for version in report.versions:
        if (speed := version.result.throughput) is not None:
            recipe = version.result.recipe
            numbers[f"{recipe}_steps"] = speed.steps
            numbers[f"{recipe}_tokens_per_s"] = speed.tokens_per_s
    stages = {f"seconds_{stage}": took for stage, took in report.seconds.items()}
    return numbers | {"seconds": sum(report.seconds.values())} | stages


def training_section(report: TrainingReport) -> str:
    rows = "".join(_rows(version) for version in report.versions)
    notes = {version.result.device.reason for version in report.versions}
    nano = NANO_NOTE if any(version.result.nano for version in report.versions) else ""
    drawn = cards(
        (
            "Seconds by stage",
            bars(report.seconds, unit=" s", digits=1),
            bool(report.seconds),
            f"{sum(report.seconds.values()):,.1f} s in all",
        ),
        (
            "Tokens a second in training",
            bars(
                {
                    version.result.recipe: version.result.throughput.tokens_per_s
                    for version in report.versions
                    if version.result.throughput is not None
                }
            ),
            any(version.result.throughput for version in report.versions),
            escape("; ".join(sorted(notes))),
        ),
    )
    return (
        f'<section><h2>Training</h2><p class="quiet">from <code>{escape(report.base)}</code> on '
        f"sample set <code>{escape(report.dataset)}</code>. {nano}</p>"
        '<div class="scroll"><table><thead><tr><th>Version</th><th>Split</th><th>Rows</th>'
        "<th>Loss before</th><th>after</th><th>change</th><th>Reward margin</th>"
        f"<th>Pairs won</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="quiet">{escape(decision(report))}</p>{drawn}</section>'
    )


def _rows(version: TrainedVersion) -> str:
    before, after = version.result.before, version.result.after
    return "".join(
        f"<tr><td>{escape(version.version)}</td><td>{escape(split)}</td><td>{found.rows:,}</td>"
        f"<td>{before[split].loss:.3f}</td><td>{found.loss:.3f}</td>"
        f"<td>{found.loss / before[split].loss - 1:+.1%}</td>"
        f"<td>{_shown(found.reward_margin, '+.3f')}</td>"
        f"<td>{_shown(found.reward_accuracy, '.0%')}</td></tr>"
        for split, found in after.items()
        if split in before and before[split].loss
    )


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _moments(version: TrainedVersion) -> Iterator[tuple[str, list[tuple[str, HeldOut]]]]:
    yield "before", list(version.result.before.items())
    yield "after", list(version.result.after.items())


def _figures(held_out: HeldOut) -> Iterator[tuple[str, float]]:
    yield "loss", held_out.loss
    if held_out.reward_margin is not None:
        yield "reward_margin", held_out.reward_margin
