"""Conversations that the server keeps, because their reader asked for it; each has one owner."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime

from llm_engineering.api.access import Needs
from llm_engineering.api.callers import owner_of
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.openai_schemas import Grounds
from llm_engineering.api.problems import Problem
from llm_engineering.api.routes import REFUSALS, Service, Serving, json_body
from llm_engineering.application.conversations import begin, erase_feedback, forget_remembered
from llm_engineering.domain.access import Scope
from llm_engineering.domain.conversations import Conversation, ConversationTurn

T = TypeVar("T")
_TITLE = 80
"""Characters of a title."""

conversing = APIRouter(
    prefix="/conversations",
    tags=["conversations"],
    dependencies=[Depends(Needs(Scope.ASK))],
    responses={
        **REFUSALS,
        404: {"model": Problem, "description": "No such conversation of yours."},
    },
)


class Begun(Schema):
    id: str
    created_at: AwareDatetime


class Head(Schema):
    """A conversation in a list."""

    id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    title: str
    """The beginning of what was said first."""
    turns: int


class Conversations(Schema):
    """Those used last first."""

    conversations: tuple[Head, ...]


class Fact(Schema):
    """Something that the reader said, word for word, and in which turn."""

    id: str
    text: str
    turn: int


class Said(Schema):
    role: Literal["user", "assistant"]
    content: str
    at: AwareDatetime
    model: str | None
    """Who spoke: 'memory' where it is the reader's own words that were given back; null for the
    reader, and for an answer that is erased."""
    grounds: Grounds | None


class Whole(Schema):
    """Everything that is kept of a conversation."""

    id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    summary: str
    remembered: tuple[Fact, ...]
    turns: tuple[Said, ...]


@conversing.post(
    "",
    status_code=201,
    summary="Begin a conversation that is kept",
    dependencies=[Depends(json_body)],
)
async def create(request: Request, service: Serving) -> Begun:
    """Name it as `conversation` in questions; without one, nothing of a question is kept."""
    owner = owner_of(request)
    begun = await _run(
        lambda: begin(service.ports.conversations, owner=owner, now=datetime.now(UTC)),
        request,
        service,
    )
    return Begun(id=begun.id, created_at=begun.created_at)


@conversing.get("", summary="Your conversations")
async def listed(request: Request, service: Serving) -> Conversations:
    """Those of this key."""
    owner = owner_of(request)
    found = await _run(lambda: service.ports.conversations.of(owner), request, service)
    return Conversations(conversations=tuple(map(_head, found)))


@conversing.get("/{conversation_id}", summary="One conversation, and what is remembered of it")
async def shown(conversation_id: str, request: Request, service: Serving) -> Whole:
    """Its turns, their evidence, the summary of older turns and what you said of yourself."""
    found = await _run(lambda: _own(conversation_id, request, service), request, service)
    return Whole(
        id=found.id,
        created_at=found.created_at,
        updated_at=found.updated_at,
        summary=found.summary,
        remembered=tuple(Fact(**each.model_dump()) for each in found.remembered),
        turns=tuple(map(_said, found.turns)),
    )


@conversing.delete("/{conversation_id}", status_code=204, summary="Delete a conversation")
async def delete(conversation_id: str, request: Request, service: Serving) -> None:
    """With the feedback on it, whose prompts hold it."""

    def job() -> None:
        owner = owner_of(request)
        erase = partial(
            erase_feedback,
            service.ports.feedback,
            conversation_id,
            gone=(),
            sparse=service.ports.sparse,
        )
        # Before: where it fails, the conversation is still there to be deleted. It is also what a
        # deletion left that was cut off, so an unknown id is no reason to let it be.
        erase(owner=owner)
        service.ports.conversations.remove(conversation_id, owner=owner)
        service.served.forget(conversation=conversation_id)
        erase()  # what was given meanwhile

    await _run(job, request, service)


@conversing.delete(
    "/{conversation_id}/remembered/{remembered_id}",
    status_code=204,
    summary="Forget something that you said",
)
async def forget(
    conversation_id: str, remembered_id: str, request: Request, service: Serving
) -> None:
    """Everywhere: in what is remembered, in the summary and in the turns that say it."""

    def job() -> None:
        seen = _own(conversation_id, request, service)
        sparse = service.ports.sparse
        now, gone = forget_remembered(seen, remembered_id, sparse=sparse)
        erase = partial(
            erase_feedback, service.ports.feedback, conversation_id, gone=gone, sparse=sparse
        )
        erase()  # before: where it fails, the fact is still there to be forgotten
        service.ports.conversations.replace(now, seen=seen)
        service.served.forget(conversation=conversation_id)
        erase()  # what was given meanwhile

    await _run(job, request, service)


async def _run(job: Callable[[], T], request: Request, service: Service) -> T:
    return await service.pool.run(job, gone=partial(client_gone, request.receive))


def _own(conversation_id: str, request: Request, service: Service) -> Conversation:
    return service.ports.conversations.get(conversation_id, owner=owner_of(request))


def _head(found: Conversation) -> Head:
    first = " ".join(found.turns[0].text.split()) if found.turns else ""
    return Head(
        id=found.id,
        created_at=found.created_at,
        updated_at=found.updated_at,
        title=first if len(first) <= _TITLE else f"{first[:_TITLE]}…",
        turns=len(found.turns),
    )


def _said(turn: ConversationTurn) -> Said:
    answer = turn.answer
    grounds = Grounds.of(answer, index_version="", timings_ms=answer.timings_ms) if answer else None
    model = answer.model if answer else None
    return Said(role=turn.role, content=turn.text, at=turn.at, model=model, grounds=grounds)
