"""Answers from any server that speaks OpenAI's chat completions: vLLM first, hosted ones too.

Does not know: prompts. What the model says is taken as it is, but for thoughts it shows before its
answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta
from llm_engineering.domain.errors import BackendUnavailable, MissingExtra, NotFound, TwinError
from llm_engineering.infrastructure.event_lines import EventLines
from llm_engineering.infrastructure.openai_place import (
    WORDING,
    Wording,
    streaming_client,
    transport_to,
)
from llm_engineering.infrastructure.openai_wire import (
    Chunk,
    Completed,
    Gathered,
    Models,
    body_of,
    completion_of,
    headers_of,
    said_in,
)
from llm_engineering.infrastructure.server_tokens import ServerTokens
from llm_engineering.infrastructure.thoughts import answer_in

try:
    import httpx
except ImportError as error:
    raise MissingExtra("httpx", extra="api") from error

_TOKENIZE_TIMEOUT_S = 10.0
_SHOWN = 200
"""Characters of a server's own message that are passed on."""


class OpenAiChat:
    """Generating `ChatModel`. Nothing is sent before the first question."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None,
        timeout_s: float,
        capabilities: Capabilities,
        socket: Path | None = None,
        wording: Wording = WORDING,
    ) -> None:
        """`base_url` usually ends in /v1; `timeout_s` is the longest silence that is borne;
        `socket`: of a server of this machine that listens on no port."""
        self._model = model
        self._key = api_key
        self._timeout_s = timeout_s
        self._capabilities = capabilities
        self._base_url = base_url.rstrip("/") + "/"
        self._completions = httpx.URL(self._base_url + "chat/completions")  # parsing takes a while
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._socket = socket
        self._wording = wording
        self._client = httpx.Client(
            base_url=self._base_url,
            headers=self._headers,
            timeout=timeout_s,
            transport=transport_to(socket),
        )
        self._streaming: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None
        """Connections belong to an event loop; a server has one."""
        self._tokens = ServerTokens(self._tokenized)

    @property
    def name(self) -> str:
        """As the server knows the model."""
        return self._model

    @property
    def generates(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def models(self) -> tuple[str, ...]:
        """The one that was set; others only where the server is said to hold adapters."""
        if not self._capabilities.adapters:
            return (self._model,)
        try:
            served = self._served()
        except httpx.TransportError:
            raise self._gone() from None
        except ValidationError:
            raise self._no_completion() from None
        return (self._model, *(name for name in served if name != self._model))

    @property
    def host(self) -> str:
        """The server without path or password, fit for messages."""
        url = self._client.base_url
        return url.host + (f":{url.port}" if url.port else "")

    def count_tokens(self, text: str) -> int:
        """As the server counts when it can (vLLM), else a token per four characters.

        Raises BackendUnavailable when the server does not answer at all.
        """
        return self._tokens.count(text)

    def complete(self, request: ChatRequest) -> Completion:
        """The model's answer. Raises BackendUnavailable in one line that names server and fix."""
        response = self._post(
            "chat/completions", self._body(request, streamed=False), timeout_s=self._timeout_s
        )
        if response.status_code != httpx.codes.OK:
            raise self._refused(response, request.model)
        try:
            completed = Completed.model_validate_json(response.content)
        except ValidationError:
            raise self._no_completion() from None
        text = answer_in(completed.choices[0].message.content or "")
        return self._checked(completion_of(completed, text=text), request)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """As the port says; a server that ends an answer in its middle is a BackendUnavailable."""
        gathered = Gathered()
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                if text := gathered.read(chunk):
                    yield Delta(text)
        if not gathered.ended:
            raise self._trouble(self._wording.broken)
        if text := gathered.end():
            yield Delta(text)
        yield self._checked(gathered.completion(), request)

    async def _chunks(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The events of an answer. Closing this closes the connection, which ends the work."""
        body = self._body(request, streamed=True)
        posting = self._streams().stream(
            "POST", self._completions, json=body, headers=headers_of(request)
        )
        lines = EventLines()  # httpx's own end at any of Unicode's line breaks, inside JSON too
        try:
            async with posting as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise await asyncio.to_thread(self._refused, response, request.model)
                async for part in response.aiter_bytes():
                    for data in lines.feed(part):
                        yield self._chunk(data)
                    if lines.ended:
                        return
                for data in lines.end():
                    yield self._chunk(data)
        except httpx.TimeoutException:
            raise self._silent() from None
        except httpx.RemoteProtocolError:  # it went away while it spoke
            return
        except httpx.TransportError:
            raise self._gone() from None

    def _chunk(self, data: str) -> Chunk:
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError:
            raise self._no_completion() from None
        if chunk.error is not None:
            raise self._trouble(f"failed: {self._without_key(said_in(chunk.error))}")
        return chunk

    def _streams(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._streaming is None or self._streaming[0] is not loop:
            client = streaming_client(
                self._base_url,
                headers=self._headers,
                timeout_s=self._timeout_s,
                socket=self._socket,
            )
            self._streaming = loop, client
        return self._streaming[1]

    def _body(self, request: ChatRequest, *, streamed: bool) -> dict[str, Any]:
        return body_of(
            request,
            model=request.model or self._model,
            capabilities=self._capabilities,
            streamed=streamed,
        )

    def _checked(self, completion: Completion, request: ChatRequest) -> Completion:
        empty = not completion.text and not completion.tool_calls
        if empty and completion.finish_reason == "length":
            raise self._trouble(
                f"used all of {request.max_tokens} tokens before its answer began; raise "
                "max_tokens, or serve a model that does not think first"
            )
        return completion

    def close(self) -> None:
        """Release connections; closing twice is fine."""
        self._client.close()

    async def aclose(self) -> None:
        """Release those of this event loop, which has to be done before it ends."""
        if self._streaming is not None:
            _, client = self._streaming
            self._streaming = None
            await client.aclose()

    def _tokenized(self, text: str) -> httpx.Response:
        return self._post(
            str(self._client.base_url.join("../tokenize")),  # beside /v1, not below it
            {"model": self._model, "prompt": text, "add_special_tokens": False},
            timeout_s=min(self._timeout_s, _TOKENIZE_TIMEOUT_S),
        )

    def _post(self, path: str, body: Mapping[str, Any], *, timeout_s: float) -> httpx.Response:
        try:
            return self._client.post(path, json=body, timeout=timeout_s)
        except httpx.TimeoutException:
            raise self._silent(timeout_s) from None
        except httpx.TransportError:
            raise self._gone() from None

    def _refused(self, response: httpx.Response, model: str) -> TwinError:
        status = response.status_code
        match status:
            case 401 | 403:
                which = "refuses the key of" if self._key else "wants a key; set"
                return self._trouble(f"{which} TWIN_CHAT__API_KEY (HTTP {status})")
            case 404:
                return self._missing(model)
            case 429:
                wait = response.headers.get("retry-after", "")
                when = f"in {wait} s" if wait.isdigit() else "later"
                return self._trouble(f"takes no more requests now (HTTP 429); ask again {when}")
            case _ if response.is_server_error:
                return self._trouble(f"failed (HTTP {status}); its log says why, then ask again")
            case _:
                return self._trouble(f"refuses the request (HTTP {status}): {self._said(response)}")

    def _missing(self, model: str) -> TwinError:
        """After a 404: the model that was asked for, the one that was set, or all of it."""
        try:
            names = self._served()
        except (httpx.TransportError, ValidationError):
            return self._trouble(
                "has no chat completions there (HTTP 404); TWIN_CHAT__BASE_URL usually ends in /v1"
            )
        listed = ", ".join(repr(name) for name in names[:5]) or "none"
        if model not in ("", self._model):
            return NotFound(f"the chat server at {self.host} has no model {model!r} but {listed}")
        return self._trouble(f"has no model {self._model!r} but {listed}; set TWIN_CHAT__MODEL")

    def _served(self) -> tuple[str, ...]:
        answer = self._client.get("models", timeout=min(self._timeout_s, _TOKENIZE_TIMEOUT_S))
        return tuple(model.id for model in Models.model_validate_json(answer.content).data)

    def _said(self, response: httpx.Response) -> str:
        """The server's own words on one line, without the key."""
        try:
            body: Any = response.json()
        except ValueError:
            body = response.text
        return self._without_key(said_in(body)) or "it does not say why; look at its log"

    def _without_key(self, line: str) -> str:
        return (line.replace(self._key, "**********") if self._key else line)[:_SHOWN]

    def _no_completion(self) -> BackendUnavailable:
        return self._trouble(
            "answers with something that is no chat completion; TWIN_CHAT__BASE_URL is the "
            "address above /chat/completions and usually ends in /v1"
        )

    def _silent(self, timeout_s: float | None = None) -> BackendUnavailable:
        return self._trouble(
            f"did not answer within {timeout_s or self._timeout_s:g} s; raise "
            "TWIN_CHAT__TIMEOUT_S, or ask for fewer tokens"
        )

    def _gone(self) -> BackendUnavailable:
        return self._trouble(self._wording.gone)

    def _trouble(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(f"the chat server at {self.host} {what}")
