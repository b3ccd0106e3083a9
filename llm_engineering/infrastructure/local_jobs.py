"""Training jobs as processes of this machine, one folder each.

    <home>/runs/<id>/
        job/            copy of the job's folder
        output/         what the recipe leaves
        checkpoints/    what it goes on from
        log.txt         everything it said, in all attempts
        run.json        RunRecord
        …               what job_supervisor.py keeps

A run goes on when the one who submitted it dies, and when a terminal closes. Whoever asks later
reads the files and locks of the folder; no pid is trusted that no lock vouches for.
Does not know: what recipes do.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from threading import Thread

import llm_engineering
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.domain.training import ERROR, JOB, RESULT
from llm_engineering.infrastructure.durable_files import sync_tree
from llm_engineering.infrastructure.job_folders import (
    checked_job,
    is_run,
    new_run,
    newest_first,
    no_such_run,
)
from llm_engineering.infrastructure.job_supervisor import (
    ENDED,
    LOG,
    RECIPE_LOCK,
    STARTED,
    STOP,
    SUPERVISOR_LOCK,
    Ended,
    Started,
)
from llm_engineering.infrastructure.kept_files import link_or_copy
from llm_engineering.infrastructure.local_run_folder import (
    STARTS_WITHIN,
    RunRecord,
    is_held,
    keep_record,
    record_of,
    status_of,
    told,
)
from llm_engineering.ports.jobs import JobState, JobStatus

GRACE_S = 60.0
"""From SIGTERM to SIGKILL: time for a last checkpoint."""
RECIPES = "llm_engineering.recipes"

_POLL_S = 0.02


class LocalJobRunner:
    """Runs in `folder`, which need not exist yet; `recipes` is the package of their modules."""

    def __init__(
        self,
        folder: Path,
        *,
        grace_s: float = GRACE_S,
        recipes: str = RECIPES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder.absolute()
        self._grace_s = grace_s
        self._recipes = recipes
        self._clock = clock
        self._read: dict[str, tuple[int, int]] = {}
        """Run -> number of a line, and where it begins in the log: a poll reads on from there."""

    def place(self) -> str:
        with _writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / f".{secrets.token_hex(4)}.part"
            probe.touch()
            probe.unlink()
        return f"processes of this machine, in {self._folder}"

    @property
    def where(self) -> str:
        return "this machine"  # a home that is moved takes its runs along

    def submit(
        self, folder: Path, *, name: str, announce: Callable[[str], None] | None = None
    ) -> str:
        job = checked_job(folder)
        now = self._clock()
        run = new_run(name, now=now, token=secrets.token_hex(2))
        if announce is not None:
            announce(run)
        record = RunRecord(recipe=job.recipe, attempt=1, started_at=now)
        part, place = self._folder / f".{run}.part", self._folder / run
        with _writing(self._folder):
            try:
                part.mkdir(parents=True)
                # Links are followed: a base model that is one comes along.
                shutil.copytree(folder, part / "job", copy_function=link_or_copy)
                (part / "output").mkdir()
                (part / "checkpoints").mkdir()
                keep_record(part, record)
                part.rename(place)
                self._start(place, record)
            except OSError:
                shutil.rmtree(place, ignore_errors=True)  # a run that did not come about
                raise
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return run

    def status(self, run: str) -> JobStatus:
        return status_of(self._path(run), now=self._clock())

    def lines(self, run: str, *, after: int = 0) -> Sequence[str]:
        path = self._path(run) / LOG
        number, offset = self._read.get(run, (0, 0))
        if after < number:
            number, offset = 0, 0
        try:
            with path.open("rb") as log:
                log.seek(offset)
                whole = log.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        skipped, found = whole[: after - number], whole[after - number :]
        if found:
            self._read[run] = after, offset + sum(len(line) + 1 for line in skipped)
        return [_shown(line) for line in found]

    def stop(self, run: str) -> None:
        with self._changing(run) as folder:
            if self.status(run).state.ended:
                return
            (folder / STOP).touch()
            if not is_held(folder / SUPERVISOR_LOCK):
                self._end_orphan(folder)

    def resume(self, run: str) -> None:
        with self._changing(run) as folder:
            state = self.status(run).state
            if state not in (JobState.FAILED, JobState.STOPPED):
                raise InvalidInput(f"{run} is {state}; only a failed or stopped run can be resumed")
            before = record_of(folder)
            for stale in (folder / STOP, folder / "output" / RESULT, folder / "output" / ERROR):
                stale.unlink(missing_ok=True)
            record = RunRecord(
                recipe=checked_job(folder / "job").recipe,
                attempt=before.attempt + 1 if before else 1,
                started_at=self._clock(),
            )
            keep_record(folder, record)
            self._start(folder, record)

    def fetch(self, run: str, into: Path) -> Path:
        status = self.status(run)
        if status.state is not JobState.COMPLETED:
            why = f": {status.reason}" if status.reason else ""
            raise InvalidInput(f"{run} has no result, it is {status.state}{why}")
        into = into.absolute()
        with _writing(into):
            if into.exists() and (not into.is_dir() or any(into.iterdir())):
                raise InvalidInput(f"{into} exists already; name a new or empty folder")
            part = into.with_name(f".{into.name}.{secrets.token_hex(4)}.part")
            try:
                part.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(self._path(run) / "output", part)
                sync_tree(part)
                part.rename(into)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return into

    def runs(self) -> Sequence[str]:
        try:
            return newest_first(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _path(self, run: str) -> Path:
        folder = self._folder / run
        if not is_run(run) or not folder.is_dir():
            raise no_such_run(run, self.runs())
        return folder

    @contextmanager
    def _changing(self, run: str) -> Iterator[Path]:
        """The run's folder, for one at a time: two that resume start one attempt."""
        folder = self._path(run)
        with _writing(folder), (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder

    def _start(self, folder: Path, record: RunRecord) -> None:
        """Start an attempt and wait until it is under way."""
        with (folder / LOG).open("ab") as log:
            if record.attempt > 1:
                log.write(f"--- attempt {record.attempt}\n".encode())
                log.flush()
            supervisor = subprocess.Popen(
                self._command(record),
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + STARTS_WITHIN.total_seconds()
        while told(folder / STARTED, Started, attempt=record.attempt) is None:
            if (code := supervisor.poll()) is not None:
                ended = Ended(record.attempt, code or 1, memory_kill=False)
                (folder / ENDED).write_text(dumps(asdict(ended)), encoding="ascii")
                return
            if time.monotonic() > deadline:
                break  # its status says so
            time.sleep(_POLL_S)
        Thread(target=supervisor.wait, daemon=True).start()  # or it would stay as a zombie

    def _command(self, record: RunRecord) -> list[str]:
        supervisor = "llm_engineering.infrastructure.job_supervisor"
        recipe = f"{self._recipes}.{record.recipe}"
        return [
            *(sys.executable, "-m", supervisor, str(record.attempt), str(self._grace_s)),
            *(sys.executable, "-m", recipe, f"job/{JOB}"),
            *("--output", "output", "--checkpoints", "checkpoints"),
        ]

    def _end_orphan(self, folder: Path) -> None:
        """Stop a recipe whose supervisor was killed.

        While its lock is held, one of its process group lives, so the group's id is still its own.
        """
        record = record_of(folder)
        started = told(folder / STARTED, Started, attempt=record.attempt if record else 0)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if started is None or not is_held(folder / RECIPE_LOCK):
                return
            os.killpg(started.recipe_pid, number)
            deadline = time.monotonic() + self._grace_s
            while is_held(folder / RECIPE_LOCK) and time.monotonic() < deadline:
                time.sleep(_POLL_S)


def _environment() -> dict[str, str]:
    """Of the recipe: ours but for our settings, whose secrets are none of its business."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
    source = Path(llm_engineering.__file__).parents[1]
    if source.name != "site-packages":  # a checkout that is found by the working directory only
        known = environ.get("PYTHONPATH")
        environ["PYTHONPATH"] = f"{source}{os.pathsep}{known}" if known else str(source)
    return environ | {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}


def _shown(line: bytes) -> str:
    """A bar redraws its line after each carriage return: what it came to in the end."""
    return line.decode("utf-8", errors="replace").rstrip("\r").rpartition("\r")[2]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises BackendUnavailable where the file system refuses."""
    try:
        yield
    except shutil.Error as error:  # of copytree: (from, to, why) of each file
        why = str(error.args[0][0][2]).partition("] ")[2] or str(error.args[0][0][2])
        raise _unwritable(folder, why) from None
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None


def _unwritable(folder: Path, why: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"cannot write in {folder}: {why}; check its permissions and the free space"
    )
