"""One SQLite file opened safely: a connection per thread, WAL, schema versions, errors in one line.

Does not know: what is kept in the file.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local
from weakref import WeakSet

from llm_engineering.domain.errors import BackendUnavailable

BUSY_S = 30.0
"""How long to wait for another process that writes."""
FORGET_S = 2.0
"""How long to wait for those who read, while the log is to be emptied."""

Migrations = Sequence[Sequence[str]]
"""Statements that lead from one schema version to the next; the file's version counts them."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Handle:
    connection: sqlite3.Connection
    file: tuple[int, int]
    """Device and inode: a file deleted and made anew is another one."""
    lock: Lock = field(default_factory=Lock)
    closed: bool = False

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self.connection.close()

    def __del__(self) -> None:
        # Its thread ended. A sqlite3 connection refers to itself: alone, it would await the
        # garbage collector with its files open.
        self.connection.close()


class SqliteFile:
    """Connections to `path`, made when needed; the connection of a thread that ended is closed.

    What is deleted or replaced is overwritten in the file; the log beside it (`-wal`) holds it
    until `forget`.
    """

    def __init__(self, path: Path, *, migrations: Migrations) -> None:
        self._path = path.absolute()
        self._migrations = migrations
        self._local = local()
        self._handles: WeakSet[_Handle] = WeakSet()
        self._guard = Lock()
        self._owed = True
        """The log was to be emptied, and somebody was reading, or the process was killed before."""

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, or None when there is no file yet. Raises BackendUnavailable."""
        with self._explained():
            handle = self._acquire() if self._file() else None
            try:
                yield handle.connection if handle else None
            finally:
                if handle:
                    handle.lock.release()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept whole or not at all. Raises BackendUnavailable."""
        with self._explained():
            self._make_folder()
            handle = self._acquire()
            try:
                handle.connection.execute("BEGIN IMMEDIATE")
                with handle.connection:
                    yield handle.connection
                if self._owed:
                    self._empty_log(handle.connection, within_s=0)
            finally:
                handle.lock.release()

    def forget(self) -> None:
        """Empty the log, after the transaction that took something away: its bytes are then in no
        file any more.

        Who reads or writes meanwhile holds it off. After FORGET_S this returns all the same, and
        what this process writes next tries again, as do the first writing of every other process
        and the last one to close the file. Raises BackendUnavailable.
        """
        with self._explained():
            if self._file() is None:
                return
            handle = self._acquire()
            try:
                self._empty_log(handle.connection, within_s=FORGET_S)
            finally:
                handle.lock.release()

    def _empty_log(self, connection: sqlite3.Connection, *, within_s: float) -> None:
        # SQLite would wait by itself, but keep every writer waiting as long.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            deadline = time.monotonic() + within_s
            while busy := connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.005)
            self._owed = bool(busy)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1e3:.0f}")

    def close(self) -> None:
        """Close every thread's connection once it is idle; the next call opens a new one."""
        with self._guard:
            handles = list(self._handles)
            self._handles.clear()
        for handle in handles:
            handle.close()

    def _acquire(self) -> _Handle:
        """This thread's handle, locked: `close` waits until it is released."""
        while True:
            handle: _Handle | None = getattr(self._local, "handle", None)
            if handle is None or handle.closed or handle.file != self._file():
                if handle is not None:
                    handle.close()
                handle = self._local.handle = self._open()
                with self._guard:
                    self._handles.add(handle)
            handle.lock.acquire()
            if not handle.closed:
                return handle
            handle.lock.release()

    def _open(self) -> _Handle:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            if self._version(connection) < len(self._migrations):
                _use_wal(connection)
                self._migrate(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            file = self._file()
            if file is None:
                raise BackendUnavailable(f"{self._path} was deleted while it was opened; try again")
        except BaseException:
            connection.close()
            raise
        return _Handle(connection, file)

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._migrations):
            raise BackendUnavailable(
                f"{self._path} has schema version {version}, this llm-twin knows up to"
                f" {len(self._migrations)}; update llm-twin, or point TWIN_HOME elsewhere"
            )
        return version

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            version = self._version(connection)
            if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise BackendUnavailable(
                    f"{self._path} is a database of another program; point TWIN_HOME elsewhere"
                )
            for statements in self._migrations[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")

    def _file(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _make_folder(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackendUnavailable(
                f"{self._path}: {error.strerror}; TWIN_HOME must be a folder that you may write to"
            ) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The latter when damaged bytes end up in SQLite's own message.
            raise BackendUnavailable(f"{self._path}: {_explain(error)}") from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once; SQLite itself does not wait to make this switch."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _code(error: Exception) -> int:
    """Primary result code; an error of the Python layer, which has none, is unreadable content."""
    extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return extended & 0xFF


def _explain(error: Exception) -> str:
    message = " ".join(str(error).split())
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another process keeps it locked for over {BUSY_S:g} s; wait for that process"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return f"{message}; free some space, or move TWIN_HOME to a sound disk"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_ERROR:
            return f"damaged ({message}); restore a backup, or move it away and crawl again"
        case _:
            return f"{message}; TWIN_HOME must be a folder that you may write to"
