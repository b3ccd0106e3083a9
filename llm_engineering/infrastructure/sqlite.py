"""Documents in one SQLite file: the embedded default, without a server.

Several threads and several processes may use one file at once; a killed process loses at most
the `put` it was in. Nothing is touched before the first call, and reading makes no file.
"""

# Every statement is made of constants and question marks; values are always bound.
# ruff: noqa: S608

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.reports import PutResult
from llm_engineering.domain.revisions import (
    MOMENTS,
    Change,
    askable,
    change_of,
    found_document,
    known_ids,
    microseconds,
    moment,
    numbered,
    put_result,
    storable,
)
from llm_engineering.infrastructure.sqlite_file import SqliteFile

_IDS_AT_ONCE = 500
_HEADS_AT_ONCE = 500
_VALUES_PUSHED = 5_000
"""SQLite takes 32,766 values in one statement; a longer list is compared here instead."""

_HEAD = (
    "id, author_id, author, url, title, kind, source, language, published_at, tags, content_hash,"
    " etag, last_modified, fetched_at, revision, deleted_at"
)
_FIELDS = tuple(_HEAD.split(", "))
_COLUMNS = """
    author_id TEXT NOT NULL, author TEXT NOT NULL, url TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, source TEXT NOT NULL, language TEXT, published_at TEXT,
    tags TEXT NOT NULL, content_hash TEXT NOT NULL, etag TEXT, last_modified TEXT,
    fetched_at TEXT NOT NULL, revision INTEGER NOT NULL, deleted_at TEXT, published_us INTEGER
"""

MIGRATIONS = (
    (
        # Texts lie apart so that listing heads reads none, and a new revision moves none.
        f"CREATE TABLE documents (id TEXT PRIMARY KEY, {_COLUMNS}) WITHOUT ROWID",
        f"CREATE TABLE revisions (id TEXT NOT NULL, {_COLUMNS}, PRIMARY KEY (id, revision))"
        " WITHOUT ROWID",
        "CREATE TABLE texts (id TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT NOT NULL,"
        " PRIMARY KEY (id, revision))",
        "CREATE TABLE tags (id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (tag, id))"
        " WITHOUT ROWID",
        "CREATE INDEX tags_of_document ON tags (id)",
        "CREATE INDEX documents_by_author ON documents (author, id)",
        "CREATE INDEX documents_by_source ON documents (source, id)",
        "CREATE INDEX documents_by_kind ON documents (kind, id)",
        "CREATE INDEX documents_by_language ON documents (language, id)",
        "CREATE INDEX documents_by_date ON documents (published_us)",
    ),
)


class SqliteDocumentStore:
    """A `DocumentStore` in the file `path`; every `put` and `remove` is one transaction."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, migrations=MIGRATIONS)

    def put(self, documents: Sequence[Document]) -> PutResult:
        given = storable(documents)
        if not given:
            return PutResult()
        with self._file.writing() as connection:
            stored = _current(connection, list(given))
            outcomes = {
                key: change_of(document, stored=stored.get(key)) for key, document in given.items()
            }
            _refresh(connection, [given[k] for k, c in outcomes.items() if c is Change.UNCHANGED])
            _write(
                connection,
                [
                    numbered(given[key], stored=stored.get(key))
                    for key, change in outcomes.items()
                    if change is not Change.UNCHANGED
                ],
            )
        return put_result(outcomes)

    def get(self, document_id: str) -> Document:
        return found_document(document_id, self.get_many([document_id]))

    def find(self, where: DocumentFilter = EVERYTHING) -> Iterator[Document]:
        return self._with_texts(self.heads(where))

    def _with_texts(self, heads: Iterator[DocumentHead]) -> Iterator[Document]:
        """Texts are never changed or deleted, so the one of a head's own revision is there."""
        for head in heads:
            with self._file.reading() as connection:
                if connection is None:
                    return
                row = connection.execute(
                    "SELECT text FROM texts WHERE id = ? AND revision = ?", (head.id, head.revision)
                ).fetchone()
                if row is None:
                    raise sqlite3.DataError(f"document {head.id!r} has no text")
            yield Document(**dict(head), text=row[0])

    def get_many(self, document_ids: Sequence[str]) -> Mapping[str, Document]:
        found: dict[str, Document] = {}
        with self._file.reading() as connection:
            if connection is None:
                return found
            for ids in _groups(known_ids(document_ids)):
                rows = connection.execute(
                    f"SELECT {_HEAD}, text FROM documents JOIN texts USING (id, revision)"
                    f" WHERE id IN ({_marks(ids)}) AND deleted_at IS NULL",
                    ids,
                )
                found |= {document.id: document for document in map(_to_document, rows)}
        return found

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        return self._heads(askable(where))

    def _heads(self, where: DocumentFilter) -> Iterator[DocumentHead]:
        """Page by page, each a statement of its own: no reader holds the file while we wait."""
        condition, values, exact = _condition(where)
        after, last = "", None
        while True:
            with self._file.reading() as connection:
                if connection is None:
                    return
                rows = connection.execute(
                    f"SELECT {_HEAD} FROM documents WHERE {condition}{after}"
                    f" ORDER BY id LIMIT {_HEADS_AT_ONCE}",
                    [*values, last] if after else values,
                )
                page = [_to_head(row) for row in rows]
            yield from (head for head in page if exact or where.matches(head))
            if len(page) < _HEADS_AT_ONCE:
                return
            after, last = " AND id > ?", page[-1].id

    def revisions(self, document_id: str) -> tuple[Document, ...]:
        with self._file.reading() as connection:
            if connection is None or not known_ids([document_id]):
                return ()
            rows = connection.execute(
                f"SELECT {_HEAD}, text FROM (SELECT {_HEAD} FROM revisions WHERE id = :id"
                f" UNION ALL SELECT {_HEAD} FROM documents WHERE id = :id)"
                " JOIN texts USING (id, revision) ORDER BY revision",
                {"id": document_id},
            )
            return tuple(map(_to_document, rows))

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        gone = moment(at, name="at").isoformat()
        ids = known_ids(document_ids)
        with self._file.reading() as existing:
            if existing is None or not ids:
                return 0
        with self._file.writing() as connection:
            return sum(
                connection.execute(
                    "UPDATE documents SET deleted_at = ?"
                    f" WHERE id IN ({_marks(group)}) AND deleted_at IS NULL",
                    [gone, *group],
                ).rowcount
                for group in _groups(ids)
            )

    def close(self) -> None:
        self._file.close()


