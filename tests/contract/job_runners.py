"""Jobs to submit to a runner, and how to wait for what becomes of them."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_engineering.domain.training import JOB, OptimizerRule, SftJob
from llm_engineering.infrastructure.aws import Aws
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
from llm_engineering.infrastructure.sagemaker_place import SageMakerPlace
from llm_engineering.ports.jobs import JobRunner, JobState, JobStatus
from tests.contract.sagemaker_server import ACCOUNT, BUCKET, REGION, REPOSITORY, ROLE

RECIPES = "tests.contract.tiny_recipes"
WITHIN_S = 60.0
GRACE_S = 0.5

Opener = Callable[[], JobRunner]
"""Opens the same runs once more, as another process would."""


def job_folder(folder: Path, *, base: str = "counts", steps: int = 4) -> Path:
    """A job for tests/contract/tiny_recipes/sft.py."""
    job = SftJob(base=base, optimizer=OptimizerRule(max_steps=steps))
    (folder / "data").mkdir(parents=True)
    (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    for split in ("train", "validation", "test"):
        (folder / "data" / f"{split}.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    return folder


def local_runners(folder: Path) -> Opener:
    return lambda: LocalJobRunner(folder, grace_s=GRACE_S, recipes=RECIPES)


def place(**other: Any) -> SageMakerPlace:
    """A place in the account that `sagemaker_server.set_up` sets up."""
    given: dict[str, Any] = {
        "role": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
        "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:1",
        "bucket": BUCKET,
        "prefix": "llm-twin",
        "region": REGION,
        "instance": "ml.g5.2xlarge",
        "volume_gb": 100,
        "spot": True,
        "max_hours": 1.5,
    }
    return SageMakerPlace(**(given | other))


def sagemaker_runners(aws: Aws, **other: Any) -> Opener:
    return lambda: SageMakerJobRunner(place(**other), aws=aws, recipes=RECIPES)


def ended(runner: JobRunner, run: str) -> JobStatus:
    """Its status once it has ended."""
    return when(runner, run, lambda status: status.state.ended)


def when(runner: JobRunner, run: str, true: Callable[[JobStatus], bool]) -> JobStatus:
    """Its status as soon as `true` of it."""
    deadline = time.monotonic() + WITHIN_S
    while not true(status := runner.status(run)):
        assert time.monotonic() < deadline, f"{run} is {status}: {list(runner.lines(run))}"
        time.sleep(0.02)
    return status


def line_seen(runner: JobRunner, run: str, words: str) -> None:
    """Return once a line with `words` is in its log."""
    deadline = time.monotonic() + WITHIN_S
    while not any(words in line for line in runner.lines(run)):
        status = runner.status(run)
        assert time.monotonic() < deadline, f"{run} is {status}: {list(runner.lines(run))}"
        time.sleep(0.02)


def is_state(state: JobState) -> Callable[[JobStatus], bool]:
    return lambda status: status.state is state


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can be longer than eight bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
