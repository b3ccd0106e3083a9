"""What must be right before a job goes to SageMaker: each thing that is not is one line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra, TwinError
from llm_engineering.infrastructure import aws as aws_module
from llm_engineering.infrastructure.aws import Aws, aws_errors
from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
from llm_engineering.infrastructure.sagemaker_place import check_place
from tests.contract.job_runners import job_folder, place
from tests.contract.sagemaker_server import (
    ACCOUNT,
    BUCKET,
    REGION,
    REPOSITORY,
    ROLE,
    Clients,
)

ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
SECRET = "hush-hush"


def refused(error: pytest.ExceptionInfo[TwinError]) -> str:
    """What was said, on one line, with nothing secret in it."""
    text = str(error.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def test_a_place_that_is_right_is_described(moto: Clients, moto_aws: Aws) -> None:
    said = SageMakerJobRunner(place(), aws=moto_aws).place()
    assert said == (
        f"SageMaker in {REGION}, account {ACCOUNT}, ml.g5.2xlarge (spot), at most 1.5 h, "
        f"s3://{BUCKET}/llm-twin"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"role": "TwinTraining"}, "'TwinTraining' is no role; set TWIN_JOBS__ROLE"),
        ({"role": f"arn:aws:iam::{ACCOUNT}:user/ada"}, "is no role"),
        ({"role": f"arn:aws:iam::{ACCOUNT}:role/Nobody"}, "there is no role"),
        ({"role": f"arn:aws:iam::999999999999:role/{ROLE}"}, "credentials of its account"),
        ({"image": "twin-train:1"}, "'twin-train:1' is no image in ECR"),
        ({"image": f"{ECR}/{REPOSITORY}:1 2"}, "is no image in ECR"),
        ({"image": f"{ECR}/{REPOSITORY}:2"}, "docs/how-to/train-on-sagemaker.md"),
        ({"image": f"{ECR}/no-such-repository:1"}, "there is no image"),
        ({"image": f"{ECR}/{REPOSITORY}@sha256:{'0' * 64}"}, "there is no image"),
        (
            {"image": f"{ECR}/{REPOSITORY}".replace(REGION, "eu-west-1")},
            "the image is in eu-west-1",
        ),
        ({"bucket": "no-such-bucket"}, "there is no bucket 'no-such-bucket'"),
        ({"bucket": "No Bucket"}, "is no bucket's name"),
        ({"instance": "ml.g5.2xlrage"}, "did you mean ml.g5.2xlarge?"),
        ({"instance": "gpu"}, "no training instance 'gpu'"),
    ],
)
def test_what_is_wrong_with_a_place_is_one_line_and_nothing_is_started(
    moto: Clients, moto_aws: Aws, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    runner = SageMakerJobRunner(place(**wrong), aws=moto_aws)
    for ask in (runner.place, lambda: runner.submit(job_folder(tmp_path / "job"), name="sft")):
        with pytest.raises(InvalidInput) as error:
            ask()
        assert said in refused(error)
    assert "Contents" not in moto.s3.list_objects_v2(Bucket=BUCKET)
    assert moto_aws.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_bucket_elsewhere_is_refused(moto: Clients, moto_aws: Aws) -> None:
    moto.s3.create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    with pytest.raises(InvalidInput, match="must be in one region"):
        check_place(place(bucket="elsewhere"), moto_aws)


def trust(**statement: Any) -> str:
    given = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": given | statement})


@pytest.mark.parametrize(
    "policy",
    [
        trust(Principal={"Service": "lambda.amazonaws.com"}),
        trust(Principal={"AWS": "*"}),
        trust(Effect="Deny"),
        trust(Action="sts:TagSession"),
    ],
)
def test_a_role_that_sagemaker_may_not_assume_is_refused(
    moto: Clients, moto_aws: Aws, policy: str
) -> None:
    moto.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy)
    with pytest.raises(InvalidInput, match=r"trust policy name sagemaker\.amazonaws\.com"):
        check_place(place(), moto_aws)


@pytest.mark.parametrize(
    "policy",
    [
        trust(),
        trust(Action=["sts:AssumeRole", "sts:TagSession"]),
        trust(Principal={"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}),
    ],
)
def test_a_role_may_trust_sagemaker_in_every_way_of_writing_it(
    moto: Clients, moto_aws: Aws, policy: str
) -> None:
    moto.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy)
    assert check_place(place(), moto_aws) == ACCOUNT


def test_what_may_not_be_looked_at_is_taken_to_be_right(moto: Clients, moto_aws: Aws) -> None:
    with Stubber(moto_aws.iam) as iam, Stubber(moto_aws.ecr) as ecr:
        iam.add_client_error("get_role", "AccessDenied", http_status_code=403)
        ecr.add_client_error("describe_images", "AccessDeniedException")
        assert check_place(place(), moto_aws) == ACCOUNT


def test_without_credentials_it_says_how_to_get_some(
    moto: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    runner = SageMakerJobRunner(place(), aws=Aws(REGION, moto.url))
    with pytest.raises(InvalidInput) as error:
        runner.submit(job_folder(tmp_path / "job"), name="sft")
    assert "no AWS credentials" in refused(error)
    assert "aws configure" in refused(error)


def test_a_profile_that_does_not_exist_is_named(
    moto: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InvalidInput, match="nobody") as error:
        check_place(place(), Aws(REGION, moto.url))
    refused(error)


@pytest.mark.parametrize("url", ["not-a-url", "http://"])
def test_an_endpoint_that_is_none_is_one_line(aws_keys: None, url: str) -> None:
    with pytest.raises(TwinError) as error:
        check_place(place(), Aws(REGION, url))
    refused(error)


def test_an_endpoint_that_does_not_answer_is_not_waited_for_long(aws_keys: None) -> None:
    with pytest.raises(BackendUnavailable, match="AWS does not answer") as error:
        check_place(place(), Aws(REGION, "http://127.0.0.1:9"))
    assert "TWIN_JOBS__REGION" in refused(error)


def test_a_missing_boto3_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'llm-twin\[aws\]'"):
        Aws(REGION)


@pytest.mark.parametrize(
    ("code", "status", "kind", "said"),
    [
        ("ExpiredToken", 400, InvalidInput, "renew them"),
        ("UnrecognizedClientException", 400, InvalidInput, "renew them"),
        ("AccessDeniedException", 400, InvalidInput, "may not start it"),
        ("403", 403, InvalidInput, "may not start it"),
        ("ResourceLimitExceeded", 400, InvalidInput, "ask for a higher quota"),
        ("ThrottlingException", 400, BackendUnavailable, "too busy to start it"),
        ("Whatever", 503, BackendUnavailable, "too busy to start it"),
        ("ValidationException", 400, InvalidInput, "ValidationException: the words of AWS"),
    ],
)
def test_the_errors_of_aws_are_told_apart(
    moto: Clients, moto_aws: Aws, code: str, status: int, kind: type[TwinError], said: str
) -> None:
    def ask() -> None:
        with Stubber(moto_aws.sts) as stub, aws_errors("start it"):
            stub.add_client_error(
                "get_caller_identity", code, "the words\nof AWS", http_status_code=status
            )
            moto_aws.sts.get_caller_identity()

    with pytest.raises(kind) as error:
        ask()
    assert said in refused(error)


def test_a_quota_of_zero_leaves_nothing_in_the_bucket(
    moto: Clients, moto_aws: Aws, tmp_path: Path
) -> None:
    runner = SageMakerJobRunner(place(), aws=moto_aws)
    with Stubber(moto_aws.sagemaker) as stub:
        stub.add_client_error(
            "create_training_job", "ResourceLimitExceeded", "the limit for ml.g5.2xlarge is 0"
        )
        with pytest.raises(InvalidInput, match=r"the limit for ml\.g5\.2xlarge is 0"):
            runner.submit(job_folder(tmp_path / "job"), name="sft")
    assert "Contents" not in moto.s3.list_objects_v2(Bucket=BUCKET)


def test_a_base_on_this_machine_is_refused(moto: Clients, moto_aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    folder = job_folder(tmp_path / "job", base=str(tmp_path / "model"))
    with pytest.raises(InvalidInput, match="which SageMaker cannot see"):
        SageMakerJobRunner(place(), aws=moto_aws).submit(folder, name="sft")


def test_the_keys_are_in_no_object_and_no_request(
    moto: Clients, moto_aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    run = SageMakerJobRunner(place(), aws=moto_aws).submit(job_folder(tmp_path / "job"), name="sft")
    job = moto_aws.sagemaker.describe_training_job(TrainingJobName=f"{run}-1")
    assert SECRET not in json.dumps(job, default=str)
    for found in moto.s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        content = io.BytesIO()
        moto.s3.download_fileobj(BUCKET, found["Key"], content)
        assert SECRET.encode() not in content.getvalue()
