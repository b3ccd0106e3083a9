"""An OpenAI-compatible server whose answers come at a steady pace: `python -m … PORT TOKENS_PER_S`.

What `make bench-serve` puts behind the API and asks directly beside it. It does as little as such a
server can, so that what is measured is the API.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.chat import ChatRequest, Delta, Message, Role
from llm_engineering.ports.models import ChatModel
from llm_engineering.settings import ScriptedSettings, Settings
from tools.serve import listen

MODEL = "scripted"


class Engine:
    """ASGI application with `/v1/chat/completions`, always streamed."""

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = json.loads(body or b"{}")
        headers = [(b"content-type", b"text/event-stream")]
        known = scope["path"] == "/v1/chat/completions"
        await send(
            {"type": "http.response.start", "status": 200 if known else 404, "headers": headers}
        )
        if known:
            await self._speak(asked, send)
        await send({"type": "http.response.body", "body": b""})

    async def _speak(self, asked: dict[str, Any], send: Any) -> None:
        request = ChatRequest(
            messages=(Message(role=Role.USER, content="x"),),
            question="x",
            max_tokens=asked.get("max_tokens", 128),
        )
        frame: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": MODEL,
        }
        async for piece in self._chat.stream(request):
            if isinstance(piece, Delta):
                choice = {"index": 0, "delta": {"content": piece.text}, "finish_reason": None}
                chunk = {**frame, "choices": [choice]}
            else:
                usage = piece.usage.model_dump()
                choice = {"index": 0, "delta": {}, "finish_reason": piece.finish_reason}
                chunk = {**frame, "choices": [choice], "usage": usage}
            await send(_event(json.dumps(chunk)))
        await send(_event("[DONE]"))


def _event(data: str) -> dict[str, Any]:
    return {"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True}


def main(port: str, tokens_per_s: str) -> None:
    chat = ScriptedSettings(kind="scripted", tokens_per_s=float(tokens_per_s))
    with open_app(Settings(chat=chat)) as app, listen("127.0.0.1", int(port)) as listener:
        config = uvicorn.Config(
            Engine(app.chat), log_level="error", access_log=False, lifespan="off"
        )
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main(*sys.argv[1:])