def _current(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, DocumentHead]:
    """Heads, tombstones included, of those `ids` that exist."""
    heads = (
        _to_head(row)
        for group in _groups(ids)
        for row in connection.execute(
            f"SELECT {_HEAD} FROM documents WHERE id IN ({_marks(group)})", group
        )
    )
    return {head.id: head for head in heads}


def _refresh(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    connection.executemany(
        "UPDATE documents SET etag = ?, last_modified = ?, fetched_at = ? WHERE id = ?",
        ((d.etag, d.last_modified, d.fetched_at.isoformat(), d.id) for d in documents),
    )


def _write(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    ids = [(document.id,) for document in documents]
    columns = f"{_HEAD}, published_us"
    connection.executemany(
        f"INSERT INTO revisions ({columns}) SELECT {columns} FROM documents WHERE id = ?", ids
    )
    connection.executemany(
        f"REPLACE INTO documents ({columns}) VALUES ({_marks((*_FIELDS, 'published_us'))})",
        map(_to_row, documents),
    )
    connection.executemany(
        "INSERT INTO texts (id, revision, text) VALUES (?, ?, ?)",
        ((d.id, d.revision, d.text) for d in documents),
    )
    connection.executemany("DELETE FROM tags WHERE id = ?", ids)
    connection.executemany(
        "INSERT INTO tags (id, tag) VALUES (?, ?)",
        ((d.id, tag) for d in documents for tag in dict.fromkeys(d.tags)),
    )


def _condition(where: DocumentFilter) -> tuple[str, list[object], bool]:
    """SQL for `where`, its values, and whether it says all of `where`."""
    conditions, given, exact = ["deleted_at IS NULL"], list[object](), True
    fields: tuple[tuple[str, Sequence[str]], ...] = (
        ("author IN ({})", where.authors),
        ("kind IN ({})", where.kinds),
        ("source IN ({})", where.sources),
        ("language IN ({})", where.languages),
        ("id IN (SELECT id FROM tags WHERE tag IN ({}))", where.tags),
    )
    for condition, values in fields:
        if len(values) > _VALUES_PUSHED:
            exact = False
        elif values:
            conditions.append(condition.format(_marks(values)))
            given += values
    for condition, limit in (
        ("published_us >= ?", where.published_from),
        ("published_us < ?", where.published_before),
    ):
        if limit is not None:
            conditions.append(condition)
            given.append(microseconds(limit))
    return " AND ".join(conditions), given, exact


def _to_row(document: Document) -> list[object]:
    values: dict[str, Any] = {name: getattr(document, name) for name in _FIELDS}
    values["tags"] = json.dumps(document.tags)
    for name in MOMENTS:
        values[name] = values[name] and values[name].isoformat()
    at = document.published_at
    return [*values.values(), None if at is None else microseconds(at)]


def _to_head(row: Sequence[Any]) -> DocumentHead:
    try:
        values = dict(zip(_FIELDS, row, strict=True))
        values["tags"] = tuple(json.loads(values["tags"]))
        for name in MOMENTS:
            values[name] = values[name] and datetime.fromisoformat(values[name])
        return DocumentHead.model_validate(values)
    except (TypeError, ValueError) as error:
        raise sqlite3.DataError(f"document {row[0]!r} cannot be read") from error


def _to_document(row: Sequence[Any]) -> Document:
    return Document(**dict(_to_head(row[:-1])), text=row[-1])


def _groups(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
