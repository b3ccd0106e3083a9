"""What a SageMaker training container runs: its folders become a recipe's command line.

    python -m llm_engineering.recipes.sagemaker_entry [--root /opt/ml] [--recipes PACKAGE]

    ROOT/input/data/job/job.tar.gz   the job's folder, unpacked to ROOT/job
    ROOT/model                       the recipe's --output; SageMaker packs it as the result
    ROOT/checkpoints                 its --checkpoints; SageMaker keeps them in step with S3
    ROOT/output/failure              why it failed, in one line, shown as the job's reason

SageMaker ends a job with SIGTERM, and SIGKILL two minutes later; SIGTERM is passed on.
Does not know: AWS. It runs the same way in any folder.
"""

import argparse
import logging
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from pydantic import ValidationError

from llm_engineering.domain.errors import InvalidInput, TrainingFailed, TwinError
from llm_engineering.domain.training import ERROR, JOB, JOBS, METRICS, RESULT

ARCHIVE = "job.tar.gz"
RECIPES = "llm_engineering.recipes"
SAVE_EVERY_S = 2.0

_LONGEST_FAILURE = 1_000
"""SageMaker shows 1,024 characters."""
_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 with a result in ROOT/model, else 1 with a reason in ROOT/output/failure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="llm_engineering.recipes.sagemaker_entry")
    parser.add_argument("--root", type=Path, default=Path("/opt/ml"))
    parser.add_argument("--recipes", default=RECIPES)
    named = parser.parse_args(list(arguments))
    try:
        job = unpacked(named.root)
        run(job, root=named.root, recipes=named.recipes)
    except TwinError as error:
        _LOG.error("sagemaker_entry: error: %s", error)
        failure = named.root / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(str(error)[:_LONGEST_FAILURE], encoding="utf-8")
        return 1
    return 0


def unpacked(root: Path) -> Path:
    """The job's folder. Raises InvalidInput when its archive is not there or is damaged."""
    archive, folder = root / "input" / "data" / "job" / ARCHIVE, root / "job"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"cannot unpack {archive}: {error}; submit the job anew") from None
    return folder


def run(folder: Path, *, root: Path, recipes: str) -> None:
    """Run the job's recipe to its end. Raises InvalidInput or TrainingFailed, with the reason."""
    try:
        recipe = JOBS.validate_json((folder / JOB).read_bytes()).recipe
    except (OSError, ValidationError):
        raise InvalidInput(f"{folder / JOB} holds no job; submit it anew") from None
    output, checkpoints = root / "model", root / "checkpoints"
    for each in (output, checkpoints):
        each.mkdir(parents=True, exist_ok=True)
    # Each attempt begins with an empty model folder; what the ones before measured comes along.
    kept = checkpoints / METRICS
    if kept.exists():
        shutil.copyfile(kept, output / METRICS)
    command = [
        *(sys.executable, "-m", f"{recipes}.{recipe}", str(folder / JOB)),
        *("--output", str(output), "--checkpoints", str(checkpoints)),
    ]
    code, last_words = _wait_for(command, metrics=output / METRICS, kept=kept)
    if code != 0 or not (output / RESULT).exists():
        raise TrainingFailed(_reason(code, output, last_words))


def _wait_for(command: Sequence[str], *, metrics: Path, kept: Path) -> tuple[int, str]:
    """The recipe's exit code and the last line that it said."""
    recipe = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert recipe.stdout is not None
    said = _PassedOn(recipe.stdout)
    said.start()
    before = signal.signal(signal.SIGTERM, lambda number, _: recipe.send_signal(number))
    try:
        while True:
            try:
                code = recipe.wait(SAVE_EVERY_S)
            except subprocess.TimeoutExpired:
                _save(metrics, kept)
            else:
                said.join(SAVE_EVERY_S)  # a worker that was left behind may keep the pipe open
                return code, said.last
    finally:
        signal.signal(signal.SIGTERM, before)
        _save(metrics, kept)


class _PassedOn(Thread):
    """Repeats lines on standard output, which is the job's log; remembers the last one."""

    def __init__(self, lines: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._lines = lines
        self.last = ""

    def run(self) -> None:
        for line in self._lines:
            # One that was cut short by death ends here, not in our own words.
            sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")
            sys.stdout.buffer.flush()
            self.last = " ".join(line.decode("utf-8", errors="replace").split()) or self.last


def _save(metrics: Path, kept: Path) -> None:
    """Copy beside it and move it there: a spot instance may vanish at any moment."""
    if not metrics.exists():
        return
    part = kept.with_name(f".{METRICS}.part")
    shutil.copyfile(metrics, part)
    part.replace(kept)


def _reason(code: int, output: Path, last_words: str) -> str:
    error = output / ERROR
    if error.exists() and (words := " ".join(error.read_text("utf-8").split())):
        return words
    if code == -signal.SIGKILL:
        return (
            "ended by signal 9 (SIGKILL), as the kernel does when memory runs out; lower "
            "optimizer.batch_size or optimizer.max_length, or choose a larger instance"
        )
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    if code == 0:
        return "it ended without a result"
    return last_words or f"it ended with exit code {code} and said nothing"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
