"""A run's reports as one self-contained HTML page: no scripts, no addresses, light and dark.

Everything that came from outside (addresses, reasons, kinds) is escaped.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import assert_never

from llm_engineering.application.report_charts import bars, by_month, columns, histogram, spread
from llm_engineering.application.report_dataset import dataset_numbers, dataset_section
from llm_engineering.application.report_parts import cards, failures, tiles
from llm_engineering.application.report_training import training_numbers, training_section
from llm_engineering.domain.errors import TwinError
from llm_engineering.domain.reports import CrawlReport, DatasetReport, FeatureReport, TrainingReport

Report = CrawlReport | FeatureReport | DatasetReport | TrainingReport

_STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2129;--quiet:#626a76;
--line:#e4e2dc;--accent:#2b6cb0;--track:#eceae4;--good:#2f7d4f;--bad:#b3341f;--badpaper:#fdf0ed}
@media(prefers-color-scheme:dark){:root{--paper:#14161a;--card:#1c1f25;--ink:#e8e6e1;
--quiet:#9aa2ad;--line:#2d313a;--accent:#7ab0ea;--track:#2a2e36;--good:#6cc08b;--bad:#f08a75;
--badpaper:#2c1e1b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:2.5rem 0 .75rem}
h3{font-size:.95rem;margin:0 0 .75rem}
p{margin:.25rem 0}
.quiet{color:var(--quiet);font-size:.9rem}
.failed{border-left:4px solid var(--bad);background:var(--badpaper);padding:.75rem 1rem;
margin:1.25rem 0 0;border-radius:0 .5rem .5rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr));gap:.75rem}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem}
.tile{padding:.75rem 1rem}
.tile b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--quiet);font-size:.85rem}
.tile.good b{color:var(--good)}.tile.bad b{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));
gap:.75rem;margin-top:.75rem}
.card{padding:1rem 1.1rem;min-width:0}
.bar{display:grid;grid-template-columns:6rem 1fr 4rem;gap:.75rem;align-items:center;
font-size:.9rem;padding:.15rem 0}
.label{overflow-wrap:anywhere}
.value{text-align:right;font-variant-numeric:tabular-nums}
.track{background:var(--track);border-radius:.3rem;height:.65rem;overflow:hidden}
.track span{display:block;height:100%;min-width:2px;background:var(--accent);border-radius:.3rem}
svg{display:block;width:100%;height:9rem;border-bottom:1px solid var(--line)}
rect{fill:var(--accent)}
.axis{display:flex;justify-content:space-between;color:var(--quiet);font-size:.8rem;
padding-top:.3rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{color:var(--quiet);font-weight:500}
td:first-child{font-family:ui-monospace,SFMono-Regular,Consolas,monospace;font-size:.82rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;font-size:.9rem;margin:.1rem 0 .6rem}
.wide{grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}
@media print{body{background:#fff}.tile,.card{break-inside:avoid}}
"""


def report_page(
    reports: Sequence[Report],
    *,
    title: str,
    run: str,
    at: datetime,
    error: TwinError | None = None,
) -> str:
    """One page over `reports`, in order; `run` names the run, `error` is why it failed."""
    failed = f'<p class="failed"><b>Failed.</b> {escape(str(error))}</p>' if error else ""
    sections = "".join(_section(report) for report in reports)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="quiet">{at:%A}, {at.day} {at:%B %Y, %H:%M} '
        f"{escape(at.tzname() or '')}, run <code>{escape(run)}</code></p>"
        f"{failed}{sections}</main></body></html>\n"
    )


def report_numbers(report: Report) -> dict[str, int | float]:
    """The report as flat numbers, to be compared between runs."""
    match report:
        case CrawlReport():
            counts = report.model_dump(
                include={"seen", "new", "changed", "unchanged", "removed", "seconds"}
            )
            documents = {f"documents_{kind}": count for kind, count in report.by_kind.items()}
            return (
                counts
                | {"failed": len(report.failed), "documents": sum(report.by_kind.values())}
                | documents
                | {"characters": sum(report.characters)}
            )
        case FeatureReport():
            counts = report.model_dump(exclude={"tokens", "version", "seconds"})
            stages = {f"seconds_{stage}": took for stage, took in report.seconds.items()}
            return (
                counts
                | {"tokens": sum(report.tokens), "seconds": sum(report.seconds.values())}
                | stages
            )
        case DatasetReport():
            return dataset_numbers(report)
        case TrainingReport():
            return training_numbers(report)
        case unreachable:
            assert_never(unreachable)


def _section(report: Report) -> str:
    match report:
        case CrawlReport():
            return _crawl(report)
        case FeatureReport():
            return _features(report)
        case DatasetReport():
            return dataset_section(report)
        case TrainingReport():
            return training_section(report)
        case unreachable:
            assert_never(unreachable)


def _crawl(report: CrawlReport) -> str:
    counts = tiles(
        {
            "addresses seen": report.seen,
            "new": report.new,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "removed": report.removed,
        },
        failed=len(report.failed),
    )
    undated = report.by_month.get("undated", 0)
    months = columns(by_month(report.by_month), label="Documents by month of publication")
    lengths = columns(histogram(report.characters), label="Documents by length in characters")
    drawn = cards(
        ("Documents by kind", bars(report.by_kind), bool(report.by_kind), ""),
        (
            "Documents by month",
            months if by_month(report.by_month) else "",
            bool(report.by_month),
            f"{undated:,} without a date" if undated else "",
        ),
        (
            "Length in characters",
            lengths,
            bool(report.characters),
            spread(report.characters, unit="characters"),
        ),
    )
    sources = ", ".join(f"<code>{escape(source)}</code>" for source in report.sources)
    return (
        f'<section><h2>Crawl</h2><p class="quiet">{sources or "no sources"}; '
        f"{report.seconds:,.1f} s</p>{counts}{drawn}{failures(report.failed)}</section>"
    )


def _features(report: FeatureReport) -> str:
    total = sum(report.seconds.values())
    took = report.seconds.get("embed", 0.0)
    rate = f"; {report.embedded / took:,.0f} chunks embedded a second" if took else ""
    counts = tiles(
        {
            "documents": report.documents,
            "new": report.new,
            "changed": report.changed,
            "removed": report.removed,
            "empty": report.empty,
            "chunks": report.chunks,
            "embedded now": report.embedded,
            "near-duplicates": report.duplicates,
            "chunks removed": report.chunks_removed,
        }
    )
    drawn = cards(
        (
            "Seconds by stage",
            bars(report.seconds, unit=" s", digits=2),
            bool(report.seconds),
            f"{total:,.1f} s in all",
        ),
        (
            "Length of the embedded chunks in tokens",
            columns(histogram(report.tokens), label="Chunks by length in tokens"),
            bool(report.tokens),
            spread(report.tokens, unit="tokens"),
        ),
    )
    version = escape(report.version) or "none"
    return (
        f'<section><h2>Features</h2><p class="quiet">index version <code>{version}</code>'
        f"{rate}</p>{counts}{drawn}</section>"
    )
