"""The section of a report page that is about a sample set."""

from html import escape

from llm_engineering.application.report_charts import bars, by_month, columns, histogram, spread
from llm_engineering.application.report_parts import cards, tiles
from llm_engineering.domain.reports import DatasetReport, SampleExample
from llm_engineering.domain.samples import SplitBy, SplitCounts


def dataset_numbers(report: DatasetReport) -> dict[str, int | float]:
    """The report as flat numbers, to be compared between runs."""
    numbers: dict[str, int | float] = {
        "documents": sum(counts.documents for counts in report.splits.values()),
        "instruct": sum(counts.instruct for counts in report.splits.values()),
        "preference": sum(counts.preference for counts in report.splits.values()),
        "rated": sum(counts.rated for counts in report.splits.values()),
        "leaks": report.leaks,
        "leak_share": report.leak_share,
        "dropped": sum(report.dropped.values()),
        "characters": sum(report.characters),
        "code_share": report.code_share,
        "seconds": report.seconds,
    }
    for split, counts in report.splits.items():
        numbers[f"instruct_{split.value}"] = counts.instruct
        numbers[f"documents_{split.value}"] = counts.documents
    return numbers


def dataset_section(report: DatasetReport) -> str:
    numbers = dataset_numbers(report)
    counts = tiles(
        {
            "documents": int(numbers["documents"]),
            "instruct rows": int(numbers["instruct"]),
            "preference pairs": int(numbers["preference"]),
            "rated answers": int(numbers["rated"]),
        }
    )
    drawn = cards(
        ("Rows by prompt", bars(report.forms), bool(report.forms), _taught(report)),
        (
            "Length of the targets in characters",
            columns(histogram(report.characters), label="Targets by length in characters"),
            bool(report.characters),
            f"{spread(report.characters, unit='characters')}; {report.code_share:.0%} code",
        ),
        (
            "Rows by month of their document",
            columns(by_month(report.by_month), label="Rows by month of their document"),
            bool(by_month(report.by_month)),
            _undated(report),
        ),
        ("Pairs by their rejected side", bars(report.rejected), bool(report.rejected), ""),
        ("Rows by source", bars(report.sources), len(report.sources) > 1, ""),
    )
    return (
        f'<section><h2>Dataset</h2><p class="quiet">version <code>{escape(report.version)}</code>'
        f", {escape(report.author)}; {report.seconds:,.1f} s</p>{counts}"
        f"<h3>{split_sentence(report)}</h3>{_splits(report)}{drawn}{_dropped(report)}"
        f"{_examples(report)}</section>"
    )


def split_sentence(report: DatasetReport) -> str:
    """How it was split, and what the leak test found."""
    match report.split_by:
        case SplitBy.TIME:
            how = "Split by document and date: the past is trained on, the latest tested on"
        case SplitBy.HASH:
            how = "Split by document and a hash, because the documents' dates do not divide them"
    return (
        f"{how}; {report.leaks:,} leaks, and no held-out document shares more than "
        f"{report.leak_share:.1%} of its runs of eight words with what was split off before it"
    )


def _taught(report: DatasetReport) -> str:
    return f"instructions by {escape(report.teacher)}" if report.teacher else "no teacher was asked"


def _undated(report: DatasetReport) -> str:
    undated = report.by_month.get("undated", 0)
    return f"{undated:,} of documents without a date" if undated else ""


def _splits(report: DatasetReport) -> str:
    rows = "".join(
        f"<tr><td>{split.value}</td><td>{counts.documents:,}</td><td>{counts.instruct:,}</td>"
        f"<td>{counts.preference:,}</td><td>{counts.rated:,}</td><td>{dates(counts)}</td></tr>"
        for split, counts in report.splits.items()
    )
    heads = "".join(
        f"<th>{name}</th>"
        for name in ("Split", "Documents", "Instruct", "Preference", "Rated", "Dates")
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def dates(counts: SplitCounts) -> str:
    """Of the first and last document."""
    if counts.first is None or counts.last is None:
        return "undated"
    return f"{counts.first:%Y-%m-%d} to {counts.last:%Y-%m-%d}"


def _dropped(report: DatasetReport) -> str:
    if not report.dropped:
        return ""
    rows = "".join(
        f"<tr><td>{escape(reason)}</td><td>{count:,}</td></tr>"
        for reason, count in sorted(report.dropped.items())
    )
    return (
        '<h2>Left out</h2><div class="scroll"><table><thead><tr><th>Reason</th><th>How many</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _examples(report: DatasetReport) -> str:
    drawn = "".join(_example(example) for example in report.examples)
    return f'<h2>Examples</h2><div class="cards wide">{drawn}</div>' if drawn else ""


def _example(example: SampleExample) -> str:
    rejected = (
        f'<p class="quiet">rejected</p><pre>{escape(example.rejected)}</pre>'
        if example.rejected
        else ""
    )
    return (
        f'<div class="card"><h3>{escape(example.kind)}, {example.split.value}</h3>'
        f'<p class="quiet">asked</p><pre>{escape(example.prompt)}</pre>'
        f'<p class="quiet">the author</p><pre>{escape(example.completion)}</pre>{rejected}'
        f'<p class="quiet">{escape(example.source)} {escape(example.url)}</p></div>'
    )
