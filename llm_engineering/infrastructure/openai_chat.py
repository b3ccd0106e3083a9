"""Answers from any server that speaks OpenAI's chat completions: vLLM first, hosted ones too.

Does not know: prompts. What the model says is taken as it is, but for the marks of its citations
(`citation_marks`) and for thoughts it shows before its answer. No streaming.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from llm_engineering.domain.chat import ChatRequest, Citation, Completion, Usage
from llm_engineering.domain.errors import BackendUnavailable, MissingExtra, TwinError
from llm_engineering.infrastructure.citation_marks import cited
from llm_engineering.ports.models import SparseEncoder

try:
    import httpx
except ImportError as error:
    raise MissingExtra("httpx", extra="api") from error

_CHARACTERS_PER_TOKEN = 4
"""Of English in the vocabularies of today's models, about."""
_TOKENIZE_TIMEOUT_S = 10.0
_REMEMBERED = 20_000
"""Texts whose lengths are kept."""
_SHOWN = 200
"""Characters of a server's own message that are passed on."""

_THOUGHTS = re.compile(r"^\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_DECLINES = re.compile(
    r"\b(?:have(?: not|n['’]t)|(?:have )?never|did(?: not|n['’]t)) (?:ever |yet |actually )?"
    r"(?:written|wrote|write) (?:anything |specifically |directly )*(?:about|on)\b",
    re.IGNORECASE,
)


