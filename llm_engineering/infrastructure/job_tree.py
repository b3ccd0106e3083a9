"""Folders of training jobs below one root, named by their contents.

    sft-3f2a…/job/      what a runner is given; see domain/training.py
    sft-3f2a…/run.json  a StartedRun: the one that was started last
    sft-3f2a…/output/   of the completed run
    sft-3f2a…/LOCK      held, with its pid in it, by the process that runs the job
    files/              the weights of all jobs, each once; see kept_files.py
    LOCK                held by the process that writes a job

A folder is written under another name and renamed, so it is whole or not there. Its name is also
made of the recipes' version: what older arithmetic left is not taken for the result of today's.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO

from pydantic import ValidationError

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import JOB, RECIPES, RESULT, Job, JobResult
from llm_engineering.infrastructure.durable_files import write_durably
from llm_engineering.infrastructure.kept_files import KeptFiles, digest_of
from llm_engineering.ports.jobs import StartedRun

BASE = "base"
_RUN, _LOCK = "run.json", "LOCK"


class JobFolderTree:
    """`JobFolders` in `root`, which the first job makes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = KeptFiles(root / "files")

    def write(
        self,
        job: Job,
        *,
        rows: Mapping[Split, Sequence[Row]] | None = None,
        base: Path | None = None,
        adapter: Path | None = None,
    ) -> Path:
        with self._draft() as draft:
            (draft / "data").mkdir(parents=True)
            (draft / JOB).write_text(job.model_dump_json(indent=2) + "\n", "utf-8")
            for split, lines in (rows or {}).items():
                with (draft / "data" / f"{split.value}.jsonl").open("w", encoding="utf-8") as out:
                    out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
            known: dict[Path, str] = {}
            for source, name in ((base, BASE), (adapter, getattr(job, "adapter", None))):
                if source is not None and name is not None:
                    known |= self._files.place(source, draft / name)
            place = self._root / f"{job.recipe}-{_name(draft, known)}" / "job"
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                draft.rename(place)
        return place

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Where one process at a time writes a job; what a killed one left is removed."""
        draft = self._root / ".writing"
        with _writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with (self._root / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                shutil.rmtree(draft, ignore_errors=True)
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def alone(self, folder: Path, *, say: Callable[[str], None]) -> Iterator[None]:
        with ExitStack() as held:
            with _writing(self._root):
                lock = held.enter_context((folder.parent / _LOCK).open("a+", encoding="ascii"))
                _hold(lock, folder.parent.name, say)
            yield

    def last_run(self, folder: Path) -> StartedRun | None:
        path = folder.parent / _RUN
        try:
            return StartedRun.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise BackendUnavailable(
                f"{path} does not say which run was started; 'twin jobs list' shows whether one "
                f"named {folder.parent.name} goes on; delete the file to start one anew"
            ) from None

    def note_run(self, folder: Path, started: StartedRun) -> None:
        with _writing(self._root):
            write_durably(folder.parent / _RUN, started.model_dump_json(indent=2) + "\n")

    def output(self, folder: Path) -> Path:
        return folder.parent / "output"

    def clear_output(self, folder: Path) -> None:
        output = self.output(folder)
        with _writing(self._root):
            if output.exists():  # moved first: half removed, it would still look like a result
                output.rename(output.with_name(f".{output.name}.{token_hex(4)}.part"))
            for left in output.parent.glob(f".{output.name}.*.part"):
                shutil.rmtree(left)

    def result(self, folder: Path) -> JobResult | None:
        path = self.output(folder) / RESULT
        try:
            return JobResult.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise BackendUnavailable(
                f"{path} is not the result of a job; delete {folder.parent} and train again"
            ) from None


def _name(folder: Path, known: Mapping[Path, str]) -> str:
    """By the contents of a job, and the arithmetic that it is run with."""
    contents = f"recipes {RECIPES}\n{digest_of(folder, known=known)}"
    return hashlib.sha256(contents.encode()).hexdigest()[:12]


def _hold(lock: IO[str], name: str, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        who = lock.read().strip() or "of another command"
        say(f"{name} is being run by process {who}: waiting for its result")
        fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write the job in {root}: {_why(error)}; free some space, or set "
            "TWIN_HOME to a folder of yours"
        ) from error


def _why(error: OSError) -> str:
    if isinstance(error, shutil.Error):  # of copytree: (from, to, why) of each file
        _, _, why = error.args[0][0]
        return str(why).partition("] ")[2] or str(why)
    return error.strerror or str(error)
