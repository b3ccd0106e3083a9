"""`POST /feedback`: what an answer was worth, and what it should have been."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, AwareDatetime, Field

from llm_engineering.api.access import Needs
from llm_engineering.api.callers import owner_of
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.problems import Problem
from llm_engineering.api.routes import REFUSALS, Serving, json_body
from llm_engineering.api.schemas import whole_characters
from llm_engineering.application.feedback import EDIT_LIMIT, give_feedback
from llm_engineering.domain.access import Scope
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.feedback import Feedback

rating = APIRouter(
    tags=["feedback"],
    dependencies=[Depends(Needs(Scope.FEEDBACK)), Depends(json_body)],
    responses=REFUSALS,
)


class FeedbackRequest(Schema):
    """One opinion of one answer: a thumb, an edit or both."""

    answer_id: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(whole_characters)]
    """`grounds.answer_id` of the answer."""
    liked: bool | None = None
    edit: Annotated[str, Field(max_length=EDIT_LIMIT), AfterValidator(whole_characters)] | None = (
        None
    )
    """The whole answer as it should have been."""


class FeedbackKept(Schema):
    """It is kept."""

    id: str
    answer_id: str
    created_at: AwareDatetime


@rating.post(
    "/feedback",
    status_code=201,
    summary="Rate or correct an answer",
    responses={404: {"model": Problem, "description": "No such answer, or a forgotten one."}},
)
async def feedback(body: FeedbackRequest, request: Request, service: Serving) -> FeedbackKept:
    """Kept with the served text, its prompt, the version and the passages it was made from.

    A second opinion replaces the first. Only the key that asked, or an admin's, may rate.
    """
    key = request.scope["caller"].key
    owner = owner_of(request)

    def job() -> Feedback:
        served = service.served.get(body.answer_id)
        if served.owner != owner and not (key is not None and key.allows(Scope.ADMIN)):
            raise NotFound(f"no answer {body.answer_id!r} is remembered; rate one of your own")
        given = give_feedback(
            served,
            liked=body.liked,
            edit=body.edit,
            owner=owner,
            by_author=key is not None and key.author,
            store=service.ports.feedback,
            documents=service.ports.documents,
            models=service.ports.models,
            now=datetime.now(UTC),
        )
        try:
            # Once more: who deletes its conversation drops it and looks for feedback then.
            service.served.get(body.answer_id)
        except NotFound:
            service.ports.feedback.remove([given.id])
            raise
        return given

    kept = await service.pool.run(job, gone=partial(client_gone, request.receive))
    return FeedbackKept(id=kept.id, answer_id=kept.answer_id, created_at=kept.created_at)
