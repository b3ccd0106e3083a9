"""Changes to an index that is not published yet, kept in one SQLite file.

What a call returned from has been committed, so a builder that is killed loses nothing, and the
next one goes on from the same file. The base index itself is not touched.

Does not know: what the changes will be applied to.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.domain.chunks import IndexEntry, IndexManifest
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.vectors import EmbeddedChunk, SparseVector

_PAGE = 150
"""Chunks in one batch, of some seven sentences each."""
_SCHEMA = """
CREATE TABLE origin (value TEXT NOT NULL);
CREATE TABLE changes (id TEXT PRIMARY KEY, change TEXT NOT NULL, entry TEXT);
CREATE TABLE vectors (id TEXT NOT NULL, name TEXT NOT NULL, starts BLOB, terms BLOB, weights BLOB);
CREATE INDEX vectors_of ON vectors (id);
"""
"""`vectors` has a row per chunk and name. Dense: the rows in half precision, one after the other.
Sparse: row i is [starts[i], starts[i + 1]) of terms and weights."""


class Origin(BaseModel):
    """What a build started from; only a build with an equal one may continue it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """Version that was current; '' for none."""
    fresh: bool
    manifest: IndexManifest


class Change(StrEnum):
    """What becomes of a chunk."""

    PUT = "put"
    RELABEL = "relabel"
    """Its entry is replaced, its vectors stay."""
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """A chunk to write, with the vectors of its sentences unless those of the base stay."""

    entry: IndexEntry
    dense: dict[str, NDArray[np.float16]]
    sparse: dict[str, list[SparseVector]]

    @classmethod
    def of(cls, chunk: EmbeddedChunk) -> "StagedChunk":
        dense = {name: rows.astype(np.float16) for name, rows in chunk.dense.items()}
        return cls(chunk.entry, dense, {name: [*rows] for name, rows in chunk.sparse.items()})

    @property
    def sentences(self) -> int:
        """How many have vectors here."""
        return max((len(rows) for rows in self.dense.values()), default=0)


class StagedChanges:
    """The latest change of each chunk id. For one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, *, dimension: int) -> None:
        """`dimension` is that of the dense vectors."""
        self._connection = connection
        self._dimension = dimension

    @classmethod
    def create(cls, path: Path, origin: Origin) -> "StagedChanges":
        """A new file; `path` must not exist."""
        changes = cls(_connected(path), dimension=origin.manifest.dimension)
        with changes._transaction() as transaction:
            transaction.executescript(f"BEGIN; {_SCHEMA}")
            transaction.execute("INSERT INTO origin VALUES (?)", (origin.model_dump_json(),))
        return changes

    @classmethod
    def open(cls, path: Path, origin: Origin) -> "StagedChanges | None":
        """The changes in `path`; None when it has none that started from `origin`."""
        if origin_of(path) != origin:
            return None
        return cls(_connected(path), dimension=origin.manifest.dimension)

    def put(self, chunks: Sequence[StagedChunk]) -> None:
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
                "INSERT INTO vectors VALUES (?, ?, ?, ?, ?)",
                (row for chunk in chunks for row in _vector_rows(chunk)),
            )

    def relabel(self, entries: Iterable[IndexEntry]) -> None:
        """Each entry must be of a chunk that exists, here or in the base."""
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

    def chunks(self, change: Change) -> Iterator[list[StagedChunk]]:
        """Chunks put, or relabelled, in batches."""
        rows = self._connection.execute(
            "SELECT id, entry FROM changes WHERE change = ? ORDER BY id", (change,)
        )
        while batch := list(islice(rows, _PAGE)):
            yield [self._chunk(key, entry) for key, entry in batch]

    def _chunk(self, key: str, entry: str) -> StagedChunk:
        chunk = StagedChunk(IndexEntry.model_validate_json(entry), {}, {})
        for name, starts, terms, weights in self._connection.execute(
            "SELECT name, starts, terms, weights FROM vectors WHERE id = ?", (key,)
        ):
            if starts is None:
                rows = np.frombuffer(weights, dtype="<f2")
                chunk.dense[name] = rows.reshape(-1, self._dimension)
            else:
                chunk.sparse[name] = _sparse_rows(starts, terms, weights)
        return chunk

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


def origin_of(path: Path) -> Origin | None:
    """Of the changes in `path`; None when there are none that can be read."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute("SELECT value FROM origin").fetchone()
            return Origin.model_validate_json(found[0]) if found else None
        except (sqlite3.DatabaseError, ValidationError):
            return None  # killed before its first transaction, damaged, or written otherwise


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # The file is deleted at its end: what the log has need not be written a second time.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _vector_rows(
    chunk: StagedChunk,
) -> Iterator[tuple[str, str, bytes | None, bytes | None, bytes]]:
    key = chunk.entry.chunk.id
    for name, rows in chunk.dense.items():
        yield key, name, None, None, rows.astype("<f2", copy=False).tobytes()
    for name, vectors in chunk.sparse.items():
        starts = np.cumsum([0, *(len(vector.indices) for vector in vectors)])
        terms = b"".join(vector.indices.astype("<u4").tobytes() for vector in vectors)
        weights = b"".join(vector.values.astype("<f4").tobytes() for vector in vectors)
        yield key, name, starts.astype("<u4").tobytes(), terms, weights


def _sparse_rows(starts: bytes, terms: bytes, weights: bytes) -> list[SparseVector]:
    indices, values = np.frombuffer(terms, dtype="<u4"), np.frombuffer(weights, dtype="<f4")
    return [
        SparseVector(indices[start:end], values[start:end])
        for start, end in pairwise(np.frombuffer(starts, dtype="<u4").tolist())
    ]
