"""`twin documents`: look at what was collected, carry it elsewhere."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from llm_engineering.application.clean import clean
from llm_engineering.application.documents import export_documents, import_documents
from llm_engineering.application.erasure import ErasureReport, erase_documents
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.documents import Document, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import BackendUnavailable, Conflict, InvalidInput, NotFound
from llm_engineering.ports.stores import DocumentStore
from tools.filters import filtered
from tools.output import (
    Column,
    is_terminal,
    note,
    write_json,
    write_rows,
    write_table,
    write_verbatim,
)

_SHORT = 8
"""Characters of an id on a terminal; `show` takes any unique prefix."""
_COLUMNS = (
    Column("id"),
    Column("date"),
    Column("kind"),
    Column("title", wide=True),
    Column("author"),
    Column("source"),
)
_UNDATED = datetime.min.replace(tzinfo=UTC)


@click.group()
def documents() -> None:
    """List, show, export, import and forget documents."""


@documents.command("list")
@filtered
@click.option("--limit", type=click.IntRange(min=1), help="Only the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_documents(where: DocumentFilter, limit: int | None, as_json: bool) -> None:
    """List documents, newest first."""
    with open_app() as app:
        heads = sorted(
            app.documents.heads(where), key=lambda head: (_published(head), head.id), reverse=True
        )[:limit]
    if as_json:
        write_json(heads)
        return
    if not heads:
        note("no documents; collect some with 'twin run etl' or give fewer filters")
        return
    if is_terminal():
        write_table(_COLUMNS, [_cells(head, head.id[:_SHORT]) for head in heads])
    else:
        write_rows([*_cells(head, head.id), head.url] for head in heads)


@documents.command("show")
@click.argument("document_id", metavar="ID")
@click.option("--raw", "form", flag_value="raw", help="The text as its source gave it.")
@click.option("--revisions", "form", flag_value="revisions", help="List its revisions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_document(document_id: str, form: str | None, as_json: bool) -> None:
    """Print a document's cleaned text; ID may be any unique beginning of its id."""
    with open_app() as app:
        full_id = _full_id(app.documents, document_id)
        if form == "revisions":
            _show_revisions(full_id, app.documents.revisions(full_id), as_json=as_json)
            return
        stored = app.documents.get(full_id)
    document = stored if form == "raw" else clean(stored)
    if as_json:
        write_json(document)
        return
    date = f", {document.published_at:%Y-%m-%d}" if document.published_at else ""
    note(f"{document.title} ({document.author}{date}) {document.url}")
    write_verbatim(document.text)


@documents.command("export")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@filtered
def export(file: Path, where: DocumentFilter) -> None:
    """Write documents as JSON lines to FILE, or to stdout ('-', the default)."""
    with open_app() as app, _written(file) as out:
        count = 0
        for line in export_documents(app.documents, where):
            count += 1
            out.write(line.rstrip("\n") + "\n")
    note(f"exported {count} documents")


@documents.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def import_(file: Path) -> None:
    """Read documents that 'twin documents export' wrote, from FILE or stdin ('-')."""
    with _opened(file) as lines, open_app() as app:
        result = import_documents(_decoded(lines, str(file)), store=app.documents)
    click.echo(
        f"{len(result.new)} new, {len(result.changed)} changed, {len(result.unchanged)} unchanged"
    )


@documents.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="ID|URL…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def forget(names: tuple[str, ...], as_json: bool) -> None:
    """Erase documents from store, index, feedback and conversations; taint what learnt them."""
    with open_app() as app:
        urls = {head.url: head.id for head in app.documents.heads()}
        ids = [urls.get(name) or _full_id(app.documents, name) for name in names]
        for name, key in zip(names, ids, strict=True):
            if not app.documents.revisions(key):
                raise NotFound(f"no document {name!r}; 'twin documents list' shows the ids")
        try:
            report = _erased(ids, app)
        except (BackendUnavailable, Conflict) as error:
            # From now on they are tombstones, which are found by their whole ids only.
            raise BackendUnavailable(
                f"{error}; 'twin documents forget {' '.join(ids)}' finishes it then"
            ) from error
    if as_json:
        write_json(report)
        return
    click.echo(
        f"erased {report.documents} documents, {report.chunks} chunks, {report.feedback} opinions; "
        f"{report.conversations} conversations changed, {len(report.tainted)} versions tainted"
    )


def _erased(ids: Sequence[str], app: App) -> ErasureReport:
    return erase_documents(
        ids,
        documents=app.documents,
        index=app.index,
        feedback=app.feedback,
        conversations=app.conversations,
        models=app.models,
        now=datetime.now(UTC),
    )


def _published(head: DocumentHead) -> datetime:
    return head.published_at or _UNDATED


def _cells(head: DocumentHead, document_id: str) -> list[str]:
    date = head.published_at.date().isoformat() if head.published_at else ""
    return [document_id, date, head.kind, head.title, head.author, head.source]


def _full_id(store: DocumentStore, prefix: str) -> str:
    """The id that starts with `prefix`; one that no live document has is given back as it is."""
    if not prefix:
        raise InvalidInput("the id is empty; 'twin documents list' shows the ids")
    found = [head for head in store.heads() if head.id.startswith(prefix.lower())]
    if len(found) > 1:
        some = ", ".join(head.id for head in found[:3])
        raise InvalidInput(f"{len(found)} ids start with {prefix!r} ({some}…); give more of it")
    return found[0].id if found else prefix


def _show_revisions(document_id: str, revisions: tuple[Document, ...], *, as_json: bool) -> None:
    if not revisions:
        raise NotFound(f"no document {document_id!r}; 'twin documents list' shows the ids")
    if as_json:
        write_json(revisions)
        return
    columns = [Column(name) for name in ("revision", "fetched", "characters", "hash", "removed")]
    rows = [
        [
            str(revision.revision),
            revision.fetched_at.isoformat(timespec="seconds"),
            str(len(revision.text)),
            revision.content_hash[:12],
            revision.deleted_at.isoformat(timespec="seconds") if revision.deleted_at else "",
        ]
        for revision in revisions
    ]
    write_table(columns, rows)


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """`path` for writing: a file is replaced only when everything was written."""
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # /dev/null is not replaced
            with path.open("w", encoding="utf-8") as out:
                yield out
            return
        target = path.resolve()
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("w", encoding="utf-8", newline="\n") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}; choose another file") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"no file {path}; name one that 'twin documents export' wrote") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; choose another file") from None
    with lines:
        yield lines


def _decoded(lines: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"{name}, line {number}: not UTF-8; export it anew") from None
