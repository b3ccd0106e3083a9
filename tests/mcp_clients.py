"""A real MCP client of a server in this process, and what results are checked by."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import Request
from mcp import Client
from mcp_types import CallToolResult, TextContent, TextResourceContents

from llm_engineering.api.app import release, service_of
from llm_engineering.api.mcp.server import mcp_server
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.infrastructure.scripted_chat import ScriptedChat

SAYS = "I keep one copy of the database file [1]."
ERAS = ("auto", "legacy")
"""The protocol of 2026, without a handshake, and those before it."""


@asynccontextmanager
async def connected(app: App, *, mode: str = "auto") -> AsyncIterator[Client]:
    """A client of a server over `app`."""
    service = service_of(app, config=AnswerConfig())

    async def stays() -> Any:
        await anyio.sleep_forever()

    def requested(_: object) -> Request:
        return Request({"type": "http", "method": "POST", "headers": []}, stays)

    async with Client(mcp_server(service, requested=requested), mode=mode) as client:
        yield client
    await release(service)


def scripted(text: str = SAYS, **of: Any) -> ScriptedChat:
    return ScriptedChat(script=lambda _: text, **of)


def said(result: CallToolResult, *, fails: bool = False) -> str:
    """The one text of a result, checked to be a failure or none."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert result.is_error is fails, content.text
    return content.text


def texts(contents: Sequence[object]) -> list[str]:
    found = [each for each in contents if isinstance(each, TextResourceContents)]
    assert len(found) == len(contents)
    return [each.text for each in found]
