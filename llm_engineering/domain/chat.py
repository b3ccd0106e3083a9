"""Questions, passages, completions and cited answers."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.documents import DocumentRef


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Message(Frozen):
    """One turn of a conversation."""

    role: Role
    content: str


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


class ChatRequest(Frozen):
    """What a chat model is asked: the rendered messages and the evidence they were made from.

    A generative model reads `messages`; an extractive one reads `question` and `passages`.
    """

    messages: tuple[Message, ...]
    question: str
    passages: tuple[Passage, ...] = ()
    max_tokens: int = 512
    temperature: float | None = Field(default=None, ge=0)
    """None: as the model's server has it; 0: the likeliest words, as often as it is asked."""


class Completion(Frozen):
    """What a chat model said."""

    text: str
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    """True when the model says that the evidence does not answer the question."""
    usage: Usage = Usage()


class Answer(Frozen):
    """An answer with its evidence and what it took."""

    question: str
    text: str
    abstained: bool
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    evidence: float
    """How well the best passage supports an answer, 0 to 1; under the threshold we abstain."""
    model: str
    timings_ms: dict[str, float] = Field(default_factory=dict)
    usage: Usage = Usage()
