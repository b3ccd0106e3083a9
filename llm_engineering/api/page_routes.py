"""The page at `/` and a document on its own page at `/evidence/…`: static, and for everybody.

What they show they fetch with the reader's key. Nothing of them comes from elsewhere and nothing
inline runs, and their policy holds a browser to that.
Does not know: what the page does.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from llm_engineering.api.access import anyone

FOLDER = Path(__file__).with_name("ui")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html",
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
    }
)

paging = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@paging.get("/")
async def front(request: Request) -> Response:
    return _sent("index.html", request)


@paging.get("/evidence/{document_id:uuid}")
async def evidence(request: Request) -> Response:
    """The same file for every document: which one is read from the address, in the browser."""
    return _sent("evidence.html", request)


@paging.get("/ui/{name}")
async def file(name: str, request: Request) -> Response:
    return _sent(name, request)


class _File(NamedTuple):
    body: bytes
    tag: str


@cache
def _files() -> Mapping[str, _File]:
    """By name; read once, so that no path of a request ever reaches the disk."""
    return {
        path.name: _File(body, f'"{hashlib.sha256(body).hexdigest()[:24]}"')
        for path in FOLDER.iterdir()
        if path.suffix in TYPES
        for body in (path.read_bytes(),)
    }


def _sent(name: str, request: Request) -> Response:
    """Asked for anew each time, and sent again only when it has changed."""
    found = _files().get(name)
    if found is None:
        raise HTTPException(404)
    headers = {
        "etag": found.tag,
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
    if found.tag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=TYPES[Path(name).suffix], headers=headers)


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
