"""Records of servers: who is alive, who is a stranger, how each is ended."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools import processes
from tools.processes import ServerRecord

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program that says a line when it is up; all are ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        return child

    yield run
    for child in started:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def record_of(child: "subprocess.Popen[str]") -> ServerRecord:
    identity = processes.identity(child.pid)
    assert identity is not None
    return ServerRecord(pid=child.pid, identity=identity, url="http://127.0.0.1:1")


def test_a_record_names_the_process_that_made_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "api.json"
    processes.record(path, url="http://127.0.0.1:1")

    found = processes.running(path)

    assert found is not None
    assert (found.pid, found.url) == (os.getpid(), "http://127.0.0.1:1")
    assert list(path.parent.iterdir()) == [path]


def test_a_process_forgets_its_own_record_only(tmp_path: Path, start: Start) -> None:
    mine, other = tmp_path / "mine.json", tmp_path / "other.json"
    processes.record(mine, url="http://127.0.0.1:1")
    other.write_text(record_of(start(SLEEPS)).model_dump_json())

    processes.forget(mine)
    processes.forget(other)

    assert not mine.exists()
    assert processes.running(other) is not None


@pytest.mark.parametrize("content", [None, "", "{", '{"pid": 1}'])
def test_a_missing_or_broken_record_means_that_none_runs(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "api.json"
    if content is not None:
        path.write_text(content)

    assert processes.running(path) is None


def test_a_server_that_died_is_not_running(tmp_path: Path, start: Start) -> None:
    path, child = tmp_path / "api.json", start(SLEEPS)
    path.write_text(record_of(child).model_dump_json())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie

    assert processes.running(path) is None


def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path: Path, start: Start) -> None:
    path, stranger = tmp_path / "api.json", start(SLEEPS)
    stale = ServerRecord(pid=stranger.pid, identity="an earlier one", url="http://127.0.0.1:1")
    path.write_text(stale.model_dump_json())

    assert processes.running(path) is None
    assert processes.stop(stale, grace_s=60) == "ended"
    assert stranger.poll() is None


def test_a_server_is_ended_by_asking(start: Start) -> None:
    child = start(SLEEPS)

    assert processes.stop(record_of(child), grace_s=60) == "ended"
    assert child.wait() < 0


def test_a_server_that_does_not_listen_is_killed(start: Start) -> None:
    child = start(IGNORES_SIGTERM)
    server = record_of(child)

    assert processes.stop(server, grace_s=0.2) == "killed"
    assert not processes.alive(server)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps on this machine")
def test_without_proc_a_process_is_told_by_ps(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROC", Path("/no/such/folder"))
    child = start(SLEEPS)

    told = processes.identity(child.pid)
    again = processes.identity(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert told is not None
    assert told == again
    assert processes.identity(child.pid) is None
