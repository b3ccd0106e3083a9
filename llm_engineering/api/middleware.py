"""What surrounds every request: its id, its log line, its body limit, and the last resort."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException
from starlette.datastructures import Headers

from llm_engineering.api.metrics import Metrics
from llm_engineering.api.problems import problem_response
from llm_engineering.api.request_context import (
    KEY_ID,
    REQUEST_ID,
    TRACE_PARENT,
    method_of,
    request_id_of,
    route_of,
    trace_parent_of,
)
from llm_engineering.api.response_headers import every_response
from llm_engineering.domain.access import without_keys

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_S = 30.0
"""How long a body may take to arrive."""

log = logging.getLogger(__name__)
access_log = logging.getLogger("llm_engineering.api.access")


class RequestIdFilter(logging.Filter):
    """Gives every record the id of its request, `-` outside of requests, and whose it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        parent = TRACE_PARENT.get()
        record.request_id = REQUEST_ID.get()
        record.key_id = KEY_ID.get()
        record.trace_id = parent.trace_id if parent else ""
        return True


class RequestMiddleware:
    """ASGI middleware around the whole API.

    What is inside may put headers into `scope["response_headers"]`; it finds the status that was
    sent in `scope["status"]`.
    """

    def __init__(self, app: AsgiApp, *, max_body_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope["request_id"] = request_id
        scope["response_headers"] = []
        # Of this task alone, which ends with the connection: what is left over is set anew.
        REQUEST_ID.set(request_id)
        KEY_ID.set("")
        TRACE_PARENT.set(trace_parent_of(scope))
        self._metrics.requests_open.inc()
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
            seconds = time.perf_counter() - started
            self._count(scope, status, seconds=seconds)
            _log_access(scope, status, seconds=seconds)
            REQUEST_ID.set("-")
            KEY_ID.set("")

    def _count(self, scope: Scope, status: list[int], *, seconds: float) -> None:
        metrics, route = self._metrics, route_of(scope)
        metrics.requests_open.dec()
        metrics.requests.labels(method_of(scope), route, _said(status)).inc()
        metrics.request_seconds.labels(route).observe(seconds)


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
    address = client[0] if client else "-"
    # Quoted: a line break must not make a second log line.
    method, path = without_keys(quote(scope["method"])), without_keys(quote(scope["path"]))[:200]
    ms = seconds * 1000
    access_log.info(
        '%s "%s %s" %s %.1f ms',
        *(address, method, path, _said(status), ms),
        extra={
            "client": address,
            "method": method,
            "path": path,
            "route": route_of(scope),
            "status": status[0] if status else None,
            "ms": round(ms, 1),
        },
    )


def _said(status: list[int]) -> str:
    return str(status[0]) if status else "none"
