"""Run a command that ends with whoever started it, however that one ends.

    python -m llm_engineering.infrastructure.leash [--remove FOLDER] GRACE_S COMMAND…

Standard input is the leash: a pipe whose other end the owner holds and never writes to. The system
closes it when the owner dies, `kill -9` included. Then, and on SIGTERM, the command gets SIGTERM;
after GRACE_S seconds, and whenever the command ended by itself, all of its process group gets
SIGKILL, so that nothing which it started stays, and FOLDER is removed. The first line of the
output is `leash: pid N`, the command's, which is also the id of its group; the exit code is the
command's, as a shell tells.

It runs in a session of its own: Ctrl-C in a terminal reaches the owner alone. Should this process
be killed itself, the kernel kills the command on Linux, and `kill_group` is left to the owner.

Needs nothing but the standard library. Does not know: what the command is.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

PID_LINE = "leash: pid "
REMOVE = "--remove"
POLL_S = 0.1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""prctl(2)."""


def main(arguments: Sequence[str]) -> int:
    folder = ""
    if arguments[0] == REMOVE:
        _, folder, *arguments = arguments
    grace_s, *command = arguments
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of the command come to us, who end them
    # This process has one thread, so the fork may run Python before it becomes the command.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=None if prctl is None else lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    print(f"{PID_LINE}{child.pid}", flush=True)  # noqa: T201
    _wait(child.pid, float(grace_s), asked)
    # What it started goes with it. It was not waited for yet, so the group's id is still its own.
    kill_group(child.pid)
    code = child.wait()
    _bury()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


def kill_group(pid: int) -> None:
    """SIGKILL to all of the group, which may be empty."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _prctl() -> Callable[[int, int], int] | None:
    """None where there is none."""
    if sys.platform != "linux":
        return None
    call: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    return call


def _wait(pid: int, grace_s: float, asked: list[int]) -> None:
    """Until the command has died: by itself, or after the leash was let go."""
    asked_at: float | None = None
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if asked_at is not None:
            if time.monotonic() > asked_at + grace_s:
                return
            time.sleep(POLL_S)
        elif asked or _let_go():
            asked_at = time.monotonic()
            os.kill(pid, signal.SIGTERM)


def _let_go() -> bool:
    """Waits for a moment; whether the other end of the leash is closed."""
    readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
    return bool(readable) and os.read(sys.stdin.fileno(), 1) == b""


def _bury() -> None:
    """Wait for the orphans that came to us, all of them killed."""
    deadline = time.monotonic() + 1
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_S / 10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
