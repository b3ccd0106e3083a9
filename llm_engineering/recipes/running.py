"""How every training recipe is called, and how it ends.

    python -m llm_engineering.recipes.<recipe> FOLDER/job.json --output DIR --checkpoints DIR

Exit code 0 with `result.json`; 1 with one line in `error.txt`; 143 after SIGTERM and a checkpoint.
Standard output holds events, one JSON object a line; all other text goes to standard error.

Does not know: what a recipe does between its job and its result.
"""

import argparse
import contextlib
import errno
import json
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from llm_engineering.domain.errors import InvalidInput, TwinError
from llm_engineering.domain.training import ERROR, METRICS, RESULT, JobResult, StepEvent
from llm_engineering.recipes.launching import (
    leave_the_others,
    module_command,
    processes_here,
    run_together,
)

STOPPED = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_SAYS_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "file write failed",
)
"""How writers that are no Python (safetensors, torch's archives) tell of a full disk."""
_LOG = logging.getLogger(__name__)

JobT = TypeVar("JobT", bound=BaseModel)
Read = TypeVar("Read")


class Stopped(Exception):
    """SIGTERM came; the checkpoint is written."""


@dataclass
class Run:
    """The folders of one run, and where its events go."""

    folder: Path
    """Of the job; its relative paths start here."""
    output: Path
    checkpoints: Path
    events: TextIO
    started: float = field(default_factory=time.monotonic)
    stop_asked: bool = False
    """SIGTERM came: end at the next step."""
    can_stop: bool = False
    """Whether somebody looks at `stop_asked`; otherwise SIGTERM ends the process at once."""

    @property
    def is_first(self) -> bool:
        """Of the processes of `accelerate launch`, one writes and speaks."""
        return os.environ.get("RANK", "0") == "0"

    def tell(self, stage: str, step: int, steps: int, **metrics: float) -> None:
        """One event: a line of standard output and of metrics.jsonl."""
        if not self.is_first:
            return
        line = StepEvent(stage=stage, step=step, steps=steps, metrics=metrics).model_dump_json()
        with (self.output / METRICS).open("a", encoding="utf-8") as metrics_file:
            metrics_file.write(line + "\n")
        print(line, file=self.events, flush=True)

    def forget_after(self, step: int) -> None:
        """Drop the events past `step`, which a resumed run tells again, and a half-written line."""
        path = self.output / METRICS
        if not self.is_first or not path.exists():
            return
        whole = [line for line in path.read_text("utf-8").splitlines(keepends=True) if "\n" in line]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        write_whole(path, "".join(kept))


def run_recipe(
    main: Callable[[JobT, Run], JobResult], kind: type[JobT], arguments: Sequence[str]
) -> int:
    """Read the job, call `main`, leave its result or the line that says why there is none."""
    name = str(kind.model_fields["recipe"].default)
    parser = argparse.ArgumentParser(prog=f"llm_engineering.recipes.{name}")
    parser.add_argument("job", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    named = parser.parse_args(list(arguments))
    run = Run(named.job.parent.resolve(), named.output, named.checkpoints, events=sys.stdout)
    level = logging.INFO if run.is_first else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    try:
        with contextlib.redirect_stdout(sys.stderr), _heeding_sigterm(run):
            _clear(run)
            processes = processes_here(name)
            if processes.count > 1 and not processes.running:
                _LOG.info("%d processes: %s", processes.count, processes.reason)
                return run_together(module_command(name, arguments), count=processes.count)
            job = read_job(named.job, TypeAdapter(kind))
            settle_environment(getattr(job, "base", None), run.folder)
            result = main(job, run)
            if run.is_first:
                write_whole(run.output / RESULT, result.model_dump_json(indent=2) + "\n")
            leave_the_others()
    except Stopped:
        leave_the_others()
        _LOG.info("%s: stopped; its last checkpoint is in %s", name, run.checkpoints)
        return STOPPED
    except Exception as error:
        _LOG.error("%s: error: %s", name, line := line_of(error))
        with contextlib.suppress(OSError):  # the disk may be full; the log has the line
            run.output.mkdir(parents=True, exist_ok=True)
            with (run.output / ERROR).open("x", encoding="utf-8") as first:
                first.write(line + "\n")  # what the others say then is that this one is gone
        return 1
    return 0


def read_job(path: Path, kind: TypeAdapter[Read]) -> Read:
    """Raises InvalidInput for a file that is not there or holds no such job."""
    try:
        return kind.validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; name a job's file") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise InvalidInput(f"{path}: {where}: {problem['msg']}; write the job anew") from None


def line_of(error: Exception) -> str:
    """One line for a user; the trace of what we did not foresee goes to the log."""
    if isinstance(error, TwinError):
        return " ".join(str(error).split())
    if is_full(error):
        return "the disk is full; free some space and resume, the last good checkpoint is kept"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; lower optimizer.batch_size or optimizer.max_length"
    _LOG.error("%s", "".join(traceback.format_exception(error)))
    return " ".join(f"{type(error).__name__}: {error}".split())


def is_full(error: BaseException) -> bool:
    """Whether it tells of a disk, or a file's limit, that has no room."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return any(words in str(error) for words in _SAYS_FULL)


def write_whole(path: Path, text: str) -> None:
    """Write beside it and move it there, so that it is never seen half-written."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def ask_to_stop(run: Run) -> None:
    """What SIGTERM does: training ends at its next step, anything else at once."""
    if not run.can_stop:
        raise Stopped
    run.stop_asked = True


@contextlib.contextmanager
def _heeding_sigterm(run: Run) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda *_: ask_to_stop(run))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _clear(run: Run) -> None:
    """An earlier attempt's verdict is not this one's."""
    run.output.mkdir(parents=True, exist_ok=True)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    if run.is_first:
        for name in (ERROR, RESULT):
            (run.output / name).unlink(missing_ok=True)


def settle_environment(base: str | None, folder: Path) -> None:
    """Before any library is imported that reads it: no hub is asked where no hub id is named."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Told once per process by libraries to libraries; nobody who reads a run's log can act on it.
    logging.getLogger("transformers.integrations.integration_utils").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", message="Could not find a config file in", module="peft")
    if base is None or (folder / base).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"


def versions() -> dict[str, str]:
    """Of the libraries that decide what comes out."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "trl", "peft")}
