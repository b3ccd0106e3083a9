"""What every audit log keeps, and what becomes of it when the disk is full."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from llm_engineering.domain.audit import AuditEntry
from llm_engineering.infrastructure import audit_files
from llm_engineering.infrastructure.audit_files import JsonlAuditLog
from llm_engineering.infrastructure.memory_keys import MemoryAuditLog
from llm_engineering.ports.stores import AuditLog

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def entry(number: int = 0) -> AuditEntry:
    return AuditEntry(at=NOW, event="request", request_id=str(number), status=200)


def kept(folder: Path) -> list[AuditEntry]:
    """Every line of every file, each of which must be whole; oldest first."""
    rotated = sorted(folder.glob("audit.*.jsonl"), reverse=True)
    current = folder.glob("audit.jsonl")
    lines = [line for path in (*rotated, *current) for line in path.read_text().splitlines()]
    return [AuditEntry.model_validate_json(line) for line in lines]


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_what_was_noted_is_there_in_order_when_it_is_closed(kind: str, tmp_path: Path) -> None:
    memory = MemoryAuditLog()
    log: AuditLog = memory if kind == "memory" else JsonlAuditLog(tmp_path / "audit.jsonl")
    for number in range(1_000):
        log.note(entry(number))
    log.close()
    log.close()

    found = memory.entries if kind == "memory" else kept(tmp_path)
    assert found == [entry(number) for number in range(1_000)]


def test_a_log_that_was_closed_goes_on(tmp_path: Path) -> None:
    log = JsonlAuditLog(tmp_path / "audit.jsonl")
    log.note(entry(1))
    log.close()
    log.note(entry(2))
    log.close()

    assert kept(tmp_path) == [entry(1), entry(2)]


def test_nothing_is_written_before_there_is_something_to_note(tmp_path: Path) -> None:
    JsonlAuditLog(tmp_path / "logs" / "audit.jsonl").close()

    assert list(tmp_path.iterdir()) == []


def test_a_line_holds_what_is_known_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    log = JsonlAuditLog(tmp_path / "audit.jsonl")
    log.note(entry(7))
    log.close()

    path = tmp_path / "audit.jsonl"
    assert json.loads(path.read_text()) == {
        "at": "2024-05-06T07:08:09Z",
        "event": "request",
        "request_id": "7",
        "status": 200,
    }
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_is_never_longer_than_it_may_be_and_the_oldest_go(tmp_path: Path) -> None:
    for number in range(100):
        log = JsonlAuditLog(tmp_path / "audit.jsonl", max_bytes=1_000, kept=3)
        log.note(entry(number))
        log.close()

    sizes = [path.stat().st_size for path in tmp_path.glob("audit*.jsonl")]
    found = [int(each.request_id or -1) for each in kept(tmp_path)]
    assert len(sizes) == 4
    assert max(sizes) <= 1_000
    assert found == list(range(100 - len(found), 100))
    assert len(found) > 30


WRITER = """
import sys
from pathlib import Path
from tests.contract.test_audit_log import JsonlAuditLog, entry
log = JsonlAuditLog(Path(sys.argv[1]), max_bytes=20_000, kept=50)
for number in range(1_000):
    log.note(entry(number))
    if number % 50 == 0:
        log.close()
log.close()
"""


def test_processes_that_write_and_rotate_at_once_lose_no_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "audit.jsonl")]
    writers = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]

    found = sorted(int(each.request_id or -1) for each in kept(tmp_path))
    assert found == sorted([*range(1_000)] * 3)
    assert len(list(tmp_path.iterdir())) > 5


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Call with True: the disk takes ten bytes of each write, then none."""
    write = os.write
    state = {"full": False, "left": 10}

    def limited(descriptor: int, data: bytes) -> int:
        if not state["full"]:
            return write(descriptor, data)
        if state["left"] == 0:
            state["left"] = 10
            raise OSError(28, "No space left on device")
        state["left"] = 0
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", limited)

    def fill(full: bool) -> None:
        state["full"] = full

    return fill


def test_a_full_disk_is_told_once_loses_whole_lines_and_their_number_is_kept(
    tmp_path: Path, full_disk: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    log = JsonlAuditLog(tmp_path / "audit.jsonl")

    def note(*numbers: int) -> None:
        for number in numbers:
            log.note(entry(number))
            log.close()

    note(1)
    full_disk(True)
    with caplog.at_level(logging.WARNING):
        note(2, 3, 4)
    full_disk(False)
    note(5)
    full_disk(True)
    note(6)

    first, lost, last = kept(tmp_path)
    assert (first, last) == (entry(1), entry(5))
    assert (lost.event, lost.lost) == ("lines-lost", 3)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "No space left on device; requests go on" in caplog.text


def test_a_disk_that_hangs_holds_up_nobody_and_the_line_stays_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = Event()
    append = JsonlAuditLog._append

    def slow(self: JsonlAuditLog, lines: str) -> None:
        let_go.wait(timeout=60)
        append(self, lines)

    monkeypatch.setattr(JsonlAuditLog, "_append", slow)
    monkeypatch.setattr(audit_files, "WAITING", 100)
    log = JsonlAuditLog(tmp_path / "audit.jsonl")
    for number in range(2_000):
        log.note(entry(number))
    let_go.set()
    log.close()
    log.note(entry(2_000))
    log.close()

    found = kept(tmp_path)
    lost = sum(each.lost or 0 for each in found)
    assert lost >= 1_000
    assert lost + sum(each.event == "request" for each in found) == 2_001


def test_a_rotation_that_fails_closes_its_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed twice, the number may be that of somebody's connection by then."""
    log = JsonlAuditLog(tmp_path / "audit.jsonl", max_bytes=100)
    log.note(entry(1))
    log.close()
    opened, closed = [os.open], []
    taken, release = os.open, os.close

    def open_once(*arguments: Any) -> int:
        if not opened:
            raise OSError(24, "Too many open files")
        return opened.pop()(*arguments)

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        release(descriptor)

    monkeypatch.setattr(os, "open", open_once)
    monkeypatch.setattr(os, "close", close)
    with pytest.raises(OSError, match="Too many open files"):
        log._append("x" * 100)
    monkeypatch.setattr(os, "open", taken)

    assert len(closed) == 1
