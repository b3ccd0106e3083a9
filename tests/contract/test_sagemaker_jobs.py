"""What is asked of SageMaker, and what is made of its answers: moto as it is."""

import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from moto.sagemaker.models import sagemaker_backends

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.infrastructure.aws import Aws
from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
from llm_engineering.ports.jobs import JobState
from tests.contract.job_runners import job_folder, place
from tests.contract.sagemaker_server import (
    ACCOUNT,
    BUCKET,
    LOG_GROUP,
    REGION,
    REPOSITORY,
    ROLE,
    Clients,
)


@pytest.fixture
def runner(moto: Clients, moto_aws: Aws) -> SageMakerJobRunner:
    return SageMakerJobRunner(place(), aws=moto_aws)


def submit(runner: SageMakerJobRunner, tmp_path: Path) -> str:
    return runner.submit(job_folder(tmp_path / "job"), name="SFT")


def backend_job(run: str, attempt: int = 1) -> Any:
    return sagemaker_backends[ACCOUNT][REGION].training_jobs[f"{run}-{attempt}"]


def test_a_training_job_is_asked_for_with_everything_it_needs(
    runner: SageMakerJobRunner, moto_aws: Aws, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    asked = moto_aws.sagemaker.describe_training_job(TrainingJobName=f"{run}-1")
    home = f"s3://{BUCKET}/llm-twin/runs/{run}"
    algorithm = asked["AlgorithmSpecification"]
    assert asked["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    assert algorithm["TrainingImage"].endswith(f"/{REPOSITORY}:1")
    assert algorithm["ContainerEntrypoint"] == [
        "python",
        "-m",
        "llm_engineering.recipes.sagemaker_entry",
    ]
    assert algorithm["ContainerArguments"] == ["--recipes", "llm_engineering.recipes"]
    (channel,) = asked["InputDataConfig"]
    assert channel["ChannelName"] == "job"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{home}/job/"
    assert asked["OutputDataConfig"]["S3OutputPath"] == f"{home}/output"
    assert asked["CheckpointConfig"] == {
        "S3Uri": f"{home}/checkpoints",
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert asked["ResourceConfig"] == {
        "InstanceType": "ml.g5.2xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 100,
    }
    assert asked["EnableManagedSpotTraining"] is True
    assert asked["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 5_400,
        "MaxWaitTimeInSeconds": 10_800,
    }


def test_without_spot_nothing_is_waited_for(moto: Clients, moto_aws: Aws, tmp_path: Path) -> None:
    run = submit(SageMakerJobRunner(place(spot=False, max_hours=9_999), aws=moto_aws), tmp_path)
    asked = moto_aws.sagemaker.describe_training_job(TrainingJobName=f"{run}-1")
    assert asked["EnableManagedSpotTraining"] is False
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 28 * 24 * 3_600}


def test_the_job_arrives_whole_and_without_the_name_of_who_packed_it(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "weights"
    elsewhere.write_text("weights")
    folder = job_folder(tmp_path / "job")
    (folder / "linked").symlink_to(elsewhere)
    run = runner.submit(folder, name="sft")
    packed = io.BytesIO()
    moto.s3.download_fileobj(BUCKET, f"llm-twin/runs/{run}/job/job.tar.gz", packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        files = {member.name: member for member in tar if member.isfile()}
        assert {*files} == {
            "./job.json",
            "./linked",
            *(f"./data/{split}.jsonl" for split in ("train", "validation", "test")),
        }
        linked = tar.extractfile("./linked")
        assert linked is not None
        assert linked.read() == b"weights"
    assert {(member.uid, member.uname) for member in files.values()} == {(0, "")}


def test_something_that_is_no_file_is_not_packed(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path / "job")
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidInput, match="neither file nor folder"):
        runner.submit(folder, name="sft")
    assert "Contents" not in moto.s3.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("status", "detail", "state", "reason"),
    [
        ("InProgress", "Starting", JobState.QUEUED, "starting"),
        ("InProgress", "Pending", JobState.QUEUED, "waiting for machines"),
        ("InProgress", "DownloadingTrainingImage", JobState.QUEUED, "downloading the image"),
        ("InProgress", "Interrupted", JobState.QUEUED, "its spot machine was taken away"),
        ("InProgress", "Training", JobState.RUNNING, ""),
        ("InProgress", "Uploading", JobState.RUNNING, ""),
        ("Stopping", "Stopping", JobState.RUNNING, "stopping"),
        ("Stopped", "Stopped", JobState.STOPPED, "on request"),
        ("Stopped", "MaxRuntimeExceeded", JobState.STOPPED, "TWIN_JOBS__MAX_HOURS"),
        ("Stopped", "MaxWaitTimeExceeded", JobState.STOPPED, "TWIN_JOBS__SPOT=false"),
        ("Failed", "Failed", JobState.FAILED, "AlgorithmError: no memory, exit code: 1"),
        ("Completed", "Completed", JobState.COMPLETED, ""),
    ],
)
def test_every_status_of_sagemaker_is_one_of_ours(
    runner: SageMakerJobRunner,
    tmp_path: Path,
    status: str,
    detail: str,
    state: JobState,
    reason: str,
) -> None:
    run = submit(runner, tmp_path)
    job = backend_job(run)
    job.training_job_status, job.secondary_status = status, detail
    job.failure_reason = "AlgorithmError: no memory,\nexit code: 1"
    found = runner.status(run)
    assert found.state is state
    assert reason in found.reason
    assert bool(reason) == bool(found.reason)


def test_a_resumed_run_is_another_job_with_the_same_checkpoints(
    runner: SageMakerJobRunner, moto_aws: Aws, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    backend_job(run).training_job_status = "Failed"
    runner.resume(run)
    first, second = (
        moto_aws.sagemaker.describe_training_job(TrainingJobName=f"{run}-{attempt}")
        for attempt in (1, 2)
    )
    for same in ("CheckpointConfig", "InputDataConfig", "RoleArn", "ResourceConfig"):
        assert first[same] == second[same]
    assert first["ModelArtifacts"] != second["ModelArtifacts"]
    assert runner.status(run).state is JobState.COMPLETED


def test_an_attempt_that_somebody_else_began_is_found_out(
    runner: SageMakerJobRunner, moto: Clients, moto_aws: Aws, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    backend_job(run).training_job_status = "Failed"
    key = f"llm-twin/runs/{run}/run.json"
    before = moto.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    runner.resume(run)
    # As if that one had died before it could write its attempt down.
    moto.s3.put_object(Bucket=BUCKET, Key=key, Body=before)
    backend_job(run, 2).training_job_status = "InProgress"

    with Stubber(moto_aws.sagemaker) as stub:
        described = {
            "TrainingJobName": f"{run}-1",
            "TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/x",
            "ModelArtifacts": {"S3ModelArtifacts": "s3://x/y"},
            "TrainingJobStatus": "Failed",
            "SecondaryStatus": "Failed",
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "ResourceConfig": {"VolumeSizeInGB": 1},
            "StoppingCondition": {},
            "CreationTime": 0,
        }
        stub.add_response("describe_training_job", described)
        stub.add_client_error("create_training_job", "ResourceInUse")
        with pytest.raises(InvalidInput, match="somebody else"):
            runner.resume(run)
    assert runner.status(run).state is JobState.RUNNING, "the second attempt is known again"


def test_a_run_whose_job_was_never_created_can_be_resumed(
    runner: SageMakerJobRunner, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    del sagemaker_backends[ACCOUNT][REGION].training_jobs[f"{run}-1"]
    status = runner.status(run)
    assert (status.state, status.reason) == (JobState.FAILED, "it was never started")
    runner.resume(run)
    assert runner.status(run).state is JobState.COMPLETED


def test_a_damaged_record_is_said(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    moto.s3.put_object(Bucket=BUCKET, Key=f"llm-twin/runs/{run}/run.json", Body=b"{")
    with pytest.raises(BackendUnavailable, match="is damaged"):
        runner.status(run)


def tell(moto: Clients, stream: str, *lines: str, first: int = 0) -> None:
    events = [{"timestamp": first + number, "message": line} for number, line in enumerate(lines)]
    moto.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def test_a_long_log_comes_in_pages_and_what_is_late_keeps_the_numbers_of_the_rest(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    now = int(time.time() * 1_000)
    run = submit(runner, tmp_path)
    assert list(runner.lines(run)) == []
    first, second = f"{run}-1/algo-1-100", f"{run}-1/algo-1-200"
    moto.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=first)
    for page in range(3):
        tell(
            moto,
            first,
            *(f"line {page * 9_000 + number}" for number in range(9_000)),
            first=now + page * 9_000,
        )
    lines = list(runner.lines(run))
    assert lines == [f"line {number}" for number in range(27_000)]
    # The spot machine is taken away, another one begins; then a late line of the first comes in.
    time.sleep(0.01)
    moto.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=second)
    tell(moto, second, "again\r", "  1%\r 99%", first=now + 30_000)
    assert list(runner.lines(run, after=27_000)) == ["again", " 99%"]
    tell(moto, first, "late", first=now + 27_001)
    assert list(runner.lines(run, after=27_000)) == ["again", " 99%", "late"]


def test_late_lines_of_an_earlier_attempt_move_no_number(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    now = int(time.time() * 1_000)
    run = submit(runner, tmp_path)
    first, second = f"{run}-1/algo-1-1", f"{run}-2/algo-1-2"
    moto.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=first)
    tell(moto, first, "of the first", first=now)
    assert list(runner.lines(run)) == ["of the first"]
    backend_job(run).training_job_status = "Failed"
    runner.resume(run)
    moto.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=second)
    tell(moto, second, "of the second", first=now + 10)
    assert list(runner.lines(run)) == ["of the first", "of the second"]
    tell(moto, first, "late", first=now + 5)
    assert list(runner.lines(run)) == ["of the first", "of the second", "late"]


def test_runs_are_listed_by_the_dates_in_their_names(
    runner: SageMakerJobRunner, moto: Clients
) -> None:
    runs = [
        "dpo-20250101-000000-aaaa",
        "sft-20260101-000000-bbbb",
        "a-b-20260101-000001-cccc",
    ]
    for run in (*runs, "notes"):
        key = f"llm-twin/runs/{run}/run.json"
        record = json.dumps({"recipe": "sft", "attempt": 1})
        moto.s3.put_object(Bucket=BUCKET, Key=key, Body=record.encode())
    assert list(runner.runs()) == list(reversed(runs))
