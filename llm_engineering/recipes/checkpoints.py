"""Checkpoints that can be trusted: sealed when whole, checked before use, few on the disk.

A trainer writes `checkpoint-<step>/`. `seal` adds `progress.json` and, last, `whole.json` with a
digest of every file; a folder without it, or whose files do not match it, was cut short by a crash
or damaged since, and is passed over for the one before.

Does not know: what trainers write, models.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import HeldOut
from llm_engineering.recipes.running import write_whole

PREFIX, PROGRESS, WHOLE = "checkpoint-", "progress.json", "whole.json"
NEWEST = 2
"""Kept beside the best: one may be damaged."""

_LOG = logging.getLogger(__name__)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evaluation(Frozen):
    """The held-out loss at one step."""

    step: int
    loss: float


class Progress(Frozen):
    """What a run knows beside the trainer's own state."""

    job: str
    """Digest of the job and its data; another job's checkpoint is not gone on from."""
    step: int = 0
    before: dict[str, HeldOut] = {}
    evaluations: tuple[Evaluation, ...] = ()
    seconds: float = 0.0
    """Of training steps so far."""
    tokens: int = 0
    learnt: int = 0
    padding: int = 0

    @property
    def best(self) -> Evaluation | None:
        """The first one with the lowest loss."""
        return min(self.evaluations, key=lambda e: e.loss, default=None)

    @property
    def without_gain(self) -> int:
        """Evaluations since the best one."""
        best = self.best
        return sum(e.step > best.step for e in self.evaluations) if best else 0


def folder_of(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"{PREFIX}{step}"


def seal(folder: Path, progress: Progress) -> None:
    """Declare that everything in the folder is written."""
    write_whole(folder / PROGRESS, progress.model_dump_json() + "\n")
    write_whole(folder / WHOLE, json.dumps(_digests(folder)) + "\n")


def progress_of(folder: Path) -> Progress:
    return Progress.model_validate_json((folder / PROGRESS).read_bytes())


def newest_whole(checkpoints: Path, *, job: str) -> Path | None:
    """The latest checkpoint whose files are as they were written; damaged ones are removed.

    Raises InvalidInput where it belongs to another job.
    """
    for folder in reversed(_by_step(checkpoints)):
        if not _is_whole(folder):
            _LOG.warning("%s is damaged or incomplete; going on from the one before", folder)
            shutil.rmtree(folder)
            continue
        if progress_of(folder).job != job:
            raise InvalidInput(
                f"{checkpoints} holds checkpoints of another job or other data; "
                "name an empty folder with --checkpoints"
            )
        return folder
    return None


def keep_few(checkpoints: Path, *, best: int | None) -> None:
    """Remove all but the newest and the best."""
    folders = _by_step(checkpoints)
    kept = {*folders[-NEWEST:]} | ({folder_of(checkpoints, best)} if best is not None else set())
    for folder in folders:
        if folder not in kept:
            shutil.rmtree(folder)


def digest_of_job(job: BaseModel, data: Path) -> str:
    """Of everything that decides what a run computes but the code."""
    hasher = hashlib.sha256(job.model_dump_json().encode())
    for path in sorted(data.glob("*.jsonl")):
        hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _by_step(checkpoints: Path) -> list[Path]:
    found = [path for path in checkpoints.glob(f"{PREFIX}*") if path.is_dir()]
    steps = {path: path.name.removeprefix(PREFIX) for path in found}
    return sorted((p for p in found if steps[p].isdigit()), key=lambda path: int(steps[path]))


def _is_whole(folder: Path) -> bool:
    try:
        recorded = json.loads((folder / WHOLE).read_text("utf-8"))
        return bool(recorded) and recorded == _digests(folder)
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != WHOLE]
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(paths)}