class _Said(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completed(BaseModel):
    """The part of an answer that is read; the rest is ignored."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Counted(BaseModel):
    """What vLLM's `/tokenize` answers."""

    count: int = Field(ge=0)


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class OpenAiChat:
    """Generating `ChatModel`. Nothing is sent before the first question."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None,
        timeout_s: float,
        sparse: SparseEncoder,
        abstention: str,
    ) -> None:
        """`base_url` usually ends in /v1; `sparse` finds the statement that a mark refers to.

        A model abstains by the first sentence of `abstention`, or by saying without a citation
        that it has not written about it.
        """
        self._model = model
        self._key = api_key
        self._timeout_s = timeout_s
        self._sparse = sparse
        self._abstention = re.split(r"(?<=\w)[,.]", abstention, maxsplit=1)[0].casefold()
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=timeout_s,
        )
        self._counts: bool | None = None
        """Whether the server counts tokens; None before it was asked."""
        self._counted: dict[str, int] = {}
        """A passage is put together from sentences, each counted more than once."""

    @property
    def name(self) -> str:
        """As the server knows the model."""
        return self._model

    @property
    def generates(self) -> bool:
        return True

    @property
    def host(self) -> str:
        """The server without path or password, fit for messages."""
        url = self._client.base_url
        return url.host + (f":{url.port}" if url.port else "")

    def count_tokens(self, text: str) -> int:
        """As the server counts when it can (vLLM), else a token per four characters.

        Raises BackendUnavailable when the server does not answer at all.
        """
        if self._counts is False:
            return _estimated(text)
        if (counted := self._counted.get(text)) is None:
            if (counted := self._count(text)) is None:
                return _estimated(text)
            if len(self._counted) >= _REMEMBERED:
                self._counted.clear()
            self._counted[text] = counted
        return counted

    def complete(self, request: ChatRequest) -> Completion:
        """The model's answer. Raises BackendUnavailable in one line that names server and fix."""
        body = {
            "model": self._model,
            "messages": [message.model_dump(mode="json") for message in request.messages],
            "max_tokens": request.max_tokens,
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        response = self._post("chat/completions", body, timeout_s=self._timeout_s)
        if response.status_code != httpx.codes.OK:
            raise self._refused(response)
        try:
            completed = _Completed.model_validate_json(response.content)
        except ValidationError:
            raise self._trouble(
                "answers with something that is no chat completion; TWIN_CHAT__BASE_URL is the "
                "address above /chat/completions and usually ends in /v1"
            ) from None
        return self._completion(completed, request)

    def close(self) -> None:
        """Release connections; closing twice is fine."""
        self._client.close()

    def _completion(self, completed: _Completed, request: ChatRequest) -> Completion:
        choice = completed.choices[0]
        text = _THOUGHTS.sub("", choice.message.content or "").strip()
        if not text and choice.finish_reason == "length":
            raise self._trouble(
                f"used all of {request.max_tokens} tokens before its answer began; raise "
                "max_tokens, or serve a model that does not think first"
            )
        citations: tuple[Citation, ...] = ()
        if request.passages:
            text, citations = cited(text, request.passages, sparse=self._sparse)
        used = completed.usage or _Usage()
        return Completion(
            text=text,
            citations=citations,
            abstained=self._abstains(text, cites=bool(citations)),
            usage=Usage(prompt_tokens=used.prompt_tokens, completion_tokens=used.completion_tokens),
        )

    def _abstains(self, text: str, *, cites: bool) -> bool:
        if not text or text.casefold().startswith(self._abstention):
            return True
        return not cites and _DECLINES.search(text) is not None

    def _count(self, text: str) -> int | None:
        """None when the server does not count; remembered, unless it only failed this time."""
        response = self._post(
            str(self._client.base_url.join("../tokenize")),  # beside /v1, not below it
            {"model": self._model, "prompt": text, "add_special_tokens": False},
            timeout_s=min(self._timeout_s, _TOKENIZE_TIMEOUT_S),
        )
        if response.is_server_error:
            return None
        try:
            counted = _Counted.model_validate_json(response.content).count
        except ValidationError:
            self._counts = False
            return None
        self._counts = response.is_success
        return counted if response.is_success else None

    def _post(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> httpx.Response:
        try:
            return self._client.post(path, json=body, timeout=timeout_s)
        except httpx.TimeoutException:
            raise self._trouble(
                f"did not answer within {timeout_s:g} s; raise TWIN_CHAT__TIMEOUT_S, or ask for "
                "fewer tokens"
            ) from None
        except httpx.TransportError:
            raise self._trouble(
                "does not answer; start it, correct TWIN_CHAT__BASE_URL, or unset TWIN_CHAT__KIND"
            ) from None

    def _refused(self, response: httpx.Response) -> TwinError:
        status = response.status_code
        match status:
            case 401 | 403:
                which = "refuses the key of" if self._key else "wants a key; set"
                return self._trouble(f"{which} TWIN_CHAT__API_KEY (HTTP {status})")
            case 404:
                return self._trouble(self._what_is_missing())
            case 429:
                wait = response.headers.get("retry-after", "")
                when = f"in {wait} s" if wait.isdigit() else "later"
                return self._trouble(f"takes no more requests now (HTTP 429); ask again {when}")
            case _ if response.is_server_error:
                return self._trouble(f"failed (HTTP {status}); its log says why, then ask again")
            case _:
                return self._trouble(f"refuses the request (HTTP {status}): {self._said(response)}")

    def _what_is_missing(self) -> str:
        """After a 404: the model, or the whole address."""
        try:
            answer = self._client.get("models", timeout=min(self._timeout_s, _TOKENIZE_TIMEOUT_S))
            names = [model.id for model in _Models.model_validate_json(answer.content).data]
        except (httpx.TransportError, ValidationError):
            return (
                "has no chat completions there (HTTP 404); TWIN_CHAT__BASE_URL usually ends in /v1"
            )
        listed = ", ".join(repr(name) for name in names[:5]) or "none"
        return f"has no model {self._model!r} but {listed}; set TWIN_CHAT__MODEL"

    def _said(self, response: httpx.Response) -> str:
        """The server's own words on one line, without the key."""
        try:
            body: Any = response.json()
        except ValueError:
            body = response.text
        while isinstance(body, dict):
            body = next((body[key] for key in ("error", "message", "detail") if key in body), "")
        line = " ".join(str(body).split())
        if self._key:
            line = line.replace(self._key, "**********")
        return line[:_SHOWN] or "it does not say why; look at its log"

    def _trouble(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(f"the chat server at {self.host} {what}")


def _estimated(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)
