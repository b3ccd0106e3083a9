"""Training jobs on Amazon SageMaker, through boto3 alone.

    s3://<bucket>/<prefix>/runs/<id>/
        run.json            RunRecord
        job/job.tar.gz      the job's folder: the input channel `job`
        checkpoints/        kept in step with /opt/ml/checkpoints, for every attempt
        output/             SageMaker writes <attempt>/output/model.tar.gz

An attempt of a run is one training job, `<id>-<attempt>`; its container runs
recipes/sagemaker_entry.py, and so the same recipe on the same job as anywhere else. A job's folder
must hold its base, or name one on a hub: folders of this machine are not there.
Does not know: what recipes do.
"""

import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, TwinError
from llm_engineering.domain.training import RESULT
from llm_engineering.infrastructure.aws import Aws, aws_errors, code_of, message_of
from llm_engineering.infrastructure.durable_files import sync_tree
from llm_engineering.infrastructure.job_folders import (
    checked_job,
    is_run,
    new_run,
    newest_first,
    no_such_run,
)
from llm_engineering.infrastructure.s3 import S3Folder, unpack
from llm_engineering.infrastructure.sagemaker_logs import JobLogs
from llm_engineering.infrastructure.sagemaker_place import SageMakerPlace, check_place, described
from llm_engineering.infrastructure.sagemaker_status import status_of
from llm_engineering.ports.jobs import JobState, JobStatus

ENTRY = "llm_engineering.recipes.sagemaker_entry"
RECIPES = "llm_engineering.recipes"
ARCHIVE = "job/job.tar.gz"
SPOT_PATIENCE = 2.0
"""A spot job may take so many times its longest run, waiting for machines included."""

_LONGEST_RUN_S = 28 * 24 * 3_600
"""SageMaker's own limit."""
_RUNS, _RECORD = "runs", "run.json"
_AWAY = ("Could not find", "not found")


