"""`twin search`: the passages that match best, and why."""

from pathlib import Path

import click

from llm_engineering.application.rag.find import find
from llm_engineering.application.rag.passages import Found
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.documents import DocumentFilter
from pipelines.configs import load_config
from tools.filters import filtered
from tools.output import is_terminal, note, one_line, write_json, write_rows, write_text

_EXCERPT = 300
"""Characters of a passage on a terminal."""


@click.command("search")
@click.argument("query")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How sentences are ranked, e.g. configs/rag.yaml. [default: built-in values]",
)
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=10, show_default=True, help="At most so many."
)
@filtered
@click.option("--explain", is_flag=True, help="Show where each ranked list placed a passage.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array, ranks included.")
def search_command(
    query: str,
    config_path: Path | None,
    limit: int,
    where: DocumentFilter,
    explain: bool,
    as_json: bool,
) -> None:
    """Find the passages that match QUERY best, best first."""
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    with open_app() as app:
        findings = find(
            query,
            retrieval=config.retrieval,
            stages=config.stages,
            ports=app.search_ports,
            where=where,
            limit=limit,
        )
    if as_json:
        write_json(findings.found)
    elif not findings.found:
        note(findings.not_held or "nothing matches; ask in other words or with fewer filters")
    elif is_terminal():
        for place, found in enumerate(findings.found, start=1):
            _show(place, found, explain=explain)
    else:
        write_rows(_row(found, explain=explain) for found in findings.found)


def _show(place: int, found: Found, *, explain: bool) -> None:
    passage = found.passage
    document, text = passage.document, one_line(_excerpt(found))
    write_text(f"{place}. {one_line(document.title)}", style="bold")
    date = [document.published_at.date().isoformat()] if document.published_at else []
    if where := "  ".join([*date, one_line(" > ".join(passage.heading_path))]).rstrip():
        write_text(where, indent=3)
    write_text(one_line(document.url), style="dim", indent=3)
    write_text(text, indent=3)
    if explain:
        write_text(f"{found.hit.score:.4f} = {_ranks(found)}", style="cyan", indent=3)
    click.echo()


def _excerpt(found: Found) -> str:
    """The passage, or as much of it around the best sentence as a terminal should show."""
    passage = found.passage
    if len(passage.text) <= _EXCERPT:
        return passage.text
    spare = max(_EXCERPT - (found.best[1] - found.best[0]), 0)
    start = max(found.best[0] - passage.start - spare // 2, 0)
    shown = passage.text[start : start + _EXCERPT]
    return f"{'…' if start else ''}{shown}{'…' if start + _EXCERPT < len(passage.text) else ''}"


def _row(found: Found, *, explain: bool) -> list[str]:
    document = found.passage.document
    date = document.published_at.date().isoformat() if document.published_at else ""
    headings = " > ".join(found.passage.heading_path)
    text = found.passage.text
    cells = [f"{found.hit.score:.4f}", date, document.title, document.url, headings, text]
    return [*cells, _ranks(found)] if explain else cells


def _ranks(found: Found) -> str:
    return ", ".join(f"{rank.leg} #{rank.rank} ({rank.score:.3f})" for rank in found.hit.ranks)
