"""MCP over streamable HTTP at /mcp, behind the same gate as every route.

A client that speaks the protocol of 2025 has a session, which is what a cancellation refers to; it
belongs to the key that it was begun with. We say nothing unasked, so there is no stream to GET.

Does not know: tools, resources.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from llm_engineering.api import access
from llm_engineering.api.callers import Caller
from llm_engineering.api.mcp.server import Context, mcp_server
from llm_engineering.api.routes import Service
from llm_engineering.domain.access import Scope as KeyScope
from llm_engineering.settings import ApiSettings

PATH = "/mcp"
MOST_SESSIONS = 1_000


class McpEndpoint:
    """The route and what runs behind it. For one event loop."""

    def __init__(self, service: Service, limits: ApiSettings) -> None:
        self._service = service
        self._limits = limits
        self._sessions: StreamableHTTPSessionManager | None = None
        self.router = APIRouter(
            include_in_schema=False, dependencies=[Depends(access.Needs(KeyScope.ASK))]
        )
        self.router.add_api_route(PATH, self._answer, methods=["POST", "DELETE"])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions live as long as this; leaving ends them."""
        sessions = StreamableHTTPSessionManager(
            mcp_server(self._service, requested=_request_of),
            max_request_body_size=sys.maxsize,  # every body is limited before it comes here
            max_sessions=MOST_SESSIONS,
        )
        async with sessions.run():
            self._sessions = sessions
            yield

    async def _answer(self, request: Request) -> Response:
        """Raises HTTPException 403 for a web page that was not allowed to call.

        Browsers send the header themselves. A page whose own name leads here (DNS rebinding) is
        of our own origin, so that is no reason to let it in.
        """
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in self._limits.origins:
            raise HTTPException(
                403, "web pages may call only from an origin that TWIN_API__ORIGINS names"
            )
        assert self._sessions is not None, "only a server that runs has requests"
        return _Spoken(self._sessions)


class _Spoken(Response):
    """What the protocol answers."""

    def __init__(self, sessions: StreamableHTTPSessionManager) -> None:
        super().__init__()
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        if caller.key is not None:
            # Whose session it is; the key itself stays outside.
            token = AccessToken(token="", client_id=caller.key.id, scopes=[])
            scope["user"] = AuthenticatedUser(token)
        await self._sessions.handle_request(scope, receive, send)


def _request_of(context: Context) -> Request:
    request: Any = context.request
    assert isinstance(request, Request)
    return request
