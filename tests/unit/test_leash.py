"""A command on a leash ends with its owner, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.infrastructure import leash
from tools.processes import identity, wait_until

STAYS = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
WITH_A_CHILD = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print(child.pid, flush=True); time.sleep(60)"
)
SOON = 10.0

Held = Callable[..., "subprocess.Popen[str]"]


def leashed(program: str, *, grace_s: float) -> list[str]:
    return [sys.executable, "-I", leash.__file__, str(grace_s), sys.executable, "-c", program]


@pytest.fixture
def hold() -> Iterator[Held]:
    held: list[subprocess.Popen[str]] = []

    def run(program: str, *, grace_s: float = 5) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            leashed(program, grace_s=grace_s),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        held.append(process)
        return process

    yield run
    for process in held:
        with process:  # closes what is open
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def command_of(process: "subprocess.Popen[str]") -> int:
    return int(line(process).removeprefix(leash.PID_LINE))


def let_go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()


def gone(pid: int) -> bool:
    return wait_until(lambda: identity(pid) is None, SOON)


def test_the_exit_code_is_the_commands_own(hold: Held) -> None:
    assert hold("import sys; sys.exit(7)").wait(SOON) == 7


def test_a_command_that_is_killed_is_told_as_a_shell_tells_it(hold: Held) -> None:
    process = hold(STAYS)
    os.kill(command_of(process), signal.SIGKILL)
    assert process.wait(SOON) == 128 + signal.SIGKILL


def test_letting_go_ends_it_with_its_children(hold: Held) -> None:
    process = hold(WITH_A_CHILD)
    command, child = command_of(process), int(line(process))
    let_go(process)
    assert process.wait(SOON) == 128 + signal.SIGTERM
    assert gone(command)
    assert gone(child)


def test_what_does_not_heed_sigterm_is_killed_after_the_grace(hold: Held) -> None:
    process = hold(STUBBORN, grace_s=0.2)
    command_of(process)
    assert line(process) == "up"
    let_go(process)
    assert process.wait(SOON) == 128 + signal.SIGKILL


def test_children_of_a_command_that_died_do_not_outlive_it(hold: Held) -> None:
    process = hold(WITH_A_CHILD)
    command, child = command_of(process), int(line(process))
    os.kill(command, signal.SIGKILL)
    process.wait(SOON)
    assert gone(child)


def test_the_command_ends_when_its_owner_is_killed() -> None:
    """The owner is a process of its own, which gets no chance to clean up."""
    owner = (
        "import subprocess, sys, time; "
        f"subprocess.Popen({leashed(STAYS, grace_s=5)!r}, stdin=subprocess.PIPE, "
        "start_new_session=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as it:
        command = command_of(it)
        assert line(it) == "up"
        it.kill()
        assert gone(command)


@pytest.mark.skipif(sys.platform != "linux", reason="no prctl")
def test_its_folder_goes_with_it_when_the_owner_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "socket").touch()
    _, isolated, script, *rest = leashed(STAYS, grace_s=5)
    command = [sys.executable, isolated, script, leash.REMOVE, str(folder), *rest]
    owner = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            f"import subprocess, sys, time; subprocess.Popen({command!r}, "
            "stdin=subprocess.PIPE, stdout=sys.stdout); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert command_of(owner)
        assert folder.exists()
        owner.kill()

    assert wait_until(lambda: not folder.exists(), SOON)


def test_the_command_ends_when_the_leash_itself_is_killed(hold: Held) -> None:
    process: Any = hold(STAYS)
    command = command_of(process)
    process.kill()
    assert gone(command)
