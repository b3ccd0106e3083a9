"""Runs the API on a listening socket until it is told to end, and logs every request."""

import logging
import signal
import socket
import sys
from typing import Any, Literal, TextIO

import uvicorn

from llm_engineering.api.app import create_app
from llm_engineering.api.json_lines import JsonLines
from llm_engineering.api.middleware import RequestIdFilter
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.domain.access import without_keys

GRACE_S = 20
"""How long running requests may take to finish once the server is told to end."""


class KeylessHandler(logging.StreamHandler[TextIO]):
    """To stderr, whatever the format, without anything that looks like a key to the API."""

    def format(self, record: logging.LogRecord) -> str:
        return without_keys(super().format(record))


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": RequestIdFilter}},
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s [%(request_id)s] %(message)s"},
        "json": {"()": JsonLines},
    },
    "handlers": {
        "stderr": {
            "class": "llm_engineering.api.server.KeylessHandler",
            "formatter": "text",
            "filters": ["request_id"],
        }
    },
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"llm_engineering": {"level": "INFO"}, "uvicorn": {"level": "INFO"}},
}


def logging_as(form: Literal["text", "json"]) -> dict[str, Any]:
    """LOGGING with its lines in that form."""
    return {**LOGGING, "handlers": {"stderr": {**LOGGING["handlers"]["stderr"], "formatter": form}}}


def run_server(
    app: App, *, config: AnswerConfig, listener: socket.socket, mcp_alone: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT, finish what runs, then exit with status 0.

    Must run in the main thread, which alone receives signals.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(app, config=config, mcp_alone=mcp_alone),
            log_config=logging_as(app.settings.api.log),
            access_log=False,  # the request middleware logs, with the request's id
            server_header=False,
            # Else anybody on this machine could say that they are somebody else.
            proxy_headers=bool(app.settings.api.proxies),
            forwarded_allow_ips=list(app.settings.api.proxies),
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again after its own shutdown; the default action would make
        # an orderly end look like a crash.
        signal.signal(number, lambda *_: sys.exit(0))
    server.run(sockets=[listener])
