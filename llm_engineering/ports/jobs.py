"""Where training jobs run, where their models are registered, where their metrics are shown."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.models import (
    Comparison,
    ModelEntry,
    ModelManifest,
    ProductionManifest,
)
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import Job, JobResult


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.STOPPED)


class JobStatus(BaseModel):
    """How far a run is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: JobState
    reason: str = ""
    """Why it failed or was stopped, or what it waits for, in one line."""


class StartedRun(BaseModel):
    """The run that was started, or was about to be, for a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    where: str
    """`JobRunner.where` of its runner: no other one knows it."""
    anew: str = ""
    """The request to take nothing from earlier runs that it was started for; '' for none."""
    failed: bool = False
    """Whether it was seen to have failed or to have been stopped."""


class JobRunner(Protocol):
    """Runs jobs; see `domain.training` for a job's folder and its output. Safe between processes:
    a run that one process started can be followed by another."""

    @property
    def where(self) -> str:
        """Names what keeps its runs, unchecked: runners that share them have the same."""
        ...

    def submit(
        self, folder: Path, *, name: str, announce: Callable[[str], None] | None = None
    ) -> str:
        """Check, copy and start the job in `folder`; returns the run's id, which has `name` in it.

        `announce` is told the id before there is such a run: who wrote it down can ask for it
        after dying at any moment, and NotFound then means that nothing was started.
        Raises InvalidInput for a folder without a job, a job that names missing files, or a place
        that is not set up to run it; nothing was started then.
        """
        ...

    def status(self, run: str) -> JobStatus:
        """Raises NotFound for a run that was never submitted."""
        ...

    def lines(self, run: str, *, after: int = 0) -> Sequence[str]:
        """Whole lines of the log from number `after` (counted from 0) on."""
        ...

    def stop(self, run: str) -> None:
        """Ask it to end; its last checkpoint stays. A run that has ended stays as it is."""
        ...

    def resume(self, run: str) -> None:
        """Start a failed or stopped run again, from its last checkpoint; its id stays.

        Raises InvalidInput for a run that is still going or has completed.
        """
        ...

    def fetch(self, run: str, into: Path) -> Path:
        """Copy the output of a completed run to the folder `into`, whole or not at all.

        Returns `into`, absolute. Raises InvalidInput, with the reason, when the run did not
        complete or `into` holds something; BackendUnavailable when there is no room.
        """
        ...

    def runs(self) -> Sequence[str]:
        """Ids of all runs, newest first."""
        ...

    def place(self) -> str:
        """One line that says where jobs run, all of it checked.

        Raises InvalidInput or BackendUnavailable for what is not as a job needs it.
        """
        ...


class JobFolders(Protocol):
    """Folders of jobs, named by what is in them: the same job is the same folder, so that what was
    interrupted goes on and what was done is not done again."""

    def write(
        self,
        job: Job,
        *,
        rows: Mapping[Split, Sequence[Row]] | None = None,
        base: Path | None = None,
        adapter: Path | None = None,
    ) -> Path:
        """The folder of a job that reads `rows`, with copies of a local `base` and an `adapter` in
        the places that the job names. Raises BackendUnavailable when it cannot be written."""
        ...

    def alone(self, folder: Path, *, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Holds the job: among all processes, one at a time is inside.

        Whoever has to wait is told once through `say` for which process. A process that dies
        holds nothing. Raises BackendUnavailable.
        """
        ...

    def last_run(self, folder: Path) -> StartedRun | None:
        """What was noted last; None when no run was ever started for it."""
        ...

    def note_run(self, folder: Path, started: StartedRun) -> None:
        """Keep it in place of what was noted before; when this returns, the disk has it."""
        ...

    def output(self, folder: Path) -> Path:
        """Where the output of its run belongs."""
        ...

    def clear_output(self, folder: Path) -> None:
        """Remove it, also what a fetch that was killed left of it."""
        ...

    def result(self, folder: Path) -> JobResult | None:
        """What the output says; None as long as there is none."""
        ...


class ModelRegistry(Protocol):
    """Versions of the twin, of which at most one is in production."""

    def add(self, manifest: ModelManifest, *, adapter: Path) -> None:
        """Keep a version and a copy of its adapter folder; adding it again changes nothing.

        A version whose parent is tainted is kept tainted. Raises InvalidInput when the folder does
        not hold the adapter that the manifest names.
        """
        ...

    def keep_base(self, folder: Path) -> Path:
        """A copy of the model in `folder` that stays as long as the registry, for manifests to
        name. The same model is kept once."""
        ...

    def entries(self) -> tuple[ModelEntry, ...]:
        """All versions, newest first. Raises BackendUnavailable, naming it, for a damaged one."""
        ...

    def get(self, version: str) -> ModelEntry:
        """Raises NotFound, naming the closest one."""
        ...

    def adapter(self, version: str) -> Path:
        """Folder of its adapter, which is checked to be the one that was added.

        Raises NotFound, or BackendUnavailable when the folder is damaged.
        """
        ...

    def promote(
        self,
        version: str,
        *,
        reason: str,
        instead_of: str | None,
        comparison: Comparison | None = None,
    ) -> ProductionManifest:
        """Make it the one in production, atomically. The one that is there already stays as it is.

        `instead_of` is the version that it was weighed against, None for none. Raises NotFound;
        NotPromotable for a tainted one, and when another one than `instead_of` is in production by
        now. Nothing else is asked of it here.
        """
        ...

    def production(self) -> ProductionManifest | None:
        """None when nothing was promoted yet."""
        ...

    def taint(self, document_ids: Collection[str], *, reason: str) -> tuple[str, ...]:
        """Mark each version that was trained on one of the documents, or that starts from such a
        version; what is in production stays there, marked. Returns those that were not yet marked.
        """
        ...


LogMetrics = Callable[[Mapping[str, float], int], None]
"""Called with metrics and the step they belong to."""


class ExperimentTracker(Protocol):
    """Shows the metrics of runs side by side. It never fails a run: what it cannot send it keeps,
    or says that it is lost."""

    def run(
        self, name: str, *, parameters: Mapping[str, object]
    ) -> AbstractContextManager[LogMetrics]: ...
