"""Conversations that somebody asked to be kept: their turns, and what is remembered of them.

Does not know: where they are kept, how much of them a model reads.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from llm_engineering.domain.chat import Answer


class Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConversationTurn(Kept):
    """What one side said."""

    role: Literal["user", "assistant"]
    text: str
    at: AwareDatetime
    answer: Answer | None = None
    """Of an assistant's turn: with what it rests on, but without its passages."""
    read: tuple[str, ...] = ()
    """Ids of the documents of these passages, and of those that earlier answers shown with them
    rest on: its words may be theirs, said otherwise."""

    @property
    def standing(self) -> str:
        """The text without what was withdrawn: what a model is to read of it later."""
        checked = self.answer.grounding if self.answer else None
        return self.text[checked.withdrawn :].lstrip() if checked else self.text


class Remembered(Kept):
    """Something that the reader said of themselves or wants kept in mind."""

    id: str
    text: str
    """In the reader's own words."""
    turn: int
    """Where it was said: the place in `turns`, from 0."""


class Conversation(Kept):
    """One conversation of one reader."""

    id: str
    owner: str
    """Id of the key that it belongs to; '' without keys."""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    turns: tuple[ConversationTurn, ...] = ()
    summary: str = ""
    """Of the first `summarised` turns."""
    summarised: int = Field(default=0, ge=0)
    remembered: tuple[Remembered, ...] = ()


def newest_first(conversations: Iterable[Conversation]) -> tuple[Conversation, ...]:
    """Those used last first."""
    return tuple(sorted(conversations, key=lambda each: (each.updated_at, each.id), reverse=True))


def no_such_conversation(conversation_id: str) -> str:
    """The error of an id that nobody has, or somebody else."""
    return f"no conversation {conversation_id[:80]!r}; 'GET /conversations' lists yours"


def changed_meanwhile(conversation_id: str) -> str:
    """The error of a turn that another one overtook."""
    return f"conversation {conversation_id!r} changed meanwhile; ask again"
