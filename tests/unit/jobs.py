"""A runner of jobs for tests: what a job leaves is said beforehand, nothing is trained."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from llm_engineering.application.training.run import TrainingPorts
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.domain.training import JOB, JOBS, RESULT, DeviceUse, HeldOut, Job, JobResult
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.infrastructure.rich_progress import Silent
from llm_engineering.ports.jobs import JobState, JobStatus, LogMetrics

Work = Callable[[Job, Path, Path], None]
"""Does a job: the job, its folder, and the folder for its output."""

DEVICE = DeviceUse(name="cpu", precision="float32", reason="a test")


def result_of(job: Job, **values: object) -> JobResult:
    """What a recipe would say, as far as it matters here."""
    held_out = {split: HeldOut(rows=2, loss=2.0) for split in ("validation", "test")}
    told = {"before": held_out, "after": held_out, "adapter_sha256": "ab" * 32, **values}
    return JobResult.model_validate(
        {"recipe": job.recipe, "base": "x", "nano": False, "device": DEVICE, **told}
    )


class ScriptedRunner:
    """`JobRunner` that does `work` when a run is first asked for; a raised error fails the run."""

    def __init__(self, work: Work, outputs: Path, *, where: str = "a test") -> None:
        self._work = work
        self.where = where
        self._outputs = outputs
        self._folders: dict[str, Path] = {}
        self._states: dict[str, JobStatus] = {}
        self.log: list[str] = []
        """What was asked: submit and resume, each with the run."""

    def place(self) -> str:
        return "a test"

    def runs(self) -> Sequence[str]:
        return list(self._folders)

    def submit(
        self, folder: Path, *, name: str, announce: Callable[[str], None] | None = None
    ) -> str:
        run = f"{name}-{len(self._folders) + 1}"
        if announce is not None:
            announce(run)
        self._folders[run] = folder
        self.log.append(f"submit {run}")
        self._do(run)
        return run

    def _do(self, run: str) -> None:
        folder, output = self._folders[run], self._outputs / run
        output.mkdir(parents=True, exist_ok=True)
        try:
            self._work(JOBS.validate_json((folder / JOB).read_bytes()), folder, output)
        except RuntimeError as error:
            self._states[run] = JobStatus(state=JobState.FAILED, reason=str(error))
        else:
            self._states[run] = JobStatus(state=JobState.COMPLETED)

    def status(self, run: str) -> JobStatus:
        if run not in self._states:
            raise NotFound(f"no run {run!r}")
        return self._states[run]

    def lines(self, run: str, *, after: int = 0) -> Sequence[str]:
        return [f"working on {run}"][after:]

    def stop(self, run: str) -> None:
        raise InvalidInput("a scripted run has ended before it can be stopped")

    def resume(self, run: str) -> None:
        self.log.append(f"resume {run}")
        self._do(run)

    def fetch(self, run: str, into: Path) -> Path:
        shutil.copytree(self._outputs / run, into)
        return into


class Experiments:
    """Remembers which runs were shown."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, object]] = []

    @contextmanager
    def run(self, name: str, *, parameters: Mapping[str, object]) -> Iterator[LogMetrics]:
        self.runs.append((name, parameters["base"]))
        yield lambda metrics, step: None


class Place:
    """Everything that running a job takes, in one folder."""

    def __init__(self, folder: Path, work: Work, *, where: str = "a test") -> None:
        self.runner = ScriptedRunner(work, folder / "outputs", where=where)
        self.experiments = Experiments()
        self.said: list[str] = []
        self.ports = TrainingPorts(
            runner=self.runner,
            folders=JobFolderTree(folder / "training"),
            experiments=self.experiments,
            progress=Silent(),
            say=self.said.append,
            sleep=lambda seconds: None,
        )


def trains(job: Job, folder: Path, output: Path) -> None:
    (output / RESULT).write_text(result_of(job).model_dump_json(), "utf-8")
