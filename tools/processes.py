"""Records of servers that run on their own: who they are, whether they live, how to end them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.domain.errors import BackendUnavailable

PROC = Path("/proc")
POLL_S = 0.05


class ServerRecord(BaseModel):
    """One running server, as its record file tells other processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    identity: str
    """Tells this process from a later one with the same pid."""
    url: str


def identity(pid: int) -> str | None:
    """When process `pid` was started, told exactly; None when it has ended."""
    return _identity_in_proc(pid) if (PROC / "self/stat").exists() else _identity_by_ps(pid)


def _identity_in_proc(pid: int) -> str | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the name in parentheses may hold anything, so count fields from its end;
    # state is field 3, start time in clock ticks since boot is field 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _identity_by_ps(pid: int) -> str | None:
    """Where there is no /proc, to the second."""
    told = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, started = told.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def record(path: Path, *, url: str, pid: int | None = None) -> None:
    """Say in `path` that process `pid` (default: this one) serves `url`."""
    server = os.getpid() if pid is None else pid
    started = identity(server)
    if started is None:
        raise BackendUnavailable(f"the server with pid {server} has ended already")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(
        ServerRecord(pid=server, identity=started, url=url).model_dump_json(), encoding="utf-8"
    )
    partial.replace(path)


def running(path: Path) -> ServerRecord | None:
    """The server that `path` names, None when there is none or it ended without saying so."""
    try:
        found = ServerRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return found if identity(found.pid) == found.identity else None


def forget(path: Path) -> None:
    """Take back this process's own record; another's stays."""
    found = running(path)
    if found is not None and found.pid == os.getpid():
        path.unlink(missing_ok=True)


def stop(server: ServerRecord, *, grace_s: float) -> Literal["ended", "killed"]:
    """End `server`: SIGTERM, and SIGKILL when it is still there after `grace_s` seconds.

    A process that merely has the same pid is left alone. Raises BackendUnavailable when the
    server belongs to another user.
    """
    if not _signal(server, signal.SIGTERM) or wait_until(lambda: not alive(server), grace_s):
        return "ended"
    _signal(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), grace_s)
    return "killed"


def alive(server: ServerRecord) -> bool:
    return identity(server.pid) == server.identity


def wait_until(true: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `true()` came true within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _signal(server: ServerRecord, number: signal.Signals) -> bool:
    """Send it; False when the server has ended."""
    if not alive(server):
        return False
    try:
        os.kill(server.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise BackendUnavailable(
            f"the server with pid {server.pid} belongs to another user; stop it as that user"
        ) from None
    return True
