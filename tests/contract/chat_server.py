"""A server on 127.0.0.1 with OpenAI's chat completions, in a thread, that answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMPLETIONS = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: object = ""
    """A str is sent as it is, anything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    path: str
    key: str | None
    """What stands in the Authorization header."""
    body: Any


@dataclass(slots=True)
class ChatServer:
    """`replies` by path; what is not there is 404, a None is never answered."""

    replies: dict[str, Reply | None] = field(default_factory=dict)
    answers: Callable[[str], str] | None = None
    """What the model says to the last message, in place of its reply."""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def says(self, text: str | None, *, finish_reason: str = "stop") -> None:
        """The next answers of the model."""
        self.replies[COMPLETIONS] = completion(text, finish_reason=finish_reason)

    def reply(self, path: str, body: Any) -> Reply | None:
        if path == COMPLETIONS and self.answers is not None:
            return completion(self.answers(body["messages"][-1]["content"]))
        return self.replies.get(path, Reply(404, {"detail": "Not Found"}))

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]


def completion(text: str | None, *, finish_reason: str = "stop") -> Reply:
    message = {"role": "assistant", "content": text}
    return Reply(
        body={
            "id": "chatcmpl-1",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29},
        }
    )


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Listening until the end; requests that still wait are let go then."""
    server = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer(json.loads(self.rfile.read(length)))

        def _answer(self, body: object) -> None:
            server.asked.append(Asked(self.path, self.headers.get("Authorization"), body))
            reply = server.reply(self.path, body)
            if reply is None:
                server.ended.wait()
                return
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            with suppress(ConnectionError):  # who asked is gone
                self.end_headers()
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
