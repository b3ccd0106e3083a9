"""No path leads out of what a route is for, and none that is malformed breaks anything."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import fastapi_offline
import pytest
from fastapi import FastAPI

from llm_engineering.api.app import ROUTERS, create_app
from llm_engineering.application.rag.preparing import AnswerConfig
from tests.unit.serving import bearing, indexed_app, make_key

pytestmark = pytest.mark.anyio

CLIMBS = (
    "..",
    "../",
    "../..",
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/core.py",
    "%2e%2e%2fcore.py",
    "..%5c..%5ccore.py",
    "....//....//core.py",
    "..%252f..%252fcore.py",
    "%c0%ae%c0%ae/core.py",
    "..;/core.py",
    "/etc/passwd",
    "//etc/passwd",
    "%00",
    "swagger-ui.css%00.py",
    "~root/.ssh/id_rsa",
    "file:///etc/passwd",
    "x" * 5_000,
    "%ff%fe",
    "%0d%0aset-cookie:%20a=b",
)
PREFIXES = (
    "/",
    "/docs/",
    "/docs-assets/",
    "/docs-assets/sub/",
    "/health/",
    "/metrics/",
    "/openapi.json/",
    "/rag/",
    "/ready/",
    "/conversations/",
    "/documents/",
    "/documents/{document_id}/",
    "/evidence/",
    "/evidence/{document_id:uuid}/",
    "/ui/",
    "/ui/{name}/",
    "/conversations/{conversation_id}/",
    "/conversations/{conversation_id}/remembered/{remembered_id}/",
    "/feedback/",
    "/search/",
    "/v1/",
    "/v1/chat/completions/",
    "/v1/models/",
)
OUTSIDE = Path(fastapi_offline.__file__).with_name("core.py")
"""The file next to the folder that is served."""


async def raw(api: FastAPI, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A request with exactly this path, as a server hands it on: a client would tidy it."""
    sent: list[Any] = []
    received = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return received.pop() if received else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    decoded = unquote_to_bytes(path).decode("utf-8", errors="replace")
    scope = {
        "type": "http",
        "method": "GET",
        "path": decoded,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await api(scope, receive, send)
    start, *bodies = sent
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], found, b"".join(message.get("body", b"") for message in bodies)


def test_every_route_is_among_the_prefixes() -> None:
    paths = {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]

    for path in paths - {"/"}:
        assert path.replace("{name:path}", "").removesuffix("/") + "/" in PREFIXES, path


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_no_path_climbs_out_and_none_breaks_the_server(prefix: str) -> None:
    app = indexed_app()
    api = create_app(app, config=AnswerConfig())
    key = make_key(app, scopes=("admin",), requests_per_minute=10_000)
    outside = OUTSIDE.read_bytes()
    for climb in CLIMBS:
        for path in (prefix + climb, prefix + quote(climb, safe="")):
            status, headers, body = await raw(api, path, host="127.0.0.1", **bearing(key))
            assert status in (307, 400, 401, 404, 405), (path, status)
            assert b"root:" not in body, path
            assert outside[:100] not in body, path
            assert "set-cookie" not in headers, path
            if status == 307:
                assert headers["location"].startswith("http://127.0.0.1/"), path


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_no_spelling_of_a_path_comes_in_without_a_key(prefix: str) -> None:
    app = indexed_app()
    make_key(app)
    api = create_app(app, config=AnswerConfig())
    for climb in (*CLIMBS, "../rag", "../v1/models", "%2e%2e/v1/models", "./", "#", ".."):
        status, _, body = await raw(api, prefix + climb, host="127.0.0.1")
        assert status in (401, 404, 429), (prefix + climb, status)
        assert b'"twin"' not in body


async def test_the_files_beside_the_documentation_are_there_without_climbing() -> None:
    api = create_app(indexed_app(), config=AnswerConfig())
    status, _, body = await raw(api, "/docs-assets/swagger-ui.css", host="127.0.0.1")

    assert status == 200
    assert body == (OUTSIDE.parent / "static" / "swagger-ui.css").read_bytes()
