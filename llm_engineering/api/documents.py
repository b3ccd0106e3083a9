"""A document as citations refer to it: the cleaned text that their offsets count."""

from datetime import datetime
from functools import partial

from fastapi import APIRouter, Depends, Request

from llm_engineering.api.access import Needs
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.problems import Problem
from llm_engineering.api.routes import REFUSALS, Serving
from llm_engineering.application.clean import clean
from llm_engineering.domain.access import Scope
from llm_engineering.domain.documents import Document, DocumentKind
from llm_engineering.ports.stores import DocumentStore

reading = APIRouter(
    tags=["ask"],
    dependencies=[Depends(Needs(Scope.ASK))],
    responses={**REFUSALS, 404: {"model": Problem, "description": "No such document, or erased."}},
)


class DocumentText(Schema):
    """A document of the author's."""

    id: str
    title: str
    url: str
    author: str
    published_at: datetime | None
    kind: DocumentKind
    text: str
    """Cleaned: `start` and `end` of a citation count its characters, in code points."""


def cleaned(store: DocumentStore, document_id: str) -> Document:
    """The document with the text that offsets refer to.

    Raises NotFound for one that is not held or was removed.
    """
    return clean(store.get(document_id))


@reading.get("/documents/{document_id}", summary="Read one document")
async def document(document_id: str, request: Request, service: Serving) -> DocumentText:
    """The text between a citation's `start` and `end` in it is the quotation."""

    def job() -> DocumentText:
        found = cleaned(service.ports.documents, document_id)
        return DocumentText(**{name: getattr(found, name) for name in DocumentText.model_fields})

    return await service.pool.run(job, gone=partial(client_gone, request.receive))
