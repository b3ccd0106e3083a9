"""What the folder of a local run tells: whether it is alive, how it ended and why.

Does not know: how runs are started or stopped.
"""

import fcntl
import json
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.domain.training import ERROR, RESULT
from llm_engineering.infrastructure.job_supervisor import (
    ENDED,
    LOG,
    RECIPE_LOCK,
    STARTED,
    STOP,
    Ended,
    Started,
)
from llm_engineering.ports.jobs import JobState, JobStatus

RECORD = "run.json"
STARTS_WITHIN = timedelta(seconds=30)

_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)
_LAST_WORDS_BYTES = 4_096
_LONGEST_REASON = 1_000
_TellsT = TypeVar("_TellsT", Started, Ended)


class RunRecord(BaseModel):
    """What the runner keeps of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    attempt: int
    started_at: datetime
    """Of this attempt."""


def record_of(folder: Path) -> RunRecord | None:
    """None when the run's first attempt was not reached, or its record is damaged."""
    try:
        return RunRecord.model_validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def keep_record(folder: Path, record: RunRecord) -> None:
    part = folder / f".{RECORD}.part"
    part.write_text(record.model_dump_json(), encoding="utf-8")
    part.replace(folder / RECORD)


def status_of(folder: Path, *, now: datetime) -> JobStatus:
    """Of the latest attempt."""
    record = record_of(folder)
    if record is None:
        return JobStatus(state=JobState.FAILED, reason="it was never started")
    for _ in range(2):  # it may end between the look for its end and the look at its lock
        ended = told(folder / ENDED, Ended, attempt=record.attempt)
        if ended is not None:
            return _verdict(folder, ended)
        if is_held(folder / RECIPE_LOCK):
            reason = "stopping" if (folder / STOP).exists() else ""
            return JobStatus(state=JobState.RUNNING, reason=reason)
    started = told(folder / STARTED, Started, attempt=record.attempt)
    if started is None and now < record.started_at + STARTS_WITHIN:
        return JobStatus(state=JobState.QUEUED)
    if (folder / "output" / RESULT).exists():  # the last thing that a recipe writes
        return JobStatus(state=JobState.COMPLETED)
    if (folder / STOP).exists():
        return JobStatus(state=JobState.STOPPED, reason="on request")
    return JobStatus(
        state=JobState.FAILED,
        reason="it ended together with its supervisor: both were killed, or the machine went down",
    )


def told(path: Path, kind: type[_TellsT], *, attempt: int) -> _TellsT | None:
    """What the supervisor of that attempt wrote to `path`."""
    try:
        found = kind(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.attempt == attempt else None


def is_held(lock: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with lock.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _verdict(folder: Path, ended: Ended) -> JobStatus:
    if ended.code == 0 and (folder / "output" / RESULT).exists():
        return JobStatus(state=JobState.COMPLETED)
    if (folder / STOP).exists():
        return JobStatus(state=JobState.STOPPED, reason="on request")
    if ended.code in _TERMINATED:
        return JobStatus(state=JobState.STOPPED, reason="somebody sent it SIGTERM")
    return JobStatus(state=JobState.FAILED, reason=_why(folder, ended)[:_LONGEST_REASON])


def _why(folder: Path, ended: Ended) -> str:
    if ended.code == -signal.SIGKILL and ended.memory_kill:
        return (
            "killed for memory: this machine had none left (signal 9); "
            "lower optimizer.batch_size or optimizer.max_length"
        )
    if ended.code < 0:
        return f"ended by signal {-ended.code} ({signal.Signals(-ended.code).name})"
    try:
        error = (folder / "output" / ERROR).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        error = ""
    words = " ".join(error.split()) or _last_words(folder / LOG)
    if ended.code == 0:
        return "it ended without a result" + (f"; its last words: {words}" if words else "")
    return words or f"it ended with exit code {ended.code} and said nothing"


def _last_words(log: Path) -> str:
    """The last line that holds anything."""
    with log.open("rb") as opened:
        opened.seek(max(0, log.stat().st_size - _LAST_WORDS_BYTES))
        lines = opened.read().decode("utf-8", errors="replace").splitlines()
    return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
