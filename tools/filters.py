"""The options that say which documents: the same ones on every command that reads them."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime

import click

from llm_engineering.domain.documents import DocumentFilter, DocumentKind

Command = Callable[..., None]


class Day(click.ParamType[datetime]):
    """2024, 2024-03, 2024-03-01 or a full ISO 8601 time; UTC where it names no zone."""

    name = "date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        missing = {4: "-01-01", 7: "-01"}.get(len(text), "")
        try:
            at = datetime.fromisoformat(text + missing)
        except ValueError:
            self.fail(f"{text!r} is not a date; write 2024, 2024-03 or 2024-03-01", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


_OPTIONS = (
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice([kind.value for kind in DocumentKind]),
        help="Form of the writing; may be given again.",
    ),
    click.option("--author", "authors", multiple=True, help="Exact name; may be given again."),
    click.option("--source", "sources", multiple=True, help="E.g. files:notes; again for more."),
    click.option("--tag", "tags", multiple=True, help="Any of the tags given."),
    click.option("--since", type=Day(), help="Published then or later: 2024, 2024-03, 2024-03-01."),
    click.option("--before", type=Day(), help="Published earlier than this."),
)


def filtered(command: Command) -> Command:
    """Add the options; `command` gets them as `where: DocumentFilter`."""

    @functools.wraps(command)
    def with_filter(
        *,
        kinds: tuple[str, ...],
        authors: tuple[str, ...],
        sources: tuple[str, ...],
        tags: tuple[str, ...],
        since: datetime | None,
        before: datetime | None,
        **rest: object,
    ) -> None:
        where = DocumentFilter(
            authors=authors,
            kinds=tuple(DocumentKind(kind) for kind in kinds),
            sources=sources,
            tags=tags,
            published_from=since,
            published_before=before,
        )
        command(where=where, **rest)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter
