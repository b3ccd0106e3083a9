"""OpenAI's chat completions as JSON: what is sent, and the part of an answer that is read.

Does not know: how it travels.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Completion,
    FinishReason,
    Message,
    ToolCall,
    Usage,
)
from llm_engineering.domain.templates import TEMPLATE_OPTIONS
from llm_engineering.infrastructure.thoughts import Thoughts

_CHARACTERS_PER_TOKEN = 4
"""Of English in the vocabularies of today's models, about."""


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _Call(BaseModel):
    index: int = 0
    id: str | None = None
    function: _Function = _Function()


class _Said(BaseModel):
    content: str | None = None
    tool_calls: tuple[_Call, ...] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Piece(BaseModel):
    delta: _Said = _Said()
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completed(BaseModel):
    """A whole answer."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    model: str = ""


class Chunk(BaseModel):
    """An event of a streamed answer; the one with the usage may hold no choice."""

    choices: list[_Piece] = []
    usage: _Usage | None = None
    model: str = ""
    error: Any = None
    """Instead of anything else, where the engine failed on the way."""


class Counted(BaseModel):
    """What vLLM's `/tokenize` answers."""

    count: int = Field(ge=0)


class _Model(BaseModel):
    id: str


class Models(BaseModel):
    """What `/models` answers."""

    data: list[_Model]


def body_of(
    request: ChatRequest, *, model: str, capabilities: Capabilities, streamed: bool = False
) -> dict[str, Any]:
    """The JSON to send; what the engine cannot do is left out."""
    sampling = request.sampling
    optional: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed if capabilities.seed else None,
        "stop": list(sampling.stop) or None,
    }
    if capabilities.tools and request.tools:
        optional |= {"tools": list(request.tools), "tool_choice": request.tool_choice}
    if capabilities.template_options:
        optional["chat_template_kwargs"] = {**TEMPLATE_OPTIONS}
    if streamed:
        optional |= {"stream": True, "stream_options": {"include_usage": True}}
    return {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "max_tokens": request.max_tokens,
        **{name: value for name, value in optional.items() if value is not None},
    }


def headers_of(request: ChatRequest) -> dict[str, str]:
    """What goes beside the body: the span that the engine's own are to be parts of."""
    return {"traceparent": request.parent.header} if request.parent else {}


def _message(message: Message) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.tool_calls:
        sent["tool_calls"] = [tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    return sent


def tool_call(call: ToolCall) -> dict[str, Any]:
    """As OpenAI writes it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


class Gathered:
    """A streamed answer put together from its events, without thoughts."""

    def __init__(self) -> None:
        self._thoughts = Thoughts()
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._usage = _Usage()
        self._reason: str | None = None
        self._model = ""

    @property
    def ended(self) -> bool:
        """Whether the engine has said why the answer ends."""
        return self._reason is not None

    def read(self, chunk: Chunk) -> str:
        """Take an event in; returns the answer's next piece, '' for none."""
        self._usage = chunk.usage or self._usage
        self._model = chunk.model or self._model
        if not chunk.choices:
            return ""
        piece = chunk.choices[0]
        self._reason = piece.finish_reason or self._reason
        for call in piece.delta.tool_calls or ():
            known = self._calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            known["id"] = call.id or known["id"]
            known["name"] += call.function.name or ""
            known["arguments"] += call.function.arguments or ""
        return self._keep(self._thoughts.feed(piece.delta.content or ""))

    def end(self) -> str:
        """What was still held back of the answer; no event follows."""
        return self._keep(self._thoughts.end())

    def _keep(self, text: str) -> str:
        self._text.append(text)
        return text

    def completion(self) -> Completion:
        return Completion(
            text="".join(self._text),
            finish_reason=finish_reason(self._reason),
            tool_calls=tuple(ToolCall(**call) for _, call in sorted(self._calls.items())),
            usage=Usage(**self._usage.model_dump()),
            model=self._model,
        )


def completion_of(completed: Completed, *, text: str) -> Completion:
    """A whole answer, whose text is given."""
    choice = completed.choices[0]
    calls = tuple(
        ToolCall(id=c.id or "", name=c.function.name or "", arguments=c.function.arguments or "")
        for c in choice.message.tool_calls or ()
    )
    return Completion(
        text=text,
        finish_reason=finish_reason(choice.finish_reason),
        tool_calls=calls,
        usage=Usage(**(completed.usage or _Usage()).model_dump()),
        model=completed.model,
    )


def estimated_tokens(text: str) -> int:
    """For a server that does not count."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def finish_reason(said: str | None) -> FinishReason:
    """Engines have further words for an answer that ended by itself."""
    match said:
        case "length" | "tool_calls":
            return said
        case _:
            return "stop"


def said_in(body: Any) -> str:
    """The words of an error's JSON, on one line; '' for none."""
    while isinstance(body, Mapping):
        body = next((body[key] for key in ("error", "message", "detail") if key in body), "")
    return " ".join(str(body).split())
