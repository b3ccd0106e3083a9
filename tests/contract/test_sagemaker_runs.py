"""A run on SageMaker is found again: by its place, and when its start was not confirmed."""

from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.aws import Aws
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
from llm_engineering.ports.jobs import JobState
from tests.contract.job_runners import job_folder, place
from tests.contract.sagemaker_server import BUCKET, REGION, Clients


@pytest.fixture
def runner(moto: Clients, moto_aws: Aws) -> SageMakerJobRunner:
    return SageMakerJobRunner(place(), aws=moto_aws)


def test_each_place_that_keeps_runs_has_a_name_of_its_own(
    runner: SageMakerJobRunner, moto_aws: Aws, tmp_path: Path
) -> None:
    other_machines = SageMakerJobRunner(place(instance="ml.p4d.24xlarge"), aws=moto_aws)
    other_bucket = SageMakerJobRunner(place(bucket="another"), aws=moto_aws)

    assert runner.where == f"SageMaker in {REGION} with s3://{BUCKET}/llm-twin/runs"
    assert other_machines.where == runner.where, "it finds the same runs"
    assert len({runner.where, other_bucket.where, LocalJobRunner(tmp_path).where}) == 3


def test_a_run_whose_start_was_not_confirmed_is_not_lost(
    runner: SageMakerJobRunner, moto_aws: Aws, tmp_path: Path
) -> None:
    """SageMaker has it, but its answer never came."""

    def lost(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://api.sagemaker")

    announced: list[str] = []
    events = moto_aws.sagemaker.meta.events
    events.register("after-call.sagemaker.CreateTrainingJob", lost)
    try:
        with pytest.raises(BackendUnavailable, match="does not answer"):
            runner.submit(job_folder(tmp_path / "job"), name="SFT", announce=announced.append)
    finally:
        events.unregister("after-call.sagemaker.CreateTrainingJob", lost)

    assert list(runner.runs()) == announced
    assert runner.status(announced[0]).state is JobState.COMPLETED
