"""The API on a real socket, in a thread of its own event loop."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from llm_engineering.api.app import create_app
from llm_engineering.api.routes import Service
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from tools.serve import listen

Around = Callable[[Any], Any]
"""What an ASGI app is wrapped in."""


class Live:
    """A running server."""

    def __init__(self, url: str, service: Service) -> None:
        self.url = url
        self.service = service

    def settles(self, count: int, *, within_s: float = 10.0) -> float:
        """Seconds until so many answers are under way."""
        started = time.perf_counter()
        while self.service.answering.open != count:
            if time.perf_counter() - started > within_s:
                raise AssertionError(f"{self.service.answering.open} answers are under way")
            time.sleep(0.002)
        return time.perf_counter() - started


@contextmanager
def live(
    app: App, *, config: AnswerConfig | None = None, around: Around = lambda api: api
) -> Iterator[Live]:
    """Serving until the end, as `twin serve` would, but for signals and logs."""
    api = create_app(app, config=config or AnswerConfig(min_evidence=0))
    with free_listener() as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                around(api),
                log_config=None,
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        host, port = listener.getsockname()[:2]
        try:
            yield Live(f"http://{host}:{port}", api.state.service)
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def free_listener() -> socket.socket:
    """On a port that nobody else has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    return listen("127.0.0.1", port)
