"""What every place that runs jobs asks of a job's folder, and how it names its runs.

Does not know: where jobs run.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.domain.training import (
    ADAPTER,
    JOB,
    JOBS,
    DpoJob,
    GenerateJob,
    Job,
    KtoJob,
    MergeJob,
    SftJob,
)

BASE = "base"
"""Folder, beside the job, of a base that is no hub id."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_RUN = re.compile(r"[a-z0-9](-?[a-z0-9])*-(\d{8}-\d{6}-[0-9a-f]{4})")
_LONGEST_NAME = 30
"""SageMaker takes 63 characters, of which the date and the attempt need 26."""


def checked_job(folder: Path) -> Job:
    """The job in `folder`, whose files are all there.

    Raises InvalidInput, with the one thing to mend.
    """
    path = folder / JOB
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{folder} holds no {JOB}; name the folder of a job") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; name a job's folder") from None
    try:
        job = JOBS.validate_json(content)
    except ValidationError as error:
        raise InvalidInput(f"{path}: {_problem(error)}; correct it there") from None
    for file in _files(job):
        _check(folder, file)
    _check_base(folder, job)
    return job


def new_run(name: str, *, now: datetime, token: str) -> str:
    """Id of a run: `<name>-<date>-<time>-<token>`, of which SageMaker allows every character.

    `token` is four hexadecimal digits. Raises InvalidInput for a name without letters or digits.
    """
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:_LONGEST_NAME].strip("-")
    if not slug:
        raise InvalidInput(f"{name!r} cannot name a run; give it letters or digits")
    return f"{slug}-{now:%Y%m%d-%H%M%S}-{token}"


def is_run(text: str) -> bool:
    """Whether `new_run` could have made it: nothing else is looked up, as a path or elsewhere."""
    return _RUN.fullmatch(text) is not None


def newest_first(runs: Iterable[str]) -> list[str]:
    """By the date in their ids; what is no run's id is left out."""
    dated = ((match[2], run) for run in runs if (match := _RUN.fullmatch(run)))
    return [run for _, run in sorted(dated, reverse=True)]


def no_such_run(run: str, known: Iterable[str]) -> NotFound:
    close = difflib.get_close_matches(run, list(known), n=1)
    hint = f"did you mean {close[0]}?" if close else "'twin jobs list' shows all"
    return NotFound(f"no run {run!r}; {hint}")


def _files(job: Job) -> Iterator[Path]:
    """What the job reads beside itself, relative to its folder."""
    match job:
        case SftJob():
            yield from (job.data / "train.jsonl", job.data / "validation.jsonl")
        case DpoJob() | KtoJob():
            yield from (job.data / "train.jsonl", job.data / "validation.jsonl")
            yield from _adapter(job.adapter)
        case MergeJob():
            yield from _adapter(job.adapter)
        case GenerateJob():
            yield job.data
            if job.adapter is not None:
                yield from _adapter(job.adapter)
        case _:
            yield job.data / "train.jsonl"


def _adapter(folder: Path) -> Iterator[Path]:
    yield folder / "adapter_config.json"


def _check(folder: Path, file: Path) -> None:
    inside = (folder / file).absolute()
    if file.is_absolute() or ".." in file.parts:
        raise InvalidInput(
            f"the job in {folder} names {file}; its paths must stay in its folder, "
            "which is copied to where it runs"
        )
    if not inside.exists():
        raise InvalidInput(f"the job in {folder} names {file}, which is not there; put it there")


def _check_base(folder: Path, job: Job) -> None:
    base = getattr(job, "base", None)
    if base is None:
        return
    if Path(base).is_absolute():
        if not Path(base).is_dir():
            raise InvalidInput(f"the job in {folder} has the base {base}, which is no folder here")
    elif not (folder / base).is_dir() and (
        _HUB_ID.fullmatch(base) is None or base in (BASE, ADAPTER, ".", "..")
    ):
        raise InvalidInput(
            f"the job in {folder} has the base {base!r}, which is neither a folder in it nor a "
            "hub id; put the model there"
        )


def _problem(error: ValidationError) -> str:
    """Where and what; never the value, which may be anything."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]
