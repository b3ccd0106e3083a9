"""Clients of AWS, and its many errors in one line each.

Credentials are found as boto3 finds them, and appear in no message.
Does not know: what is asked of AWS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra

CONNECT_S, READ_S, ATTEMPTS, CONNECTIONS = 5, 60, 4, 10

_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_BUSY = {
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "SlowDown",
    "RequestLimitExceeded",
}


@dataclass(frozen=True)
class Aws:
    """The clients that runs need, each made on first use; `endpoint_url` stands in for all.

    Raises MissingExtra.
    """

    region: str
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        if find_spec("boto3") is None:
            raise MissingExtra("boto3", extra="aws")

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def sagemaker(self) -> Any:
        return self._client("sagemaker")

    @cached_property
    def logs(self) -> Any:
        return self._client("logs")

    @cached_property
    def sts(self) -> Any:
        return self._client("sts")

    @cached_property
    def iam(self) -> Any:
        return self._client("iam")

    @cached_property
    def ecr(self) -> Any:
        return self._client("ecr")

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session(region_name=self.region)

    def runtime(self, *, silence_s: float, connections: int) -> Any:
        """Invokes endpoints; `silence_s` is the longest that is borne. Nothing is asked twice: a
        model would work twice for it."""
        return self._client(
            "sagemaker-runtime", read_s=silence_s, retries=0, connections=connections
        )

    def _client(
        self,
        service: str,
        *,
        read_s: float = READ_S,
        retries: int = ATTEMPTS,
        connections: int = CONNECTIONS,
    ) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            max_pool_connections=connections,
            retries={"mode": "standard", "max_attempts": retries},
        )
        try:
            return self._session.client(service, endpoint_url=self.endpoint_url, config=config)
        except (BotoCoreError, ValueError) as error:
            raise InvalidInput(
                f"cannot use AWS: {_one_line(error)}; correct TWIN_JOBS__*"
            ) from None


def code_of(error: Any) -> str:
    """Of a ClientError: what AWS calls it."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: Any) -> str:
    return _one_line(error.response.get("Error", {}).get("Message", ""))


@contextmanager
def aws_errors(doing: str, *, section: str = "TWIN_JOBS") -> Iterator[None]:
    """Raises InvalidInput for what the user can set right, BackendUnavailable for the rest.

    `doing` says what was tried, e.g. `read the log`; `section`: of the settings that say where.
    """
    from botocore import exceptions as botocore

    try:
        yield
    except (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.SSOError,
    ) as error:
        raise InvalidInput(
            f"no AWS credentials to {doing} with ({type(error).__name__}); "
            "run 'aws configure', or set AWS_PROFILE"
        ) from None
    except botocore.ClientError as error:
        raise _client_error(error, doing, section) from None
    except botocore.ParamValidationError as error:
        raise InvalidInput(f"cannot {doing}: {_one_line(error)}; correct {section}__*") from None
    except (botocore.BotoCoreError, botocore.HTTPClientError) as error:
        raise BackendUnavailable(
            f"AWS does not answer, to {doing} ({type(error).__name__}); "
            f"check the network and {section}__REGION"
        ) from None


def _client_error(error: Any, doing: str, section: str) -> InvalidInput | BackendUnavailable:
    code, message = code_of(error), message_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BAD_CREDENTIALS:
        return InvalidInput(f"AWS refuses the credentials ({code}); renew them, or set AWS_PROFILE")
    if code.startswith("AccessDenied") or status == 403:
        return InvalidInput(f"the AWS credentials may not {doing} ({code}); allow it in IAM")
    if code == "ResourceLimitExceeded":
        return InvalidInput(
            f"AWS will not {doing}: {message}; ask for a higher quota, or set {section}__INSTANCE"
        )
    if code in _BUSY or code.startswith("Throttling") or status >= 500:
        return BackendUnavailable(f"AWS is too busy to {doing} ({code}); try again")
    return InvalidInput(f"AWS will not {doing}: {code}: {message}; correct {section}__*")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
