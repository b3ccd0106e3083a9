"""Changes to an index that is not published yet, kept in one SQLite file.

What a call returned from has been committed, so a builder that is killed loses nothing, and the
next one goes on from the same file. The base index itself is not touched.

Does not know: what the changes will be applied to.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.chunks import EmbeddedChunk, IndexEntry, IndexManifest, SparseVector
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.index_rules import stored_sparse

_PAGE = 1_000
_SCHEMA = """
CREATE TABLE origin (value TEXT NOT NULL);
CREATE TABLE changes (id TEXT PRIMARY KEY, change TEXT NOT NULL, entry TEXT);
CREATE TABLE vectors (
    id TEXT NOT NULL, name TEXT NOT NULL, terms BLOB, weights BLOB NOT NULL,
    PRIMARY KEY (id, name)
) WITHOUT ROWID;
"""


class Origin(BaseModel):
    """What a build started from; only a build with an equal one may continue it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """Version that was current; '' for none."""
    fresh: bool
    manifest: IndexManifest


class Change(StrEnum):
    """What becomes of a point."""

    PUT = "put"
    RELABEL = "relabel"
    """Its entry is replaced, its vectors stay."""
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class StagedPoint:
    """A point to write, with its vectors unless those of the base stay."""

    entry: IndexEntry
    dense: dict[str, list[float]]
    sparse: dict[str, SparseVector]


class StagedChanges:
    """The latest change of each chunk id. For one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def create(cls, path: Path, origin: Origin) -> "StagedChanges":
        """A new file; `path` must not exist."""
        changes = cls(_connected(path))
        with changes._transaction() as transaction:
            transaction.executescript(f"BEGIN; {_SCHEMA}")
            transaction.execute("INSERT INTO origin VALUES (?)", (origin.model_dump_json(),))
        return changes

    @classmethod
    def open(cls, path: Path, origin: Origin) -> "StagedChanges | None":
        """The changes in `path`; None when it has none that started from `origin`."""
        if not path.exists():
            return None
        connection = _connected(path)
        try:
            found = connection.execute("SELECT value FROM origin").fetchone()
        except sqlite3.DatabaseError:  # killed before its first transaction, or damaged
            found = None
        if found is None or found[0] != origin.model_dump_json():
            connection.close()
            return None
        return cls(connection)

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        keys = [(chunk.entry.chunk.id,) for chunk in chunks]
        with self._transaction() as transaction:
            transaction.executemany("DELETE FROM vectors WHERE id = ?", keys)
            transaction.executemany(
                "INSERT OR REPLACE INTO changes VALUES (?, ?, ?)",
                (
                    (chunk.entry.chunk.id, Change.PUT, chunk.entry.model_dump_json())
                    for chunk in chunks
                ),
            )
            transaction.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                (row for chunk in chunks for row in _vector_rows(chunk)),
            )

    def relabel(self, entries: Iterable[IndexEntry]) -> None:
        """Each entry must be of a point that exists, here or in the base."""
        with self._transaction() as transaction:
            transaction.executemany(
                "INSERT INTO changes VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET entry = excluded.entry",
                ((entry.chunk.id, Change.RELABEL, entry.model_dump_json()) for entry in entries),
            )

    def remove(self, chunk_ids: Iterable[str]) -> None:
        keys = [(key,) for key in chunk_ids]
        with self._transaction() as transaction:
            transaction.executemany("DELETE FROM vectors WHERE id = ?", keys)
            transaction.executemany(
                "INSERT OR REPLACE INTO changes VALUES (?, ?, NULL)",
                ((key, Change.REMOVE) for (key,) in keys),
            )

    def changed(self) -> dict[str, Change]:
        """Every chunk id that is not as in the base, and what becomes of it."""
        rows = self._connection.execute("SELECT id, change FROM changes")
        return {key: Change(change) for key, change in rows}

    def entries(self) -> Iterator[IndexEntry]:
        """Entries put or relabelled, any order."""
        rows = self._connection.execute("SELECT entry FROM changes WHERE entry IS NOT NULL")
        yield from (IndexEntry.model_validate_json(entry) for (entry,) in rows)

    def points(self, change: Change) -> Iterator[list[StagedPoint]]:
        """Points put, or relabelled, in batches."""
        rows = self._connection.execute(
            "SELECT id, entry FROM changes WHERE change = ? ORDER BY id", (change,)
        )
        while batch := list(islice(rows, _PAGE)):
            yield [self._point(key, entry) for key, entry in batch]

    def _point(self, key: str, entry: str) -> StagedPoint:
        point = StagedPoint(IndexEntry.model_validate_json(entry), {}, {})
        for name, terms, weights in self._connection.execute(
            "SELECT name, terms, weights FROM vectors WHERE id = ?", (key,)
        ):
            values = np.frombuffer(weights, dtype="<f4").tolist()
            if terms is None:
                point.dense[name] = values
            else:
                point.sparse[name] = SparseVector(
                    np.frombuffer(terms, dtype="<u4").tolist(), values
                )
        return point

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise BackendUnavailable(
                f"cannot stage changes to the index: {error}; check the free space"
            ) from error

    def close(self) -> None:
        self._connection.close()


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _vector_rows(chunk: EmbeddedChunk) -> Iterator[tuple[str, str, bytes | None, bytes]]:
    key = chunk.entry.chunk.id
    for name, vector in chunk.dense.items():
        yield key, name, None, np.asarray(vector, dtype="<f4").tobytes()
    for name, sparse in stored_sparse(chunk.sparse).items():
        terms = np.asarray(sparse.indices, dtype="<u4").tobytes()
        yield key, name, terms, np.asarray(sparse.values, dtype="<f4").tobytes()
