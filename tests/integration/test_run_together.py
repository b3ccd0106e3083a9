"""Processes of one recipe start, and end, together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_engineering.recipes import launching
from llm_engineering.recipes.launching import run_together

ROOT = Path(__file__).parents[2]


def scripted(folder: Path, script: str) -> list[str]:
    (folder / "script.py").write_text("import os, sys, time, signal, pathlib\n" + script)
    return [sys.executable, str(folder / "script.py"), str(folder)]


def test_each_process_knows_its_place(tmp_path: Path) -> None:
    names = "('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR')"
    script = f"""
said = ' '.join(os.environ[name] for name in {names})
pathlib.Path(sys.argv[1], os.environ['RANK']).write_text(said + ' ' + os.environ['MASTER_PORT'])
"""
    assert run_together(scripted(tmp_path, script), count=2) == 0
    first, second = ((tmp_path / rank).read_text().split() for rank in "01")
    assert (first[:4], second[:4]) == (["0", "0", "2", "2"], ["1", "1", "2", "2"])
    assert first[4:] == second[4:]


def test_one_that_fails_ends_the_others_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that heeds no SIGTERM, as a library does that waits for the one that is gone."""
    monkeypatch.setattr(launching, "_GRACE_S", 0.5)
    script = """
if os.environ['RANK'] == '1':
    while not pathlib.Path(sys.argv[1], 'deaf').exists():
        time.sleep(0.01)
    sys.exit(7)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], 'deaf').touch()
time.sleep(600)
"""
    started = time.monotonic()
    assert run_together(scripted(tmp_path, script), count=2) == 7
    assert time.monotonic() - started < 30


def launched(folder: Path, script: str) -> "subprocess.Popen[bytes]":
    """Two processes, started by one of their own."""
    launch = (
        "import sys; from llm_engineering.recipes.launching import run_together; "
        "sys.exit(run_together(sys.argv[1:], count=2))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", launch, *scripted(folder, script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_that_ends_one_is_told_to_whoever_started_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The kernel's kill for memory is told as such, however many processes there were."""
    script = f"os.environ['RANK'] == '1' and os.kill(os.getpid(), {number.value})"
    assert launched(tmp_path, script).wait(60) == -number


def test_sigterm_reaches_all_and_their_code_comes_back(tmp_path: Path) -> None:
    script = """
def end(*_):
    pathlib.Path(sys.argv[1], 'ended' + os.environ['RANK']).touch()
    time.sleep(0.3)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], 'ready' + os.environ['RANK']).touch()
time.sleep(600)
"""
    run = launched(tmp_path, script)
    deadline = time.monotonic() + 30
    while not all((tmp_path / f"ready{rank}").exists() for rank in "01"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    assert run.wait(30) == 143
    assert all((tmp_path / f"ended{rank}").exists() for rank in "01")
