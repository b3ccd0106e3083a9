"""A real HTTP server on 127.0.0.1 that misbehaves on request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    """With the query."""
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
Route = Reply | Handler | list[Reply]
"""A list is answered from front to back, its last reply for ever after."""


def page(text: str, *, head: str = "", **headers: str) -> Reply:
    """An HTML page with one paragraph; underscores in header names are dashes."""
    html = f"<html lang=en><head>{head}</head><body><article><p>{text}</p></article></body></html>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body=html.encode(), headers={"content-type": "text/html; charset=utf-8"} | named)


def redirect(location: str) -> Reply:
    return Reply(301, headers={"location": location})


def xml(text: str) -> Reply:
    return Reply(body=text.encode(), headers={"content-type": "application/xml"})


@dataclass(slots=True)
class WebServer:
    """What it is asked for is in `requests`; unknown paths are 404."""

    routes: dict[str, Route]
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            request = Request(head[0].split(" ")[1], headers)
            self.requests.append(request)
            await self._serve(request, writer)
        writer.close()

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> None:
        route = self.routes.get(request.path, Reply(404))
        if isinstance(route, list):
            route = route.pop(0) if len(route) > 1 else route[0]
        if isinstance(route, Reply):
            await send(writer, route)
        else:
            await route(request, writer)


async def send(writer: asyncio.StreamWriter, reply: Reply) -> None:
    given = {name.lower(): value for name, value in reply.headers.items()}
    headers = {"connection": "close", "content-length": str(len(reply.body))} | given
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body)
    await writer.drain()


async def endless(_request: Request, writer: asyncio.StreamWriter) -> None:
    """A body that never ends, and never says how long it is."""
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\n\r\n")
    while True:
        writer.write(b"<p>and another thing</p>" * 1_000)
        await writer.drain()


async def slow_loris(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Begins a page and never goes on."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99\r\n\r\n<p>")
    await writer.drain()
    await asyncio.Event().wait()


async def broken_off(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Promises more than it sends."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99\r\n\r\n<p>")
    await writer.drain()


@asynccontextmanager
async def serving(routes: Mapping[str, Route]) -> AsyncIterator[WebServer]:
    """A server in this event loop; what still hangs at the end is cut off."""
    server = WebServer(dict(routes))
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.answer(reader, writer)
        tasks.discard(task)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()
