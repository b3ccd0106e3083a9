"""`twin search`: the passages that match best, and why."""

import click

from llm_engineering.application.rag.retrieve import RetrievalConfig, search
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.chunks import FusedHit
from llm_engineering.domain.documents import DocumentFilter, DocumentRef
from tools.filters import filtered
from tools.output import is_terminal, note, one_line, write_json, write_rows, write_text

_EXCERPT = 300
"""Characters of a passage on a terminal."""


@click.command("search")
@click.argument("query")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=10, show_default=True, help="At most so many."
)
@filtered
@click.option("--explain", is_flag=True, help="Show where each ranked list placed a passage.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array, ranks included.")
def search_command(
    query: str, limit: int, where: DocumentFilter, explain: bool, as_json: bool
) -> None:
    """Find the passages that match QUERY best, best first."""
    with open_app() as app:
        hits = search(
            query,
            config=RetrievalConfig(),
            index=app.index,
            embedder=app.embedder,
            sparse=app.sparse,
            where=where,
            limit=limit,
        )
    if as_json:
        write_json(hits)
    elif not hits:
        note("nothing matches; ask in other words or with fewer filters")
    elif is_terminal():
        for place, hit in enumerate(hits, start=1):
            _show(place, hit, explain=explain)
    else:
        write_rows(_row(hit, explain=explain) for hit in hits)


def _place(document: DocumentRef, heading_path: tuple[str, ...]) -> str:
    """Date and headings, what a reader needs beside the title."""
    date = [document.published_at.date().isoformat()] if document.published_at else []
    return "  ".join([*date, " > ".join(heading_path)]).rstrip()


def _show(place: int, hit: FusedHit, *, explain: bool) -> None:
    document, text = hit.chunk.document, one_line(hit.chunk.text)
    write_text(f"{place}. {one_line(document.title)}", style="bold")
    if where := one_line(_place(document, hit.chunk.heading_path)):
        write_text(where, indent=3)
    write_text(one_line(document.url), style="dim", indent=3)
    write_text(text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…", indent=3)
    if explain:
        write_text(f"{hit.score:.4f} = {_ranks(hit)}", style="cyan", indent=3)
    click.echo()


def _row(hit: FusedHit, *, explain: bool) -> list[str]:
    document = hit.chunk.document
    date = document.published_at.date().isoformat() if document.published_at else ""
    headings = " > ".join(hit.chunk.heading_path)
    cells = [f"{hit.score:.4f}", date, document.title, document.url, headings, hit.chunk.text]
    return [*cells, _ranks(hit)] if explain else cells


def _ranks(hit: FusedHit) -> str:
    return ", ".join(f"{rank.leg} #{rank.rank} ({rank.score:.3f})" for rank in hit.ranks)