class RunRecord(BaseModel):
    """What the runner keeps of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    attempt: int


class SageMakerJobRunner:
    """Runs at `place`; `recipes` is the package that recipes are modules of, in the image."""

    def __init__(
        self,
        place: SageMakerPlace,
        *,
        aws: Aws,
        recipes: str = RECIPES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._place = place
        self._recipes = recipes
        self._clock = clock
        self._aws = aws
        self._s3 = S3Folder(aws, place.bucket, place.prefix)
        self._logs: dict[str, JobLogs] = {}

    def place(self) -> str:
        return ", ".join(described(self._place, check_place(self._place, self._aws)))

    @property
    def where(self) -> str:
        return f"SageMaker in {self._place.region} with {self._s3.uri(_RUNS)}"

    def submit(
        self, folder: Path, *, name: str, announce: Callable[[str], None] | None = None
    ) -> str:
        job = checked_job(folder)
        base = getattr(job, "base", "")
        if Path(base).is_absolute():
            raise InvalidInput(
                f"the job in {folder} has the base {base}, which SageMaker cannot see; put the "
                "model in the job's folder, or name one on a hub"
            )
        check_place(self._place, self._aws)
        run = new_run(name, now=self._clock(), token=secrets.token_hex(2))
        record = RunRecord(recipe=job.recipe, attempt=1)
        if announce is not None:
            announce(run)
        try:
            self._s3.upload_packed(folder, f"{_RUNS}/{run}/{ARCHIVE}")
            self._keep(run, record)
        except TwinError:
            self._discard(run)
            raise
        try:
            self._create(run, record)
        except InvalidInput:  # refused; when nobody answered, it may have been started
            self._discard(run)
            raise
        return run

    def status(self, run: str) -> JobStatus:
        return status_of(self._described(run, self._record(run)))

    def lines(self, run: str, *, after: int = 0) -> Sequence[str]:
        jobs = [_job(run, attempt) for attempt in range(1, self._record(run).attempt + 1)]
        return self._logs.setdefault(run, JobLogs(self._aws)).read(jobs)[after:]

    def stop(self, run: str) -> None:
        from botocore.exceptions import ClientError

        record = self._record(run)
        if status_of(self._described(run, record)).state.ended:
            return
        with aws_errors(f"stop {run}"):
            try:
                self._aws.sagemaker.stop_training_job(TrainingJobName=_job(run, record.attempt))
            except ClientError:
                if not self.status(run).state.ended:  # it ended in this very moment
                    raise

    def resume(self, run: str) -> None:
        record = self._record(run)
        state = status_of(self._described(run, record)).state
        if state not in (JobState.FAILED, JobState.STOPPED):
            raise InvalidInput(f"{run} is {state}; only a failed or stopped run can be resumed")
        check_place(self._place, self._aws)
        later = record.model_copy(update={"attempt": record.attempt + 1})
        if not self._create(run, later):
            # Another one did so, or died before it could write it down: it counts either way.
            self._keep(run, later)
            raise InvalidInput(f"{run} was resumed by somebody else meanwhile")
        self._keep(run, later)

    def fetch(self, run: str, into: Path) -> Path:
        found = self._described(run, self._record(run))
        status = status_of(found)
        if found is None or status.state is not JobState.COMPLETED:
            why = f": {status.reason}" if status.reason else ""
            raise InvalidInput(f"{run} has no result, it is {status.state}{why}")
        into = into.absolute()
        with _writing(into):
            if into.exists() and (not into.is_dir() or any(into.iterdir())):
                raise InvalidInput(f"{into} exists already; name a new or empty folder")
            part = into.with_name(f".{into.name}.{secrets.token_hex(4)}.part")
            try:
                part.mkdir(parents=True)
                packed = part / "model.tar.gz"
                self._s3.download(found["ModelArtifacts"]["S3ModelArtifacts"], packed)
                unpack(packed, part / "output")
                if not (part / "output" / RESULT).exists():
                    raise BackendUnavailable(f"what {run} left holds no {RESULT}; run it again")
                sync_tree(part / "output")
                (part / "output").rename(into)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return into

    def runs(self) -> Sequence[str]:
        return newest_first(self._s3.folders(_RUNS))

    def _record(self, run: str) -> RunRecord:
        content = self._s3.read(f"{_RUNS}/{run}/{_RECORD}") if is_run(run) else None
        if content is None:
            raise no_such_run(run, self.runs())
        try:
            return RunRecord.model_validate_json(content)
        except ValidationError:
            where = self._s3.uri(f"{_RUNS}/{run}/{_RECORD}")
            raise BackendUnavailable(f"{where} is damaged; submit the job anew") from None

    def _keep(self, run: str, record: RunRecord) -> None:
        self._s3.write(f"{_RUNS}/{run}/{_RECORD}", record.model_dump_json().encode())

    def _discard(self, run: str) -> None:
        """Of a run that did not come about."""
        for name in (_RECORD, ARCHIVE):
            try:
                self._s3.delete(f"{_RUNS}/{run}/{name}")
            except TwinError:
                return  # what kept the run from starting keeps this from being tidied up

    def _described(self, run: str, record: RunRecord) -> Mapping[str, Any] | None:
        """None when the training job was never created."""
        from botocore.exceptions import ClientError

        with aws_errors(f"look at {run}"):
            try:
                found: Mapping[str, Any] = self._aws.sagemaker.describe_training_job(
                    TrainingJobName=_job(run, record.attempt)
                )
            except ClientError as error:
                if any(words in message_of(error) for words in _AWAY):
                    return None
                raise
        return found

    def _create(self, run: str, record: RunRecord) -> bool:
        """False when that attempt exists already."""
        from botocore.exceptions import ClientError

        with aws_errors(f"start {run}"):
            try:
                self._aws.sagemaker.create_training_job(**self._request(run, record))
            except ClientError as error:
                if code_of(error) == "ResourceInUse":
                    return False
                raise
        return True

    def _request(self, run: str, record: RunRecord) -> dict[str, Any]:
        folder, place = f"{_RUNS}/{run}", self._place
        longest = min(math.ceil(place.max_hours * 3_600), _LONGEST_RUN_S)
        condition = {"MaxRuntimeInSeconds": longest}
        if place.spot:
            condition["MaxWaitTimeInSeconds"] = min(int(longest * SPOT_PATIENCE), _LONGEST_RUN_S)
        return {
            "TrainingJobName": _job(run, record.attempt),
            "RoleArn": place.role,
            "AlgorithmSpecification": {
                "TrainingImage": place.image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "-m", ENTRY],
                "ContainerArguments": ["--recipes", self._recipes],
            },
            "InputDataConfig": [_channel("job", self._s3.uri(f"{folder}/job/"))],
            "OutputDataConfig": {"S3OutputPath": self._s3.uri(f"{folder}/output")},
            "CheckpointConfig": {
                "S3Uri": self._s3.uri(f"{folder}/checkpoints"),
                "LocalPath": "/opt/ml/checkpoints",
            },
            "ResourceConfig": {
                "InstanceType": place.instance,
                "InstanceCount": 1,
                "VolumeSizeInGB": place.volume_gb,
            },
            "StoppingCondition": condition,
            "EnableManagedSpotTraining": place.spot,
            "Tags": [{"Key": "llm-twin:run", "Value": run}],
        }


def _job(run: str, attempt: int) -> str:
    return f"{run}-{attempt}"


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises BackendUnavailable where the file system refuses."""
    try:
        yield
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write in {folder}: {error.strerror or error}; "
            "check its permissions and the free space"
        ) from None
