"""Which engine speaks: the sections of `TWIN_CHAT__KIND`."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from llm_engineering.settings.section import Section
from llm_engineering.settings.vllm import VllmSettings


class QuotesSettings(Section):
    """Extractive answers: the author's own sentences, verbatim and cited."""

    kind: Literal["quotes"] = "quotes"


class OpenAiSettings(Section):
    """Answers from a server with OpenAI's chat completions: vLLM or any other (extra `api`)."""

    kind: Literal["openai"]
    base_url: str = "http://127.0.0.1:8001/v1"
    """Address above `/chat/completions`."""
    model: str = "twin"
    """Name that the server knows the model by."""
    api_key: SecretStr | None = None
    """Sent with every request when set, never logged."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest silence: before a whole answer, or between two pieces of a streamed one."""
    adapters: bool = False
    """The server holds versions of the twin as adapters, chosen by the name of a model."""
    tools: bool = False
    """The server calls tools: requests with `tools` are passed on."""
    seed: bool = True
    """The server takes a `seed`; some hosted ones refuse what they do not know."""
    template_options: bool = False
    """The server is vLLM, or takes `chat_template_kwargs` as it does: a model that can think aloud
    is told not to, as in training."""

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/?#\s@]+(/[^?#\s@]*)?", url):
            raise ValueError("must be http(s)://host/path; a password goes to TWIN_CHAT__API_KEY")
        urlsplit(url).port  # noqa: B018  raises ValueError for a port that is none
        return url

    @field_validator("api_key")
    @classmethod
    def _is_sendable(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("must be ASCII without spaces, to be sent in a header")
        return key


class TransformersSettings(Section):
    """Answers from the version in production, in this process (extra `train`)."""

    kind: Literal["transformers"]
    base: str | None = None
    """Folder or hub id of a copy of the base, when it is not where the promoted version says."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: CUDA where there is one."""
    threads: int = Field(default=0, ge=0)
    """Of the CPU, for computing; 0: all cores."""
    rows: int = Field(default=16, ge=1)
    """Answers that are computed together; more wait in line."""
    adapters: int = Field(default=4, ge=1)
    """Versions that are kept in memory, the one in production among them."""


class SageMakerChatSettings(Section):
    """Answers from a SageMaker endpoint whose container speaks OpenAI's chat completions, as
    vLLM's and LMI's do (extra `aws`); credentials as boto3 finds them."""

    kind: Literal["sagemaker"]
    endpoint: str
    """Name of the endpoint."""
    model: str = "twin"
    """Name that the container knows the model by."""
    component: str | None = None
    """Inference component of the endpoint, where it has several."""
    region: str = "us-east-1"
    """Where it is."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest silence: before a whole answer, or between two pieces of a streamed one."""
    tools: bool = False
    """The container calls tools: requests with `tools` are passed on."""
    seed: bool = True
    """The container takes a `seed`."""
    template_options: bool = True
    """The container takes `chat_template_kwargs`, as vLLM does: a model that can think aloud is
    told not to, as in training."""
    endpoint_url: str | None = None
    """Address of a server that stands in for AWS, for tests."""


class ScriptedSettings(Section):
    """Says the same text whatever is asked; no model, for tests and for measuring."""

    kind: Literal["scripted"]
    tokens_per_s: float | None = Field(default=None, gt=0)
    """Pace of an answer; when not set, as fast as it is read."""
    first_token_s: float = Field(default=0.0, ge=0)
    """How long it thinks before it speaks."""


ChatSettings = Annotated[
    QuotesSettings
    | OpenAiSettings
    | TransformersSettings
    | VllmSettings
    | SageMakerChatSettings
    | ScriptedSettings,
    Field(discriminator="kind"),
]
