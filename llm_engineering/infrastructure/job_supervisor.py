"""Start one recipe, wait for it, write down how it ended: the parent of every local run.

    python -m llm_engineering.infrastructure.job_supervisor ATTEMPT GRACE_S COMMAND…

It runs in a run's folder and in a session of its own, so it and the recipe outlive whoever
submitted the run. Two locks tell other processes who lives, whatever became of the pids:

    supervisor.lock   held while this process lives
    recipe.lock       held while this process, the recipe or a child of the recipe lives

    started.json      Started, before the first line of the log
    stop              asks for the end: SIGTERM to the recipe, SIGKILL after GRACE_S seconds
    ended.json        Ended, after the last line of the log

Needs nothing but the standard library, so that it costs a few megabytes beside a training.
Does not know: what a job is.
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

SUPERVISOR_LOCK, RECIPE_LOCK = "supervisor.lock", "recipe.lock"
STARTED, STOP, ENDED, LOG = "started.json", "stop", "ended.json", "log.txt"
POLL_S = 0.1
VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True)
class Started:
    """An attempt is under way."""

    attempt: int
    recipe_pid: int
    """Also the id of its process group."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended."""

    attempt: int
    code: int
    """Exit code; below zero: minus the signal."""
    memory_kill: bool
    """Whether the kernel killed something for memory in the moment when the recipe died."""


def main(arguments: Sequence[str]) -> int:
    attempt, grace_s, *command = arguments
    # A machine that shuts down asks every process; the recipe gets its time for a checkpoint.
    signal.signal(signal.SIGTERM, lambda *_: Path(STOP).touch())
    supervise(Path.cwd(), command, attempt=int(attempt), grace_s=float(grace_s), vmstat=VMSTAT)
    return 0


def supervise(
    folder: Path, command: Sequence[str], *, attempt: int, grace_s: float, vmstat: Path
) -> Ended:
    """Run `command` in `folder` to its end, its output appended to the log there."""
    with (
        (folder / SUPERVISOR_LOCK).open("a") as own,
        (folder / RECIPE_LOCK).open("a") as shared,
        (folder / LOG).open("ab") as log,
    ):
        fcntl.flock(own, fcntl.LOCK_EX)
        fcntl.flock(shared, fcntl.LOCK_EX)
        recipe = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            pass_fds=(shared.fileno(),),
        )
        _write(folder / STARTED, Started(attempt, recipe.pid))
        memory_kill = _wait(recipe, folder / STOP, grace_s=grace_s, vmstat=vmstat)
        _end_line(log, folder / LOG)
        ended = Ended(attempt, recipe.returncode, memory_kill)
        _write(folder / ENDED, ended)
        return ended


def memory_kills(vmstat: Path) -> int:
    """How often the kernel killed for memory since it started; 0 where it does not tell."""
    try:
        told = re.search(r"^oom_kill (\d+)$", vmstat.read_text("ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(told[1]) if told else 0


def _wait(recipe: "subprocess.Popen[bytes]", stop: Path, *, grace_s: float, vmstat: Path) -> bool:
    """Whether there was a memory kill between the last look at the living recipe and its end."""
    asked_at: float | None = None
    kills = memory_kills(vmstat)
    while True:
        seen = memory_kills(vmstat)
        if _has_died(recipe.pid):
            break
        kills = seen
        if asked_at is None and stop.exists():
            asked_at = time.monotonic()
            os.killpg(recipe.pid, signal.SIGTERM)
        elif asked_at is not None and time.monotonic() > asked_at + grace_s:
            os.killpg(recipe.pid, signal.SIGKILL)
        time.sleep(POLL_S)
    # What it started goes with it. It was not waited for yet, so the group's id is still its own.
    os.killpg(recipe.pid, signal.SIGKILL)
    recipe.wait()
    return memory_kills(vmstat) > kills


def _has_died(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_line(log: IO[bytes], path: Path) -> None:
    """A line that was cut short by death ends here, not in the words of the next attempt."""
    with path.open("rb") as written:
        if written.seek(0, os.SEEK_END) == 0:
            return
        written.seek(-1, os.SEEK_END)
        if written.read(1) == b"\n":
            return
    log.write(b"\n")
    log.flush()


def _write(path: Path, record: Started | Ended) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(asdict(record)), encoding="ascii")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
