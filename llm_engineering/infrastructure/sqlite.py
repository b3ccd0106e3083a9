"""Documents in one SQLite file: the embedded default, without a server.

Several threads and several processes may use one file at once; a killed process loses at most
the `put` it was in. Nothing is touched before the first call, and reading makes no file.
"""

# Every statement is made of constants and question marks; values are always bound.
# ruff: noqa: S608

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.reports import PutResult
from llm_engineering.domain.revisions import (
    ERASED,
    Change,
    askable,
    change_of,
    found_document,
    known_ids,
    moment,
    numbered,
    put_result,
    storable,
)
from llm_engineering.infrastructure.sqlite_file import SqliteFile
from llm_engineering.infrastructure.sqlite_rows import (
    FIELDS,
    HEAD,
    condition_of,
    marks,
    to_document,
    to_head,
    to_row,
)

_IDS_AT_ONCE = 500
_HEADS_AT_ONCE = 500

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
        """Each with the text of its own revision; one that is erased meanwhile is passed over."""
        for head in heads:
            with self._file.reading() as connection:
                if connection is None:
                    return
                text, revision, alive = connection.execute(
                    "SELECT text, documents.revision, content_hash <> '' FROM documents"
                    " LEFT JOIN texts ON texts.id = documents.id AND texts.revision = ?"
                    " WHERE documents.id = ?",
                    (head.revision, head.id),
                ).fetchone()
            if text is None and alive and revision == head.revision:
                raise sqlite3.DataError(f"document {head.id!r} has no text")
            if text is not None:
                yield Document(**dict(head), text=text)

    def get_many(self, document_ids: Sequence[str]) -> Mapping[str, Document]:
        found: dict[str, Document] = {}
        with self._file.reading() as connection:
            if connection is None:
                return found
            for ids in _groups(known_ids(document_ids)):
                rows = connection.execute(
                    f"SELECT {HEAD}, text FROM documents JOIN texts USING (id, revision)"
                    f" WHERE id IN ({marks(ids)}) AND deleted_at IS NULL",
                    ids,
                )
                found |= {document.id: document for document in map(to_document, rows)}
        return found

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        return self._heads(askable(where))

    def _heads(self, where: DocumentFilter) -> Iterator[DocumentHead]:
        """Page by page, each a statement of its own: no reader holds the file while we wait."""
        condition, values, exact = condition_of(where)
        after, last = "", None
        while True:
            with self._file.reading() as connection:
                if connection is None:
                    return
                rows = connection.execute(
                    f"SELECT {HEAD} FROM documents WHERE {condition}{after}"
                    f" ORDER BY id LIMIT {_HEADS_AT_ONCE}",
                    [*values, last] if after else values,
                )
                page = [to_head(row) for row in rows]
            yield from (head for head in page if exact or where.matches(head))
            if len(page) < _HEADS_AT_ONCE:
                return
            after, last = " AND id > ?", page[-1].id

    def revisions(self, document_id: str) -> tuple[Document, ...]:
        with self._file.reading() as connection:
            if connection is None or not known_ids([document_id]):
                return ()
            rows = connection.execute(
                f"SELECT {HEAD}, CASE content_hash WHEN '' THEN '' ELSE text END"
                f" FROM (SELECT {HEAD} FROM revisions WHERE id = :id"
                f" UNION ALL SELECT {HEAD} FROM documents WHERE id = :id)"
                " LEFT JOIN texts USING (id, revision)"
                " WHERE text IS NOT NULL OR content_hash = '' ORDER BY revision",
                {"id": document_id},
            )
            return tuple(map(to_document, rows))

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        gone = moment(at, name="at").isoformat()
        ids = known_ids(document_ids)
        if not self._holds(ids):
            return 0
        with self._file.writing() as connection:
            return _bury(connection, ids, at=gone)

    def erase(self, document_ids: Sequence[str], *, at: datetime) -> int:
        gone = moment(at, name="at").isoformat()
        ids = known_ids(document_ids)
        if not self._holds(ids):
            return 0
        with self._file.writing() as connection:
            alive = _bury(connection, ids, at=gone)
            for group in _groups(ids):
                _empty(connection, group)
        self._file.forget()
        return alive

    def _holds(self, ids: Sequence[str]) -> bool:
        with self._file.reading() as existing:
            return existing is not None and bool(ids)

    def close(self) -> None:
        self._file.close()


def _current(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, DocumentHead]:
    """Heads, tombstones included, of those `ids` that exist."""
    heads = (
        to_head(row)
        for group in _groups(ids)
        for row in connection.execute(
            f"SELECT {HEAD} FROM documents WHERE id IN ({marks(group)})", group
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
    columns = f"{HEAD}, published_us"
    connection.executemany(
        f"INSERT INTO revisions ({columns}) SELECT {columns} FROM documents WHERE id = ?", ids
    )
    connection.executemany(
        f"REPLACE INTO documents ({columns}) VALUES ({marks((*FIELDS, 'published_us'))})",
        map(to_row, documents),
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


def _bury(connection: sqlite3.Connection, ids: Sequence[str], *, at: str) -> int:
    """How many of them were alive."""
    return sum(
        connection.execute(
            "UPDATE documents SET deleted_at = ?"
            f" WHERE id IN ({marks(group)}) AND deleted_at IS NULL",
            [at, *group],
        ).rowcount
        for group in _groups(ids)
    )


def _empty(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Of tombstones, all that their writing was in."""
    among = f"id IN ({marks(ids)})"
    for table in ("texts", "revisions", "tags"):
        connection.execute(f"DELETE FROM {table} WHERE {among}", ids)
    values: dict[str, object] = {**ERASED, "tags": "[]"}
    del values["text"]
    given = ", ".join(f"{name} = ?" for name in values)
    connection.execute(f"UPDATE documents SET {given} WHERE {among}", [*values.values(), *ids])


def _groups(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE))
