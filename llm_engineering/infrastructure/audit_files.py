"""The audit log as JSON lines in a file that is rotated by size.

Lines are written by a thread of their own, so that no request waits for the disk. Several
processes may write to one file: each takes the file's lock for the lines it appends.
"""

import fcntl
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

from llm_engineering.domain.audit import AuditEntry

MAX_BYTES, KEPT = 10_000_000, 5
WAITING = 10_000
"""Entries that may wait for the disk; past it they are lost, and counted."""
AT_ONCE = 500

log = logging.getLogger(__name__)


class JsonlAuditLog:
    """An `AuditLog` in `path`, with the `kept` files before it as `<name>.1.<suffix>` and on.

    A full disk loses lines, never requests: one warning when it begins, and a line with the
    number of lost ones when it is over.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._waiting: SimpleQueue[AuditEntry | None] = SimpleQueue()
        self._guard = Lock()
        """Of the number of lost lines."""
        self._running = Lock()
        """Of the thread."""
        self._thread: Thread | None = None
        self._lost = 0
        self._warned = False

    def note(self, entry: AuditEntry) -> None:
        if self._waiting.qsize() >= WAITING:
            with self._guard:
                self._lost += 1
            return
        self._waiting.put(entry)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        with self._running:
            if self._thread is not None:
                self._waiting.put(None)
                self._thread.join()
                self._thread = None

    def _start(self) -> None:
        with self._running:
            if self._thread is None:
                self._thread = Thread(target=self._write_all, name="audit", daemon=True)
                self._thread.start()

    def _write_all(self) -> None:
        open_ = True
        while open_:
            batch = [self._waiting.get()]
            while len(batch) < AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get())
            open_ = None not in batch
            self._write([entry for entry in batch if entry is not None])

    def _write(self, entries: Sequence[AuditEntry]) -> None:
        with self._guard:
            lost, self._lost = self._lost, 0
        if lost:
            note = AuditEntry(at=datetime.now(UTC), event="lines-lost", lost=lost)
            entries = [note, *entries]
        try:
            self._append("".join(f"{e.model_dump_json(exclude_none=True)}\n" for e in entries))
            self._warned = False
        except OSError as error:
            with self._guard:
                self._lost += lost + len(entries) - bool(lost)
            if not self._warned:
                self._warned = True
                log.warning(
                    "%s: %s; requests go on, but the audit log loses them until it can be written",
                    self._path,
                    error.strerror,
                )

    def _append(self, lines: str) -> None:
        data = lines.encode()
        if not data:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = self._locked()
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(data) > self._max_bytes:
                self._rotate()
                fresh = self._locked()  # before the old one is closed: it may raise
                os.close(descriptor)
                descriptor = fresh
                size = os.fstat(descriptor).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            except OSError:
                os.ftruncate(descriptor, size)  # half a line would spoil the next one too
                raise
        finally:
            os.close(descriptor)

    def _locked(self) -> int:
        """The file, open and locked; the one that has the name, not one that just lost it."""
        while True:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_ino == self._path.stat().st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _rotate(self) -> None:
        """Called with the file locked, so that no other process rotates as well."""
        for number in range(self._kept, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        suffix = f".{number}{self._path.suffix}" if number else self._path.suffix
        return self._path.with_suffix(suffix)
