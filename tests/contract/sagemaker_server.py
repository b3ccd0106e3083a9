"""An AWS of this machine: moto, with a SageMaker that runs the containers of its training jobs.

moto completes a training job the moment it is made and cannot stop one. Here the job's entry point
is started as a process, with /opt/ml in a folder of its own: its channel and its checkpoints come
from moto's S3, its lines go to moto's CloudWatch, its checkpoints and its result go back to S3.
What a caller sees is HTTP, from the first call to the last.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.models import FakeTrainingJob, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

REGION, ACCOUNT = "us-east-1", "123456789012"
ROLE, BUCKET, REPOSITORY = "TwinTraining", "twin-training", "twin-train"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
GRACE_S = 0.5
"""SageMaker's own is two minutes."""
ROOT = Path(__file__).parents[2]
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"Service": "sagemaker.amazonaws.com"}}]}'
)


@dataclass
class Container:
    """One training job's container, from its start to its end."""

    job: FakeTrainingJob
    clients: "Clients"
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        root = Path(tempfile.mkdtemp(prefix="opt-ml-"))
        try:
            self._run(root)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _run(self, root: Path) -> None:
        job, s3 = self.job, self.clients.s3
        (root / "model").mkdir()
        (root / "output").mkdir()
        for channel in job.input_data_config:
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            s3_to_folder(s3, uri, root / "input" / "data" / channel["ChannelName"])
        s3_to_folder(s3, job.checkpoint_config["S3Uri"], root / "checkpoints")
        job.secondary_status = "Training"
        code = self._process(root)
        folder_to_s3(s3, root / "checkpoints", job.checkpoint_config["S3Uri"])
        packed = root / "model.tar.gz"
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(root / "model", arcname=".")
        bucket, key = bucket_and_key(job.model_artifacts["S3ModelArtifacts"])
        s3.upload_file(str(packed), bucket, key)
        self._settle(code, root / "output" / "failure")

    def _settle(self, code: int, failure: Path) -> None:
        job = self.job
        status = "Stopped" if self.stop.is_set() else "Completed" if code == 0 else "Failed"
        if status == "Failed":
            said = failure.read_text() if failure.exists() else ""
            # moto answers with every attribute of its job
            job.failure_reason = f"AlgorithmError: {said[:1024]}, exit code: {code}"  # type: ignore[attr-defined]
        job.secondary_status = status
        job.training_job_status = status

    def _process(self, root: Path) -> int:
        algorithm = self.job.algorithm_specification
        python, *entry = algorithm["ContainerEntrypoint"]
        assert python == "python"
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TWIN_"))}
        process = subprocess.Popen(
            [sys.executable, *entry, *algorithm["ContainerArguments"], "--root", str(root)],
            cwd=root,
            env=environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        reader = threading.Thread(target=self._tell, args=(process,))
        reader.start()
        asked_at: float | None = None
        while process.poll() is None:
            folder_to_s3(self.clients.s3, root / "checkpoints", self.job.checkpoint_config["S3Uri"])
            if self.stop.is_set() and asked_at is None:
                asked_at = time.monotonic()
                process.terminate()  # process 1 of the container
            elif asked_at is not None and time.monotonic() > asked_at + GRACE_S:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        reader.join()
        return process.returncode

    def _tell(self, process: "subprocess.Popen[bytes]") -> None:
        """CloudWatch's agent: each line is an event."""
        assert process.stdout is not None
        logs, stream = self.clients.logs, f"{self.job.training_job_name}/algo-1-{time.time_ns()}"
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
        with process.stdout as lines:
            for line in lines:
                event = {
                    "timestamp": int(time.time() * 1000),
                    "message": line.decode("utf-8", errors="replace").removesuffix("\n"),
                }
                logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=[event])


@dataclass
class Clients:
    """Of the AWS inside; its containers use nothing else of it."""

    url: str

    def __post_init__(self) -> None:
        self.s3, self.logs = self.client("s3"), self.client("logs")
        self.iam, self.ecr = self.client("iam"), self.client("ecr")

    def client(self, service: str) -> Any:
        session: Any = boto3  # whose stubs, where they are installed, know a service by its literal
        return session.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="inside",
            aws_secret_access_key="inside",
        )


class ControlPlane:
    """What moto's SageMaker does not do: training jobs that take time and can be stopped."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.threads: list[threading.Thread] = []
        self.clients: Clients | None = None
        self._create = SageMakerModelBackend.create_training_job

    def create(
        self, backend: SageMakerModelBackend, training_job_name: str, **given: Any
    ) -> FakeTrainingJob:
        if training_job_name in backend.training_jobs:
            raise ResourceInUseException(f"Training job {training_job_name} already exists")
        job = self._create(backend, training_job_name=training_job_name, **given)
        job.training_job_status, job.secondary_status = "InProgress", "Starting"
        assert self.clients is not None
        container = self.containers[training_job_name] = Container(job, self.clients)
        self.threads.append(threading.Thread(target=container.run))
        self.threads[-1].start()
        return job

    def stop(self, response: SageMakerResponse) -> ActionResult:
        name = response._get_param("TrainingJobName")
        job = response.sagemaker_backend.training_jobs[name]
        if job.training_job_status not in ("InProgress", "Stopping"):
            raise ValidationError(f"The request was rejected: {job.training_job_status}")
        job.training_job_status = job.secondary_status = "Stopping"
        self.containers[name].stop.set()
        return ActionResult({})

    def end(self) -> None:
        for container in self.containers.values():
            container.stop.set()
        for thread in self.threads:
            thread.join()


@contextmanager
def moto_server() -> Iterator[Clients]:
    """moto as it is, in this process."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    clients = Clients(f"http://{host}:{port}")
    try:
        yield clients
    finally:
        server.stop()


@contextmanager
def running_sagemaker() -> Iterator[Clients]:
    plane = ControlPlane()

    def create(backend: SageMakerModelBackend, **given: Any) -> FakeTrainingJob:
        return plane.create(backend, **given)

    def stop(response: SageMakerResponse) -> ActionResult:
        return plane.stop(response)

    with (
        patch.object(SageMakerModelBackend, "create_training_job", create),
        patch.object(SageMakerResponse, "stop_training_job", stop, create=True),
        moto_server() as clients,
    ):
        plane.clients = clients
        try:
            yield clients
        finally:
            plane.end()


def set_up(clients: Clients) -> None:
    """An account in which a job can run: role, bucket, image, group of logs."""
    import requests

    requests.post(f"{clients.url}/moto-api/reset", timeout=10)
    clients.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
    clients.s3.create_bucket(Bucket=BUCKET)
    clients.ecr.create_repository(repositoryName=REPOSITORY)
    clients.ecr.put_image(repositoryName=REPOSITORY, imageTag="1", imageManifest=MANIFEST)
    clients.logs.create_log_group(logGroupName=LOG_GROUP)


MANIFEST = (
    '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",'
    ' "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1,'
    ' "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000"},'
    ' "layers": []}'
)


def s3_to_folder(s3: Any, uri: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    bucket, prefix = bucket_and_key(uri)
    prefix = prefix.removesuffix("/") + "/"
    for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        path = folder / found["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, found["Key"], str(path))


def folder_to_s3(s3: Any, folder: Path, uri: str) -> None:
    bucket, prefix = bucket_and_key(uri)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a checkpoint that was just removed
            continue
        key = f"{prefix}/{path.relative_to(folder).as_posix()}"
        s3.put_object(Bucket=bucket, Key=key, Body=content)


def bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
