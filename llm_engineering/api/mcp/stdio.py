"""MCP over stdin and stdout, for a client that starts us as its own process.

Whoever starts this process can read the twin's folder anyway, so there are no keys here, no limits
per caller and no audit log: they protect from others, and nobody else has this pipe.

Nothing but the protocol is written to stdout: what else writes there, reaches stderr. Models and
index load after the first message was answered. Ctrl-C and the end of stdin end everything at
once: what is still loading or blocked is not waited for.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, Self, cast

import anyio
from fastapi import Request
from mcp.server.context import CallNext, HandlerResult
from mcp.server.stdio import stdio_server

from llm_engineering.api.app import release, service_of
from llm_engineering.api.mcp.server import Context, mcp_server
from llm_engineering.api.request_context import REQUEST_ID, new_request_id
from llm_engineering.api.routes import Service
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App

LEAVE_S = 1.0
"""How long an orderly end may take; a client kills what takes twice as long."""
LOAD_AFTER_S = 0.05
"""Behind the first answer, which should not wait for what loading does to the interpreter."""
_CHUNK = 65_536
_LINES = 64
"""Lines that are read before they are asked for."""


def run_stdio(app: App, *, config: AnswerConfig) -> None:
    """Serve one client until it closes stdin, SIGTERM or Ctrl-C; raises KeyboardInterrupt for the
    last one. Must run in the main thread, which alone receives signals."""
    interrupted = asyncio.run(_speak(service_of(app, config=config)))
    leave_within(LEAVE_S, code=130 if interrupted else 0)
    if interrupted:
        raise KeyboardInterrupt


def leave_within(seconds: float, *, code: int) -> None:
    """End the process then, whatever its threads are at: stores take a kill at any moment."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


async def _speak(service: Service) -> bool:
    """Whether it was ended by Ctrl-C."""
    loop = asyncio.get_running_loop()
    interrupted: list[bool] = []
    server = mcp_server(service, requested=_asked_here)
    server.middleware.append(_Loading(service))
    with anyio.CancelScope() as scope:
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
            with suppress(NotImplementedError):  # on Windows asyncio has its own way
                loop.add_signal_handler(number, partial(_end, scope, interrupted, code))
        try:
            lines = Lines(_own_stdin(), loop)
            async with stdio_server(stdin=cast("Any", lines)) as (reading, writing):
                await server.run(reading, writing, server.create_initialization_options())
                scope.cancel()  # the reader's next line never comes
        except* BrokenPipeError:
            pass  # the client is gone without closing our stdin
    with anyio.move_on_after(LEAVE_S, shield=True):
        await release(service)
    return bool(interrupted)


def _end(scope: anyio.CancelScope, interrupted: list[bool], code: int) -> None:
    if code:
        interrupted.append(True)
    leave_within(LEAVE_S, code=code)  # a client that reads nothing blocks who writes to it
    scope.cancel()


class _Loading:
    """Begins to load behind the first message, so that a client need not wait to be greeted."""

    def __init__(self, service: Service) -> None:
        self._start: Callable[[], None] | None = service.readiness.start

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        finally:
            if self._start is not None:
                asyncio.get_running_loop().call_later(LOAD_AFTER_S, self._start)
                self._start = None


class Lines:
    """The lines of a file descriptor, for `async for`.

    They are read in a thread that nobody waits for: a read of a terminal or a pipe cannot be
    broken off.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_LINES)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def _read(self) -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            while chunk := self._chunk():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(line.decode("utf-8", "replace"))
            self._put(None)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:  # a terminal that is gone
            return b""

    def _put(self, line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()


def _own_stdin() -> int:
    """A descriptor of stdin that nothing else reads from: not even a process that we start."""
    own = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return own


def _asked_here(_: Context) -> Request:
    """A request that no connection carries: nobody leaves but by cancelling."""
    REQUEST_ID.set(new_request_id())
    route = SimpleNamespace(path="stdio", methods={"POST"})
    return Request({"type": "http", "method": "POST", "headers": [], "route": route}, _nothing)


async def _nothing() -> Any:
    await asyncio.Event().wait()
