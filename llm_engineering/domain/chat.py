"""Questions, passages, completions and cited answers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.documents import DocumentRef
from llm_engineering.domain.traces import TraceParent


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    """What a tool that the model called has returned."""


class ToolCall(Frozen):
    """A model's wish to have a function called, in OpenAI's terms."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it: it may be wrong."""


class Message(Frozen):
    """One turn of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's turn."""
    tool_call_id: str | None = None
    """Of a tool's turn: the call that it answers."""


class Sentence(Frozen):
    """A sentence of prose that can be quoted: the document's characters [start, end)."""

    start: int
    end: int
    heading_path: tuple[str, ...] = ()


class Passage(Frozen):
    """An exact span of one document given to a chat model as evidence."""

    document: DocumentRef
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    """Of its best chunk."""
    sentences: tuple[Sentence, ...] = ()
    tokens: int
    """Length as the answering model counts it."""
    score: float
    """Fused retrieval score; comparable within one query only."""

    def quote(self, start: int, end: int) -> str:
        """The document's characters [start, end), which must lie in this passage."""
        return self.text[start - self.start : end - self.start]


class Citation(Frozen):
    """A verbatim quotation and where to check it."""

    document_id: str
    title: str
    url: str
    author: str
    published_at: datetime | None = None
    heading_path: tuple[str, ...] = ()
    start: int
    end: int
    quote: str

    @classmethod
    def of(
        cls,
        document: DocumentRef,
        *,
        start: int,
        end: int,
        quote: str,
        heading_path: tuple[str, ...] = (),
    ) -> "Citation":
        """Cite `quote`, the characters [start, end) of the cleaned document."""
        return cls(
            document_id=document.id,
            title=document.title,
            url=document.url,
            author=document.author,
            published_at=document.published_at,
            heading_path=heading_path,
            start=start,
            end=end,
            quote=quote,
        )


class Usage(Frozen):
    """Tokens read and written, as the chat model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Sampling(Frozen):
    """How the next token is chosen; None leaves it to the engine."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these, which is left out."""


ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]


class ChatRequest(Frozen):
    """What a chat model is asked: the rendered messages and the evidence they were made from.

    A generative model reads `messages`; an extractive one reads `question` and `passages`.
    """

    messages: tuple[Message, ...]
    question: str
    passages: tuple[Passage, ...] = ()
    changes: tuple["Change", ...] = ()
    """Where the passages contradict each other in time."""
    max_tokens: int = 512
    model: str = ""
    """One of the engine's `models`; '' for the one in production."""
    sampling: Sampling = Sampling()
    tools: tuple[dict[str, Any], ...] = ()
    """In OpenAI's form; only for an engine that says it can."""
    tool_choice: ToolChoice | None = None
    parent: TraceParent | None = None
    """What an engine elsewhere is told to be a part of, when it streams and keeps traces itself."""


class Generation(Frozen):
    """How somebody wants an answer to be made."""

    model: str = ""
    """One of the engine's `models`; '' for the one in production."""
    max_tokens: int | None = Field(default=None, ge=1)
    """None: what the config says."""
    sampling: Sampling = Sampling()
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: ToolChoice | None = None

    def of_request(self, *, max_tokens: int) -> dict[str, Any]:
        """The fields of a ChatRequest; `max_tokens` where nobody asked for another length."""
        return {
            "model": self.model,
            "max_tokens": self.max_tokens or max_tokens,
            "sampling": self.sampling,
            "tools": self.tools,
            "tool_choice": self.tool_choice,
        }


AS_CONFIGURED = Generation()

FinishReason = Literal["stop", "length", "tool_calls"]


class Step(Frozen):
    """One step towards an answer that took several."""

    kind: Literal["plan", "search", "read", "draft"]
    text: str
    """What was planned, searched for, read or chosen."""
    document_ids: tuple[str, ...] = ()
    """Of what a search found, best first."""
    took_ms: float = 0.0


class Completion(Frozen):
    """What a chat model said."""

    text: str
    citations: tuple[Citation, ...] = ()
    """Of a model that quotes; one that generates leaves marks in its text."""
    abstained: bool = False
    """True when a model that quotes finds nothing to quote."""
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    """Which of the engine's models spoke, with its version where it has one."""
    steps: tuple[Step, ...] = ()
    """What was done to choose it among several."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer's text; several tokens when they were there together."""

    text: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine does beside turning messages into text; nothing else is sent to it."""

    adapters: bool = False
    """Several versions of the twin, chosen by `ChatRequest.model`."""
    tools: bool = False
    seed: bool = False
    """The same seed gives the same answer, as far as the engine's arithmetic does."""
    logprobs: bool = False
    structured_output: bool = False
    template_options: bool = False
    """It renders conversations itself and takes what a template is to be given: vLLM."""
    context: int | None = None
    """Tokens that a prompt and its answer may have together; None: not known."""


class Verdict(StrEnum):
    """What a check against the evidence says of one sentence of an answer."""

    SAID = "said"
    """It stands in the author's writing, word for word."""
    SUPPORTED = "supported"
    """Everything that it claims follows from a passage."""
    UNSUPPORTED = "unsupported"
    """No passage says it, or one says otherwise."""


class CheckedSentence(Frozen):
    """A sentence of an answer, its characters [start, end), and what it rests on."""

    start: int
    """In code points of the answer's text, as `end`."""
    end: int
    verdict: Verdict
    source: Citation | None = None
    """The author's sentence behind it; None for an unsupported one."""


class Grounding(Frozen):
    """Whether an answer says what its passages say, sentence by sentence."""

    sentences: tuple[CheckedSentence, ...] = ()
    """Those that claim something, in order: no headings, no code, no questions. Of a replaced
    answer those of the quotations, so that all that stands is here and nothing that was taken
    back."""
    share: float = 1.0
    """Part of what the model claimed that is said or supported, replaced or not; 1 where it
    claimed nothing."""
    replaced: bool = False
    """Too little was, so the author's own sentences stand in place of what the model said."""
    withdrawn: int = 0
    """Code points at the beginning of the text that had been given out when that was known."""


class Change(Frozen):
    """The author said one thing and later another."""

    before: Citation
    after: Citation


class Answer(Frozen):
    """An answer with its evidence and what it took."""

    id: str = ""
    """By which feedback names it."""
    disclosure: str = ""
    """Says that a machine wrote it, and from whose writing."""
    grounding: Grounding | None = None
    """None: nothing was checked, because there was no evidence to check against."""
    changes: tuple[Change, ...] = ()
    """Where the evidence contradicts itself in time, the newer statement last."""
    steps: tuple[Step, ...] = ()
    """Of an answer that took several searches."""

    question: str
    text: str
    abstained: bool
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    evidence: float
    """How well the best passage supports an answer, 0 to 1; under the threshold we abstain."""
    model: str
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    timings_ms: dict[str, float] = Field(default_factory=dict)
    usage: Usage = Usage()

    @property
    def standing(self) -> str:
        """The text without what was withdrawn: what to keep, and to show who comes later."""
        return self.text[self.grounding.withdrawn :].lstrip() if self.grounding else self.text
