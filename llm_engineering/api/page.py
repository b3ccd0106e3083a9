"""The chat page at `/`, a document with its quoted spans at `/evidence/…`, and what they read.

The page is static and for everybody: what it shows it fetches with the reader's key. Nothing of it
comes from elsewhere, nothing inline runs, and a browser holds it to that.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from llm_engineering.api.access import Needs, anyone
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.problems import Problem
from llm_engineering.api.routes import REFUSALS, Serving
from llm_engineering.application.clean import clean
from llm_engineering.domain.access import Scope
from llm_engineering.domain.documents import DocumentKind

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FOLDER = Path(__file__).with_name("ui")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)

paging = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])
reading = APIRouter(tags=["ask"], dependencies=[Depends(Needs(Scope.ASK))], responses=REFUSALS)


class DocumentText(Schema):
    """A document as citations refer to it."""

    id: str
    title: str
    url: str
    author: str
    kind: DocumentKind
    published_at: datetime | None
    text: str
    """Cleaned: the characters that `start` and `end` of a citation count, in code points."""


@reading.get(
    "/documents/{document_id}",
    summary="One document, as citations refer to it",
    responses={404: {"model": Problem, "description": "No such document, or it was erased."}},
)
async def document(document_id: str, request: Request, service: Serving) -> DocumentText:
    """404 for one that is not held, or that was erased."""

    def job() -> DocumentText:
        found = clean(service.ports.documents.get(document_id))
        return DocumentText(**{name: getattr(found, name) for name in DocumentText.model_fields})

    async def gone() -> None:
        await client_gone(request.receive)

    return await service.pool.run(job, gone=gone)


@paging.get("/")
async def page(request: Request) -> Response:
    return _file("index.html", request)


@paging.get("/evidence/{document_id}")
async def evidence(document_id: str, request: Request) -> Response:
    """The page itself asks for the document, which its address names."""
    if not _ID.fullmatch(document_id):
        raise HTTPException(404, f"{document_id[:80]!r} is no id of a document")
    return _file("evidence.html", request)


@paging.get("/ui/{name}")
async def file(name: str, request: Request) -> Response:
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    """Asked for anew each time, and sent again only when it has changed."""
    if name not in _files():
        raise HTTPException(404, f"no file {name[:80]!r} of the page")
    body, tag = _files()[name]
    headers = {
        "etag": tag,
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=TYPES[Path(name).suffix], headers=headers)


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    """Content and tag by name."""
    found = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}
    return {
        name: (body, f'"{hashlib.sha256(body).hexdigest()[:20]}"') for name, body in found.items()
    }
