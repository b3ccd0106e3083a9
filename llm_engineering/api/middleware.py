"""What surrounds every request: its id, its log line, its body limit, and the last resort."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers

from llm_engineering.api.problems import problem_response
from llm_engineering.api.response_headers import every_response
from llm_engineering.domain.access import without_keys

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_S = 30.0
"""How long a body may take to arrive."""

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")

log = logging.getLogger(__name__)
access_log = logging.getLogger("llm_engineering.api.access")


class RequestIdFilter(logging.Filter):
    """Gives every record a `request_id`, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


class RequestMiddleware:
    """ASGI middleware around the whole API.

    What is inside may put headers into `scope["response_headers"]`; it finds the status that was
    sent in `scope["status"]`.
    """

    def __init__(self, app: AsgiApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid4())
        scope["request_id"] = request_id
        scope["response_headers"] = []
        token = REQUEST_ID.set(request_id)
        started = time.perf_counter()
        status: list[int] = []

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
                scope["status"] = message["status"]
                message["headers"] = every_response(
                    message["headers"], scope["response_headers"], request_id=request_id
                )
            await send(message)

        try:
            await self._app(scope, limited(scope, receive, self._max_body_bytes), send_marked)
        except Exception:
            log.exception("unexpected error")
            if status:  # too late to say anything else
                raise
            detail = "unexpected error; the server's log has it under this request id"
            await problem_response(scope, 500, detail)(scope, receive, send_marked)
        finally:
            _log_access(scope, status, seconds=time.perf_counter() - started)
            REQUEST_ID.reset(token)


def limited(scope: Scope, receive: Receive, max_bytes: int, *, within_s: float = BODY_S) -> Receive:
    """`receive` that raises HTTP 413 once the body is, or says that it is, longer, and HTTP 408
    when it is not here in time: whoever sends slowly holds a place of those who ask.
    """
    declared = Headers(scope=scope).get("content-length", "")
    # The digits alone may be many: Python refuses to turn thousands of them into a number.
    taken = max_bytes + 1 if len(declared) > 18 else int(declared) if declared.isdecimal() else 0
    received, whole = 0, False
    deadline = asyncio.get_running_loop().time() + within_s

    async def receive_limited() -> Message:
        nonlocal received, whole
        if whole:
            return await receive()
        if taken > max_bytes:
            raise _too_large(max_bytes)
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the body was not here after {within_s:g} s") from None
        whole = not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return receive_limited


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body is longer than {max_bytes:,} bytes")


def _log_access(scope: Scope, status: list[int], *, seconds: float) -> None:
    client = scope.get("client")
    access_log.info(
        '%s "%s %s" %s %.1f ms',
        client[0] if client else "-",
        quote(scope["method"]),  # quoted: a line break must not make a second log line
        without_keys(quote(scope["path"]))[:200],
        status[0] if status else "none",
        seconds * 1000,
    )
