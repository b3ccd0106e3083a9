"""Where traces of answers go."""

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from llm_engineering.settings.section import Section

_ADDRESS = re.compile(r"https?://[^/?#\s@]+(/[^?#\s@]*)?")


def _http(url: str) -> str:
    if not _ADDRESS.fullmatch(url):
        raise ValueError("must be http(s)://host/path, without a password")
    return url


class NoTracesSettings(Section):
    """Answers leave no traces."""

    kind: Literal["none"] = "none"


class OpikTracesSettings(Section):
    """Traces in Opik (extra `traces`)."""

    kind: Literal["opik"]
    url: str = "http://127.0.0.1:5173/api"
    """Address of its API; `https://www.comet.com/opik/api` is Comet's own."""
    api_key: SecretStr | None = None
    """Sent when set, never logged."""
    workspace: str = "default"
    """Name of the workspace."""
    project: str = "llm-twin"
    """Name of the project."""
    texts: bool = True
    """What is asked, found and said is in the traces; without, only lengths and ids are."""
    timeout_s: float = Field(default=5.0, gt=0)
    """How long one attempt to send may take; no answer waits for it."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return _http(url)


class OtlpTracesSettings(Section):
    """Traces to a collector of OpenTelemetry over HTTP (extra `traces`)."""

    kind: Literal["otlp"]
    endpoint: str = "http://127.0.0.1:4318/v1/traces"
    """Where the collector takes traces."""
    headers: SecretStr | None = None
    """`name=value`, separated by commas, sent with every request, never logged."""
    service: str = "llm-twin"
    """Name that the collector knows the twin by."""
    texts: bool = False
    """What is asked, found and said is in the traces; without, only lengths and ids are."""
    timeout_s: float = Field(default=5.0, gt=0)
    """How long one attempt to send may take; no answer waits for it."""

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return _http(url)

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: SecretStr | None) -> SecretStr | None:
        for pair in headers.get_secret_value().split(",") if headers else ():
            if not re.fullmatch(r"\s*[\w-]+=[ -~]*", pair):
                raise ValueError("must be name=value pairs, separated by commas")
        return headers

    def pairs(self) -> dict[str, str]:
        """The headers by their names."""
        given = self.headers.get_secret_value() if self.headers else ""
        split = (pair.partition("=") for pair in given.split(",") if pair)
        return {name.strip(): value.strip() for name, _, value in split}


TracesSettings = Annotated[
    NoTracesSettings | OpikTracesSettings | OtlpTracesSettings, Field(discriminator="kind")
]
