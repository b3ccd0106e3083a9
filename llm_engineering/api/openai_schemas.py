"""OpenAI's chat completions as clients send them and expect them, with our citations beside.

Fields that a client may send and nothing here understands are passed over, as OpenAI's own server
does: clients send many.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm_engineering.api.grounds_schemas import (
    GROUNDED_EXAMPLE,
    Citation,
    Grounded,
    cited,
    grounded,
)
from llm_engineering.api.passed_on import PassedOn, check_characters
from llm_engineering.api.schemas import HISTORY_LIMIT, QUESTION_LIMIT
from llm_engineering.domain import chat as domain

TWIN = "twin"
"""The model's name that always means the version in production."""
ANSWER_LIMIT = 32_768
"""Tokens of an answer that may be asked for."""
STOP_LIMIT, TOOL_LIMIT = 4, 64
MESSAGE_LIMIT = 32_000
"""Characters of a message that is not the question: a system prompt, an earlier answer."""


class Tolerant(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class TextPart(Tolerant):
    """A part of a message; other kinds than text cannot be read."""

    type: Literal["text"]
    text: str


class CalledFunction(Tolerant):
    name: Annotated[str, Field(max_length=200)]
    arguments: Annotated[str, Field(max_length=MESSAGE_LIMIT)]


class CalledTool(Tolerant):
    id: Annotated[str, Field(max_length=200)]
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Tolerant):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=MESSAGE_LIMIT)] | tuple[TextPart, ...] | None = None
    tool_calls: Annotated[tuple[CalledTool, ...], Field(max_length=TOOL_LIMIT)] | None = None
    tool_call_id: Annotated[str, Field(max_length=200)] | None = None

    @property
    def text(self) -> str:
        match self.content:
            case None:
                return ""
            case str():
                return self.content
            case parts:
                return "\n".join(part.text for part in parts)

    @model_validator(mode="after")
    def _is_said(self) -> Self:
        if len(self.text) > MESSAGE_LIMIT:
            raise ValueError(f"a message has at most {MESSAGE_LIMIT:,} characters")
        check_characters(self.text)
        if self.role in ("system", "developer", "user") and not self.text.strip():
            raise ValueError(f"a {self.role} message needs content")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool message needs 'tool_call_id'")
        return self

    def message(self) -> domain.Message:
        """The same in the domain's terms."""
        role = "system" if self.role == "developer" else self.role
        return domain.Message(
            role=domain.Role(role),
            content=self.text,
            tool_calls=tuple(
                domain.ToolCall(
                    id=call.id, name=call.function.name, arguments=call.function.arguments
                )
                for call in self.tool_calls or ()
            ),
            tool_call_id=self.tool_call_id,
        )


class StreamOptions(Tolerant):
    include_usage: bool = False
    """Send the number of tokens in an event of its own before the end."""


class FunctionTool(Tolerant):
    """A function that the model may ask to have called."""

    type: Literal["function"]
    function: PassedOn


class ChatRequest(Tolerant):
    """A conversation whose last message is answered from the author's own writing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": TWIN,
                    "messages": [
                        {"role": "user", "content": "Why do you keep the database in one file?"}
                    ],
                    "stream": False,
                }
            ]
        }
    )

    model: Annotated[str, Field(min_length=1, max_length=200)] = TWIN
    """One of `GET /v1/models`."""
    messages: Annotated[tuple[ChatMessage, ...], Field(min_length=1, max_length=HISTORY_LIMIT * 4)]
    conversation: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Id of a conversation that is kept: its own history is used, and of `messages` only the
    last."""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=ANSWER_LIMIT)] | None = None
    """Longest answer; the older name of the next field."""
    max_completion_tokens: Annotated[int, Field(ge=1, le=ANSWER_LIMIT)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=500)]
        | Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=500)], ...],
            Field(max_length=STOP_LIMIT),
        ]
        | None
    ) = None
    n: Literal[1] | None = 1
    """One answer at a time."""
    tools: Annotated[tuple[FunctionTool, ...], Field(max_length=TOOL_LIMIT)] | None = None
    tool_choice: Literal["auto", "none", "required"] | PassedOn | None = None

    @field_validator("messages")
    @classmethod
    def _ends_with_somebody_else(cls, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
        last = messages[-1]
        if last.role not in ("user", "tool"):
            raise ValueError(
                "the last message must be a user's or a tool's: it is what is answered"
            )
        if last.role == "user" and len(last.text) > QUESTION_LIMIT:
            raise ValueError(f"the last message may have {QUESTION_LIMIT:,} characters at most")
        return messages

    def generation(self) -> domain.Generation:
        """How the answer is to be made, in the domain's terms."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return domain.Generation(
            model="" if self.model == TWIN else self.model,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            sampling=domain.Sampling(
                temperature=self.temperature, top_p=self.top_p, seed=self.seed, stop=stop
            ),
            tools=tuple(tool.model_dump() for tool in self.tools or ()),
            tool_choice=self.tool_choice,
        )


class Tokens(Tolerant):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: domain.Usage) -> Self:
        both = usage.prompt_tokens, usage.completion_tokens
        return cls(prompt_tokens=both[0], completion_tokens=both[1], total_tokens=sum(both))


class Grounds(Grounded):
    """What the answer rests on: our extension of OpenAI's shapes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **GROUNDED_EXAMPLE,
                    "abstained": False,
                    "evidence": 0.81,
                    "index_version": "gen-3",
                    "timings_ms": {"embed": 4.1, "search": 2.3, "wait": 0.1, "total": 9.8},
                }
            ]
        }
    )

    citations: tuple[Citation, ...]
    abstained: bool
    """The evidence does not answer the question, and the text says so."""
    evidence: float
    """How well the best passage supports an answer, 0 to 1; 0 without retrieval."""
    index_version: str
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, answer: domain.Answer, *, index_version: str, timings_ms: dict[str, float]) -> Self:
        return cls(
            citations=cited(answer.citations),
            **grounded(answer),
            abstained=answer.abstained,
            evidence=answer.evidence,
            index_version=index_version,
            timings_ms={stage: round(ms, 3) for stage, ms in timings_ms.items()},
        )


class Spoken(Tolerant):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: tuple[CalledTool, ...] | None = None


class Choice(Tolerant):
    index: Literal[0] = 0
    message: Spoken
    finish_reason: domain.FinishReason
    logprobs: None = None


class ChatResponse(Tolerant):
    """OpenAI's chat completion, with `citations` and what else the answer rests on."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    """Seconds since 1970."""
    model: str
    """Which version of the twin spoke."""
    choices: tuple[Choice]
    usage: Tokens
    citations: tuple[Citation, ...]
    grounds: Grounds


class Model(Tolerant):
    """A version of the twin, or the engine's own model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["llm-twin"] = "llm-twin"


class Models(Tolerant):
    object: Literal["list"] = "list"
    data: tuple[Model, ...]


class ErrorBody(Tolerant):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(Tolerant):
    """OpenAI's form of an error, which its clients read."""

    error: ErrorBody


def called(calls: tuple[domain.ToolCall, ...]) -> tuple[CalledTool, ...]:
    return tuple(
        CalledTool(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
        for call in calls
    )
