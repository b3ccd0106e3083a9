"""Answers from a SageMaker endpoint whose container speaks OpenAI's chat completions.

Does not know: who made the endpoint, what is in its container.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from threading import Lock, Thread
from typing import Any

from pydantic import ValidationError

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, NotFound, TwinError
from llm_engineering.infrastructure.aws import Aws, aws_errors, code_of, message_of
from llm_engineering.infrastructure.event_lines import EventLines
from llm_engineering.infrastructure.openai_wire import (
    Chunk,
    Completed,
    Gathered,
    body_of,
    completion_of,
    estimated_tokens,
    said_in,
)
from llm_engineering.infrastructure.thoughts import answer_in

_JSON = "application/json"
_SHOWN = 200
"""Characters of a container's own message that are passed on."""
_CONNECTIONS = 256
"""Kept open; who may ask how much at once is decided before an engine is asked."""

Part = bytes | Exception | None
"""Of an answer; None at its end."""


class SageMakerChat:
    """Generating `ChatModel`. Nothing is sent before the first question."""

    def __init__(
        self,
        aws: Aws,
        *,
        endpoint: str,
        component: str | None,
        model: str,
        timeout_s: float,
        capabilities: Capabilities,
    ) -> None:
        """`component`: of an endpoint that has several; `model`: as the container knows it;
        `timeout_s` is the longest silence that is borne."""
        self._aws = aws
        self._endpoint = endpoint
        self._component = component
        self._model = model
        self._timeout_s = timeout_s
        self._capabilities = capabilities
        self._making = Lock()

    @property
    def name(self) -> str:
        """As the container knows the model."""
        return self._model

    @property
    def generates(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def models(self) -> tuple[str, ...]:
        return (self._model,)

    def count_tokens(self, text: str) -> int:
        """A token per four characters: an endpoint does not count."""
        return estimated_tokens(text)

    def complete(self, request: ChatRequest) -> Completion:
        """The model's answer. Raises as the port says, in one line that names the endpoint."""
        call = self._call(request, streamed=False)
        with self._errors():
            answer = self._client.invoke_endpoint(**call, Accept=_JSON)
            body = answer["Body"].read()
        try:
            completed = Completed.model_validate_json(body)
        except ValidationError:
            raise self._no_completion() from None
        text = answer_in(completed.choices[0].message.content or "")
        return completion_of(completed, text=text)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """As the port says; an endpoint that ends an answer in its middle is BackendUnavailable."""
        call = self._call(request, streamed=True)
        gathered, lines = Gathered(), EventLines()
        parts: asyncio.Queue[Part] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(part: Part) -> None:
            with suppress(RuntimeError):  # the loop has ended, and whoever asked with it
                loop.call_soon_threadsafe(parts.put_nowait, part)

        reading = _Reading(lambda: self._opened(call), tell=tell)
        reading.start()
        try:
            while (part := await parts.get()) is not None:
                with self._errors():
                    if isinstance(part, Exception):
                        raise part
                for data in lines.feed(part):
                    if text := gathered.read(self._chunk(data)):
                        yield Delta(text)
        finally:
            reading.leave()
        for data in lines.end():
            if text := gathered.read(self._chunk(data)):
                yield Delta(text)
        if not gathered.ended:
            raise self._cut_off(lines.other)
        if text := gathered.end():
            yield Delta(text)
        yield gathered.completion()

    @cached_property
    def _client(self) -> Any:
        with self._making:
            return self._aws.runtime(silence_s=self._timeout_s, connections=_CONNECTIONS)

    def _call(self, request: ChatRequest, *, streamed: bool) -> dict[str, Any]:
        if request.model not in ("", self._model):
            raise NotFound(f"no model {request.model[:80]!r} but {self._model!r}")
        body = body_of(
            request, model=self._model, capabilities=self._capabilities, streamed=streamed
        )
        component = {"InferenceComponentName": self._component} if self._component else {}
        return {
            "EndpointName": self._endpoint,
            "ContentType": _JSON,
            "Body": json.dumps(body).encode(),
            **component,
        }

    def _opened(self, call: dict[str, Any]) -> Any:
        return self._client.invoke_endpoint_with_response_stream(**call)["Body"]

    def _chunk(self, data: str) -> Chunk:
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError:
            raise self._no_completion() from None
        if chunk.error is not None:
            raise self._trouble(f"failed: {said_in(chunk.error)[:_SHOWN]}")
        return chunk

    def _cut_off(self, other: str) -> BackendUnavailable:
        """It may have said why, in place of an event."""
        try:
            said = said_in(json.loads(other))
        except ValueError:
            said = other
        if said:
            return self._trouble(f"failed: {said[:_SHOWN]}")
        return self._trouble("ended its answer in the middle; its log says why, then ask again")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raises BackendUnavailable: whoever asks the twin can set nothing right here."""
        from botocore import exceptions as botocore
        from botocore.eventstream import ParserError
        from urllib3.exceptions import HTTPError
        from urllib3.exceptions import ReadTimeoutError as SilenceError

        try:
            with aws_errors(f"invoke the endpoint {self._endpoint!r}", section="TWIN_CHAT"):
                try:
                    yield
                except botocore.EventStreamError as error:
                    raise self._trouble(f"broke off: {message_of(error)}; ask again") from None
                except botocore.ClientError as error:
                    if code_of(error) != "ModelError":
                        raise
                    raise self._model_error(error.response) from None
                except (botocore.ReadTimeoutError, SilenceError):
                    raise self._trouble(
                        f"did not answer within {self._timeout_s:g} s; raise "
                        "TWIN_CHAT__TIMEOUT_S, or ask for fewer tokens"
                    ) from None
                except (HTTPError, ParserError):
                    raise self._cut_off("") from None
        except InvalidInput as error:
            raise BackendUnavailable(str(error)) from None

    def _model_error(self, response: Any) -> TwinError:
        """What the container answered when it did not answer the question."""
        status = response.get("OriginalStatusCode", 0)
        message = response.get("OriginalMessage", "")
        try:
            said = said_in(json.loads(message))
        except ValueError:
            said = " ".join(message.split())
        kind = "failed" if status >= 500 else "refuses the request"
        return self._trouble(
            f"{kind} (HTTP {status}): {said[:_SHOWN] or 'it does not say why; look at its log'}"
        )

    def _no_completion(self) -> BackendUnavailable:
        return self._trouble(
            "answers with something that is no chat completion; its container has to speak "
            "OpenAI's, as vLLM's does"
        )

    def _trouble(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(f"the SageMaker endpoint {self._endpoint!r} {what}")


class _Reading:
    """Reads a streamed answer in a thread of its own: boto3 knows no event loop."""

    def __init__(self, opened: Callable[[], Any], *, tell: Callable[[Part], None]) -> None:
        self._opened = opened
        self._tell = tell
        self._lock = Lock()
        self._body: Any = None
        self._left = False

    def start(self) -> None:
        Thread(target=self._run, name="sagemaker-answer", daemon=True).start()

    def leave(self) -> None:
        """End the work: the connection is closed, also while nothing comes."""
        with self._lock:
            self._left = True
            # botocore offers no way to wake a reader; urllib3's response does.
            raw = getattr(self._body, "_raw_stream", None)
        if raw is not None:
            with suppress(ValueError, RuntimeError, OSError):  # it has ended already
                raw.shutdown()

    def _run(self) -> None:
        try:
            body = self._opened()
            with closing(body):
                with self._lock:
                    self._body = body
                if not self._left:
                    self._read(body)
            self._tell(None)
        except Exception as error:
            self._tell(error)

    def _read(self, body: Any) -> None:
        for event in body:
            if self._left:
                return
            if (part := event.get("PayloadPart")) is not None:
                self._tell(part["Bytes"])
