"""A server on 127.0.0.1 that streams: OpenAI's chat completions, and SageMaker's invocations of a
container that speaks them, with what a `ScriptedChat` says at its pace.

SageMaker's parts are cut in the middle of lines, characters and messages, as the real ones are.
"""

import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llm_engineering.domain.chat import ChatRequest, Completion, Delta, Message, Role, Sampling
from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.infrastructure.scripted_chat import ScriptedChat

ENDPOINT = "ada-endpoint"
STARTUP_S = 10.0
_CUT = 37
"""Bytes of one part of SageMaker's."""


@dataclass
class Speaking:
    """What the server says, and what was asked of it."""

    chat: ScriptedChat
    url: str = ""
    asked: list[Any] = field(default_factory=list)
    """Bodies of requests."""
    headers: list[Any] = field(default_factory=list)
    error: tuple[str, str] | None = None
    """An event of SageMaker's that ends a stream: its kind and its message."""


@contextmanager
def speaking_server(chat: ScriptedChat) -> Iterator[Speaking]:
    """Listening until the end."""
    speaking = Speaking(chat)
    server = uvicorn.Server(
        uvicorn.Config(_app(speaking), port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + STARTUP_S
    while not server.started and time.monotonic() < until:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    speaking.url = f"http://127.0.0.1:{port}"
    try:
        yield speaking
    finally:
        server.should_exit = True
        thread.join()


def _app(speaking: Speaking) -> Starlette:
    async def completions(request: Request) -> Response:
        body = await _body(request, speaking)
        if not body.get("stream"):
            return await _whole(speaking, body)
        if speaking.chat.named and body["model"] not in speaking.chat.named:
            return JSONResponse({"error": {"message": "no such model"}}, status_code=404)
        return StreamingResponse(_events(speaking, body), media_type="text/event-stream")

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [{"id": name} for name in speaking.chat.named]})

    async def invocations(request: Request) -> Response:
        return await _whole(speaking, await _body(request, speaking), sagemaker=True)

    async def streamed_invocations(request: Request) -> Response:
        body = await _body(request, speaking)
        return StreamingResponse(
            _parts(speaking, body),
            media_type="application/vnd.amazon.eventstream",
            headers={"x-amzn-SageMaker-Content-Type": "text/event-stream"},
        )

    invoke = "/endpoints/{name}/invocations"
    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route(invoke, invocations, methods=["POST"]),
            Route(f"{invoke}-response-stream", streamed_invocations, methods=["POST"]),
        ]
    )


async def _body(request: Request, speaking: Speaking) -> Any:
    body = await request.json()
    speaking.asked.append(body)
    speaking.headers.append(request.headers)
    return body


def _request(body: Any) -> ChatRequest:
    turns = tuple(Message(role=Role(m["role"]), content=m["content"]) for m in body["messages"])
    return ChatRequest(
        messages=turns,
        question=turns[-1].content,
        max_tokens=body["max_tokens"],
        model=body["model"],
        sampling=Sampling(
            temperature=body.get("temperature"),
            top_p=body.get("top_p"),
            seed=body.get("seed"),
            stop=tuple(body.get("stop", ())),
        ),
    )


async def _whole(speaking: Speaking, body: Any, *, sagemaker: bool = False) -> Response:
    """The answer at its end; a failure as the container's or SageMaker's own."""
    try:
        async with aclosing(speaking.chat.stream(_request(body))) as pieces:
            last = [piece async for piece in pieces][-1]
    except NotFound as error:
        return JSONResponse({"error": {"message": str(error)}}, status_code=404)
    except BackendUnavailable as error:
        if not sagemaker:
            return JSONResponse({"error": {"message": str(error)}}, status_code=500)
        failed = {
            "Message": "Received server error (500) from primary",
            "OriginalStatusCode": 500,
            "OriginalMessage": json.dumps({"error": {"message": str(error)}}),
        }
        return JSONResponse(failed, status_code=424, headers={"x-amzn-errortype": "ModelError"})
    assert isinstance(last, Completion)
    message = {"role": "assistant", "content": last.text}
    choice = {"index": 0, "message": message, "finish_reason": last.finish_reason}
    return JSONResponse(
        {"model": last.model, "choices": [choice], "usage": last.usage.model_dump()}
    )


async def _events(speaking: Speaking, body: Any) -> AsyncIterator[bytes]:
    """Server-sent events, the usage in one of its own, as vLLM sends it."""
    async with aclosing(speaking.chat.stream(_request(body))) as pieces:
        yield _event({"choices": [{"delta": {"role": "assistant"}}], "model": body["model"]})
        async for piece in pieces:
            if isinstance(piece, Delta):
                yield _event({"choices": [{"delta": {"content": piece.text}}]})
                continue
            yield _event({"choices": [{"delta": {}, "finish_reason": piece.finish_reason}]})
            yield _event({"choices": [], "usage": piece.usage.model_dump(), "model": piece.model})
    yield b"data: [DONE]\n\n"


def _event(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


async def _parts(speaking: Speaking, body: Any) -> AsyncIterator[bytes]:
    """The same events in messages of an AWS event stream, messages and lines cut anywhere."""
    said = b""
    async for event in _events(speaking, body):
        for start in range(0, len(event), _CUT):
            part = message(event[start : start + _CUT], {":event-type": "PayloadPart"})
            yield said + part[: len(part) // 2]
            said = part[len(part) // 2 :]
        yield said  # so that nobody waits for the next token
        said = b""
        if speaking.error is not None and speaking.asked:
            kind, words = speaking.error
            payload = json.dumps({"Message": words, "ErrorCode": kind}).encode()
            yield message(payload, {":exception-type": kind}, kind="exception")
            return


def message(payload: bytes, headers: dict[str, str], *, kind: str = "event") -> bytes:
    """Of an AWS event stream (application/vnd.amazon.eventstream)."""
    written = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value
        for name, value in (
            (name, value.encode()) for name, value in ({":message-type": kind} | headers).items()
        )
    )
    prelude = struct.pack("!II", 16 + len(written) + len(payload), len(written))
    whole = prelude + struct.pack("!I", crc32(prelude)) + written + payload
    return whole + struct.pack("!I", crc32(whole))
