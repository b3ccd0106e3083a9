"""Where SageMaker runs jobs, and whether it can: looked at before anything is uploaded.

What the credentials are not allowed to look at is taken to be right; SageMaker will say.
Does not know: jobs.
"""

import difflib
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.aws import Aws, aws_errors, code_of

_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/([\w+=,.@-]+/)*(?P<name>[\w+=,.@-]+)")
_IMAGE = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
    r"/(?P<repository>[a-z0-9._/-]+)(:(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SERVICE = "sagemaker.amazonaws.com"
_BUILD = "docs/how-to/train-on-sagemaker.md says how to build and push it"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SageMakerPlace:
    """The role, image, bucket and machines of jobs."""

    role: str
    image: str
    bucket: str
    prefix: str
    region: str
    instance: str
    volume_gb: int
    spot: bool
    max_hours: float


def check_place(place: SageMakerPlace, aws: Aws) -> str:
    """Everything in turn, cheapest first; returns the account.

    Raises InvalidInput for the first thing that is wrong, with its fix; BackendUnavailable when
    AWS does not answer.
    """
    role = _ROLE.fullmatch(place.role)
    if role is None:
        raise InvalidInput(
            f"{place.role!r} is no role; set TWIN_JOBS__ROLE to arn:aws:iam::<account>:role/<name>"
        )
    image = _IMAGE.fullmatch(place.image)
    if image is None:
        raise InvalidInput(
            f"{place.image!r} is no image in ECR; set TWIN_JOBS__IMAGE to "
            f"<account>.dkr.ecr.{place.region}.amazonaws.com/<name>:<tag>"
        )
    if image["region"] != place.region:
        raise InvalidInput(
            f"the image is in {image['region']}, jobs run in {place.region}; push it there, or set "
            "TWIN_JOBS__REGION"
        )
    if not _BUCKET.fullmatch(place.bucket):
        raise InvalidInput(f"{place.bucket!r} is no bucket's name; correct TWIN_JOBS__BUCKET")
    _check_instance(place, aws)
    with aws_errors("ask who we are"):
        account = str(aws.sts.get_caller_identity()["Account"])
    _check_role(role["name"], place, aws)
    _check_image(image, place, aws)
    _check_bucket(place, aws)
    return account


def _check_instance(place: SageMakerPlace, aws: Aws) -> None:
    known: list[str] = aws.sagemaker.meta.service_model.shape_for("TrainingInstanceType").enum
    if place.instance not in known:
        close = difflib.get_close_matches(place.instance, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "e.g. ml.g5.2xlarge"
        raise InvalidInput(f"no training instance {place.instance!r}; {hint} (TWIN_JOBS__INSTANCE)")


def _check_role(name: str, place: SageMakerPlace, aws: Aws) -> None:
    found = _looked("the role", lambda: aws.iam.get_role(RoleName=name), absent=("NoSuchEntity",))
    if found is _UNSEEN:
        return
    if found is None:
        raise InvalidInput(f"there is no role {place.role}; create it, or correct TWIN_JOBS__ROLE")
    if found["Role"]["Arn"] != place.role:
        raise InvalidInput(
            f"the role {name} of this account is {found['Role']['Arn']}, not {place.role}; "
            "correct TWIN_JOBS__ROLE, or use credentials of its account"
        )
    if _SERVICE not in _trusted(found["Role"]["AssumeRolePolicyDocument"]):
        raise InvalidInput(
            f"SageMaker may not assume {place.role}; let its trust policy name {_SERVICE}"
        )


def _trusted(policy: Any) -> list[str]:
    """Services that a trust policy lets in."""
    document = json.loads(unquote(policy)) if isinstance(policy, str) else policy
    return [
        service
        for statement in _listed(document.get("Statement", []))
        if statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action", [])))
        and isinstance(statement.get("Principal"), dict)
        for service in _listed(statement["Principal"].get("Service", []))
    ]


def _listed(value: Any) -> list[Any]:
    """A policy writes one thing without its brackets."""
    return value if isinstance(value, list) else [value]


def _check_image(image: "re.Match[str]", place: SageMakerPlace, aws: Aws) -> None:
    which = {"imageDigest": image["digest"]} if image["digest"] else {"imageTag": image["tag"]}
    if which == {"imageTag": None}:
        which = {"imageTag": "latest"}
    found = _looked(
        "the image",
        lambda: aws.ecr.describe_images(
            registryId=image["registry"], repositoryName=image["repository"], imageIds=[which]
        ),
        absent=("RepositoryNotFoundException", "ImageNotFoundException"),
    )
    if found is None:
        raise InvalidInput(f"there is no image {place.image}; {_BUILD}")


def _check_bucket(place: SageMakerPlace, aws: Aws) -> None:
    from botocore.exceptions import ClientError

    with aws_errors(f"use the bucket {place.bucket}"):
        try:
            found = aws.s3.head_bucket(Bucket=place.bucket)
        except ClientError as error:
            if code_of(error) in ("404", "NoSuchBucket"):
                raise InvalidInput(
                    f"there is no bucket {place.bucket!r}; create it, or correct TWIN_JOBS__BUCKET"
                ) from None
            raise
    region = found.get("BucketRegion") or place.region
    if region != place.region:
        raise InvalidInput(
            f"the bucket {place.bucket} is in {region}, jobs run in {place.region}; "
            "they must be in one region"
        )


_UNSEEN = object()


def _looked(what: str, look: Callable[[], Any], *, absent: tuple[str, ...]) -> Any:
    """What `look` finds, None when it is not there, _UNSEEN when looking is not allowed."""
    from botocore.exceptions import ClientError

    with aws_errors(f"look at {what}"):
        try:
            return look()
        except ClientError as error:
            if code_of(error) in absent:
                return None
            if code_of(error).startswith("AccessDenied"):
                _LOG.info("not allowed to look at %s; it is taken to be right", what)
                return _UNSEEN
            raise


def described(place: SageMakerPlace, account: str) -> Iterator[str]:
    """Where and on what."""
    yield f"SageMaker in {place.region}, account {account}"
    yield f"{place.instance}{' (spot)' if place.spot else ''}, at most {place.max_hours:g} h"
    yield f"s3://{place.bucket}/{place.prefix}"
