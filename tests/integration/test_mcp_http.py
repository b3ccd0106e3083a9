"""MCP over streamable HTTP: the real client against the API on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from llm_engineering.application.keys import revoke_key
from llm_engineering.bootstrap import App
from llm_engineering.domain.audit import AuditEntry
from llm_engineering.infrastructure.memory_keys import MemoryAuditLog
from tests.integration.mcp_home import GREETING, JSON_OR_EVENTS
from tests.live_server import Live, live
from tests.mcp_clients import ERAS, SAYS, said, scripted, texts
from tests.unit.serving import (
    NOTES,
    QUESTION,
    bearing,
    make_key,
    memory_app,
    note,
    problem,
    publish,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def twin(*, api: dict[str, Any] | None = None, **ports: Any) -> App:
    """With NOTES stored and indexed, and MCP beside the API."""
    app = memory_app(api={"mcp": True, **(api or {})}, **{"chat": scripted(), **ports})
    publish(app, *NOTES)
    app.documents.put([note(text, number=number) for number, text in enumerate(NOTES)])
    return app


@asynccontextmanager
async def connected(
    server: Live, *, mode: str = "auto", key: str | None = None
) -> AsyncIterator[Client]:
    headers = bearing(key) if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def noted_by(app: App) -> list[AuditEntry]:
    """The lines of the audit log."""
    assert isinstance(app.audit, MemoryAuditLog)
    return app.audit.entries


def greeted(server: Live, **headers: str) -> httpx.Response:
    """The response to a handshake, by hand."""
    given = {**JSON_OR_EVENTS, **headers}
    return httpx.post(f"{server.url}/mcp", json=GREETING, headers=given)


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("keyed", [False, True])
async def test_the_client_lists_and_calls_every_tool_and_reads_documents(
    mode: str, keyed: bool
) -> None:
    app = twin()
    key = make_key(app) if keyed else None
    with live(app) as server:
        async with connected(server, mode=mode, key=key) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            results = {
                "search_writing": await client.call_tool("search_writing", {"query": QUESTION}),
                "ask_twin": await client.call_tool("ask_twin", {"question": QUESTION}),
                "draft_as_author": await client.call_tool(
                    "draft_as_author", {"instruction": "Write."}
                ),
            }
            wrong = await client.call_tool("ask_twin", {"query": QUESTION})
            listed = (await client.list_resources()).resources
            contents = (await client.read_resource(str(listed[0].uri))).contents
            with pytest.raises(MCPError, match="no resource"):
                await client.read_resource("twin://documents/1")
        # The API is at the same address.
        headers = bearing(key) if key else {}
        rag = httpx.post(f"{server.url}/rag", json={"question": QUESTION}, headers=headers)

    assert tools == results.keys()
    assert NOTES[0] in said(results["search_writing"])
    assert results["ask_twin"].structured_content["answer"] == rag.json()["answer"] == SAYS
    assert said(results["draft_as_author"]).startswith(SAYS)
    assert said(wrong, fails=True) == "question: Field required"
    assert len(listed) == len(NOTES)
    assert texts(contents)[0] in NOTES
    noted = [entry for entry in noted_by(app) if entry.event == "request"]
    assert {entry.route for entry in noted} >= {"/mcp", "/rag"}
    assert all(entry.key_name == ("laptop" if keyed else None) for entry in noted)


@pytest.mark.parametrize("mode", ERAS)
async def test_nothing_indexed_is_told(mode: str) -> None:
    with live(memory_app(api={"mcp": True}, chat=scripted())) as server:
        async with connected(server, mode=mode) as client:
            result = await client.call_tool("ask_twin", {"question": QUESTION})
            assert (await client.list_resources()).resources == []

    assert "nothing is indexed yet" in said(result, fails=True)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_without_a_key_that_opens_it_is_refused(mode: str) -> None:
    app = twin()
    right = make_key(app)
    keys = {
        "none": None,
        "wrong": "twin-" + "x" * 43,
        "of another scope": make_key(app, "ratings", scopes=("feedback",)),
        "revoked": make_key(app, "old"),
    }
    revoke_key("old", store=app.keys, audit=app.audit, now=note("", number=0).fetched_at)
    with live(app) as server:
        for key in keys.values():
            with pytest.raises((MCPError, httpx2.HTTPStatusError, ExceptionGroup)):
                async with connected(server, mode=mode, key=key) as client:
                    await client.list_tools()
        statuses = {
            name: greeted(server, **(bearing(key) if key else {})).status_code
            for name, key in keys.items()
        }
        allowed = greeted(server, **bearing(right)).status_code

    assert statuses == {"none": 401, "wrong": 401, "of another scope": 403, "revoked": 401}
    assert allowed == 200
    refused = {entry.refused for entry in noted_by(app) if entry.route == "/mcp"}
    assert refused >= {"no key", "unknown key", "revoked key", "scope ask is missing"}


async def test_a_key_that_is_revoked_ends_its_session() -> None:
    app = twin()
    key = make_key(app)
    with live(app) as server:
        session = greeted(server, **bearing(key)).headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        headers = {**JSON_OR_EVENTS, **bearing(key), "mcp-session-id": session}
        before = httpx.post(f"{server.url}/mcp", json=listing, headers=headers)
        revoke_key("laptop", store=app.keys, audit=app.audit, now=note("", number=0).fetched_at)
        await asyncio.sleep(0.6)
        after = httpx.post(f"{server.url}/mcp", json=listing, headers=headers)

    assert "search_writing" in before.text
    problem(after, status=401, kind="invalid-api-key")


async def test_a_session_belongs_to_the_key_that_began_it() -> None:
    app = twin()
    keys = {name: make_key(app, name) for name in ("laptop", "phone")}
    with live(app) as server:
        session = greeted(server, **bearing(keys["laptop"])).headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        statuses = {}
        for name in ("phone", "laptop"):
            headers = {**JSON_OR_EVENTS, **bearing(keys[name]), "mcp-session-id": session}
            asked = httpx.post(f"{server.url}/mcp", json=listing, headers=headers)
            ended = httpx.delete(f"{server.url}/mcp", headers=headers)
            statuses[name] = (asked.status_code, ended.status_code)

    assert statuses == {"phone": (404, 404), "laptop": (200, 200)}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://chat.example"}, 200),
        ({"x-forwarded-for": "203.0.113.9"}, 401),
        ({"content-type": "text/plain"}, 400),
        ({"accept": "text/html"}, 406),
    ],
)
async def test_web_pages_and_strangers_are_refused(headers: dict[str, str], status: int) -> None:
    with live(twin(api={"origins": ("https://chat.example",)})) as server:
        assert greeted(server, **headers).status_code == status


async def test_a_body_that_is_too_long_is_refused() -> None:
    with live(twin(api={}, max_body_bytes=10_000)) as server:
        body = {**GREETING, "method": "x" * 20_000}
        response = httpx.post(f"{server.url}/mcp", json=body, headers=JSON_OR_EVENTS)

    problem(response, status=413)


async def test_there_is_no_stream_to_get_and_without_the_setting_no_mcp() -> None:
    with live(twin()) as server:
        got = httpx.get(f"{server.url}/mcp", headers=JSON_OR_EVENTS)
    with live(memory_app()) as server:
        absent = greeted(server)

    assert got.status_code == 405
    assert set(got.headers["allow"].split(", ")) == {"DELETE", "POST"}
    assert absent.status_code == 404


@pytest.mark.parametrize("mode", ERAS)
async def test_a_key_asks_no_more_than_it_may(mode: str) -> None:
    app = twin(chat=scripted("word " * 1_000, tokens_per_s=10))
    key = make_key(app, answers=1, requests_per_minute=10)
    call = {"name": "ask_twin", "arguments": {"question": QUESTION}}
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
    with live(app) as server:
        async with connected(server, mode=mode, key=key) as client, anyio.create_task_group() as tg:
            tg.start_soon(client.call_tool, "ask_twin", {"question": QUESTION})
            while server.service.answering.open != 1:
                await anyio.sleep(0.01)
            headers = {**JSON_OR_EVENTS, **bearing(key)}
            post = httpx.AsyncClient(headers=headers, base_url=server.url)
            async with post:
                second = await post.post("/mcp", json=body)
                many = [await post.post("/mcp", json=body) for _ in range(10)]
            tg.cancel_scope.cancel()
        server.settles(0)

    problem(second, status=429, kind="too-many-answers")
    problem(many[-1], status=429, kind="rate-limit-exceeded")


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("tool", ["ask_twin", "draft_as_author"])
async def test_a_cancelled_call_ends_the_work(mode: str, tool: str) -> None:
    chat = scripted("word " * 1_000, tokens_per_s=10)
    argument = "question" if tool == "ask_twin" else "instruction"
    with live(twin(chat=chat)) as server:
        async with connected(server, mode=mode) as client:
            told: list[float] = []
            with anyio.CancelScope() as scope:

                async def tell(progress: float, total: float | None, message: str | None) -> None:
                    told.append(progress)
                    if progress > 0:
                        scope.cancel()

                await client.call_tool(tool, {argument: QUESTION}, None, tell)
            took = await asyncio.to_thread(server.settles, 0)
            assert chat.running == 0
            # The session goes on.
            assert len((await client.list_tools()).tools) == 3

    assert scope.cancelled_caught
    assert told == sorted(told)
    assert took < 10


async def test_a_client_that_leaves_ends_the_work_of_its_session() -> None:
    chat = scripted("word " * 1_000, tokens_per_s=10)
    call = {"name": "ask_twin", "arguments": {"question": QUESTION}}
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
    with live(twin(chat=chat)) as server:
        session = greeted(server).headers["mcp-session-id"]
        headers = {**JSON_OR_EVENTS, "mcp-session-id": session}
        with httpx.stream("POST", f"{server.url}/mcp", json=body, headers=headers) as response:
            assert response.status_code == 200
            server.settles(1)
        server.settles(0)

    assert chat.running == 0
