"""What the API takes and gives: the JSON shapes, their limits and their examples."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from llm_engineering.api.grounds_schemas import (
    GROUNDED_EXAMPLE,
    Citation,
    Grounded,
    Schema,
    cited,
    grounded,
)
from llm_engineering.domain import chat as domain
from llm_engineering.domain.documents import DocumentFilter, DocumentKind

QUESTION_LIMIT = 4_000
"""Characters of a question or a query."""
HISTORY_LIMIT = 50
"""Turns of a conversation."""


def whole_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None
    return text


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC") from None


Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=QUESTION_LIMIT),
    AfterValidator(whole_characters),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(whole_characters)
]
Moment = Annotated[datetime, AfterValidator(_utc)]
Names = Annotated[tuple[Name, ...], Field(max_length=100)]


class Filters(Schema):
    """Which documents may answer: every given field must match, any value of it will do."""

    authors: Names = ()
    """Names, compared exactly."""
    kinds: Annotated[tuple[DocumentKind, ...], Field(max_length=100)] = ()
    sources: Names = ()
    """Ids such as `files:notes` or `web:example.org`."""
    languages: Names = ()
    """ISO 639-1 codes."""
    tags: Names = ()
    published_from: Moment | None = None
    """Inclusive. A time without a zone is UTC; documents without a date match no date."""
    published_before: Moment | None = None
    """Exclusive."""

    def where(self) -> DocumentFilter:
        """The same in the domain's terms."""
        return DocumentFilter.model_validate(self.model_dump())


class Turn(Schema):
    """One turn of the conversation before the question."""

    role: Literal["user", "assistant"]
    content: Question

    def message(self) -> domain.Message:
        """The same in the domain's terms."""
        return domain.Message(role=domain.Role(self.role), content=self.content)


FILTERS_EXAMPLE: JsonDict = {"authors": ["Ada Lovelace"], "published_from": "2024-01-01"}


class RagRequest(Schema):
    """A question to answer from the author's own writing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"question": "Why do you keep the database in one file?"},
                {
                    "question": "Why do you keep the database in one file?",
                    "filters": FILTERS_EXAMPLE,
                },
            ]
        }
    )

    question: Question
    """White space around it is dropped."""
    filters: Filters = Filters()
    conversation: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Id of a conversation that is kept; then `history` is not read."""
    history: Annotated[tuple[Turn, ...], Field(max_length=HISTORY_LIMIT)] = ()
    """What was said before, oldest first; read only where `stages.rewrite` is on."""


class Usage(Schema):
    """Tokens as the chat model counts them."""

    prompt_tokens: int
    completion_tokens: int


class RagResponse(Grounded):
    """An answer with its evidence, or a plain refusal."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "answer": "A backup is then one copy, and a restore is the same copy back. [1]",
                    "abstained": False,
                    **GROUNDED_EXAMPLE,
                    "evidence": 0.81,
                    "model": "quotes",
                    "index_version": "gen-3",
                    "timings_ms": {"embed": 4.1, "search": 2.3, "wait": 0.1, "total": 9.8},
                    "usage": {"prompt_tokens": 310, "completion_tokens": 17},
                }
            ]
        }
    )

    answer: str
    abstained: bool
    """True when the evidence does not answer the question; `answer` then says so."""
    citations: tuple[Citation, ...]
    evidence: float
    """How well the best passage supports an answer, 0 to 1."""
    model: str
    index_version: str
    """The version that was published when the answer was asked for."""
    timings_ms: dict[str, float]
    """By stage; `wait` is the time in line, `total` everything on the server."""
    usage: Usage

    @classmethod
    def of(
        cls, answer: domain.Answer, *, index_version: str, timings_ms: Mapping[str, float]
    ) -> Self:
        """Number the citations and drop what a client has no use for."""
        return cls(
            answer=answer.text,
            abstained=answer.abstained,
            citations=cited(answer.citations),
            **grounded(answer),
            evidence=answer.evidence,
            model=answer.model,
            index_version=index_version,
            timings_ms=rounded({**answer.timings_ms, **timings_ms}),
            usage=Usage(**answer.usage.model_dump()),
        )


class Health(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"
    version: str
    """Of the package llm-twin."""


PartName = Literal["model", "index", "documents"]


class Part(Schema):
    """One thing that answers depend on."""

    name: PartName
    ready: bool
    detail: str
    """What it is, or why it is not ready."""
    retry_after_s: SkipJsonSchema[int] = Field(default=1, exclude=True)


class Ready(Schema):
    """Whether questions can be answered now."""

    ready: bool
    parts: tuple[Part, ...]


def rounded(timings_ms: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(ms, 3) for stage, ms in timings_ms.items()}
