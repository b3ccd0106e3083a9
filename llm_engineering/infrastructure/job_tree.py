"""Folders of training jobs below one root, named by their contents.

    sft-3f2a…/job/      what a runner is given; see domain/training.py
    sft-3f2a…/run       id of the run that was last started for it
    sft-3f2a…/output/   of the completed run

A folder is written under another name and renamed, so it is whole or not there.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import JOB, RESULT, Job, JobResult

BASE = "base"
_BLOCK = 1 << 20


class JobFolderTree:
    """`JobFolders` in `root`, which the first job makes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(
        self,
        job: Job,
        *,
        rows: Mapping[Split, Sequence[Row]] | None = None,
        base: Path | None = None,
        adapter: Path | None = None,
    ) -> Path:
        with _writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".writing-", dir=self._root) as scratch:
                draft = Path(scratch) / "job"
                (draft / "data").mkdir(parents=True)
                (draft / JOB).write_text(job.model_dump_json(indent=2) + "\n", "utf-8")
                for split, lines in (rows or {}).items():
                    with (draft / "data" / f"{split.value}.jsonl").open(
                        "w", encoding="utf-8"
                    ) as out:
                        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
                for source, name in ((base, BASE), (adapter, getattr(job, "adapter", None))):
                    if source is not None and name is not None:
                        shutil.copytree(source, draft / name, copy_function=_linked)
                place = self._root / f"{job.recipe}-{_digest(draft)}"
                place.mkdir(exist_ok=True)
                if not (place / "job").exists():
                    draft.rename(place / "job")
        return place / "job"

    def run(self, folder: Path) -> str:
        try:
            return (folder.parent / "run").read_text("utf-8").strip()
        except FileNotFoundError:
            return ""

    def started(self, folder: Path, *, run: str) -> None:
        with _writing(self._root):
            fresh = folder.parent / "run.new"
            fresh.write_text(f"{run}\n", "utf-8")
            fresh.replace(folder.parent / "run")

    def output(self, folder: Path) -> Path:
        return folder.parent / "output"

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


def _linked(source: str, target: str) -> None:
    """Weights are large and never change: a second name where the file system allows it."""
    try:
        os.link(os.path.realpath(source), target)  # a hub cache holds relative links
    except OSError:
        shutil.copy2(source, target)


def _digest(folder: Path) -> str:
    """Of the names and contents of all files below `folder`."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()[:12]


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write the job in {root}: {error.strerror or error}; free some space, or set "
            "TWIN_HOME to a folder of yours"
        ) from error
