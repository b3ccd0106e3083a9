"""The log as JSON, one object per line."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest

from llm_engineering.api.json_lines import JsonLines
from llm_engineering.api.request_context import KEY_ID, TRACE_PARENT
from llm_engineering.api.server import logging_as
from llm_engineering.bootstrap import App
from tests.unit.serving import QUESTION, FailingChat, indexed_app, serving

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged while a test runs; loggers are as they were afterwards."""
    names = ("", "uvicorn", "llm_engineering")
    before = {
        name: (logging.getLogger(name).level, [*logging.getLogger(name).handlers]) for name in names
    }
    config = logging_as("json")
    config["handlers"]["stderr"]["stream"] = (said := io.StringIO())
    logging.config.dictConfig(config)
    yield said
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


def lines(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


async def asked(app: App, path: str, **more: Any) -> None:
    async with serving(app) as client:
        await client.post(path, **more)


@pytest.mark.anyio
async def test_a_request_is_one_object_with_all_that_is_known_of_it(stream: io.StringIO) -> None:
    headers = {"x-request-id": "req-1", "traceparent": PARENT}
    await asked(indexed_app(), "/rag?key=secret", json={"question": QUESTION}, headers=headers)

    (line,) = (each for each in lines(stream) if each["logger"] == "llm_engineering.api.access")
    assert line.pop("time").endswith("Z")
    assert 0 < line.pop("ms") < 60_000
    assert line.pop("message").startswith('127.0.0.1 "POST /rag" 200 ')
    assert line == {
        "level": "info",
        "logger": "llm_engineering.api.access",
        "request_id": "req-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/rag",
        "route": "/rag",
        "status": 200,
    }
    assert "secret" not in stream.getvalue()
    assert QUESTION not in stream.getvalue()


@pytest.mark.anyio
async def test_an_exception_is_one_field_of_one_line(stream: io.StringIO) -> None:
    chat = FailingChat(ZeroDivisionError("broken\nin two"))
    await asked(indexed_app(chat=chat), "/rag", json={"question": QUESTION})

    (error,) = (each for each in lines(stream) if each["level"] == "error")
    assert error["message"] == "unexpected error"
    assert error["request_id"] != "-"
    assert error["exception"].startswith("Traceback")
    assert error["exception"].endswith("ZeroDivisionError: broken\nin two")


def test_whose_key_a_line_is_about_is_told_where_it_is_known(stream: io.StringIO) -> None:
    log = logging.getLogger("llm_engineering.anything")
    token = KEY_ID.set("k7")
    log.info("with")
    KEY_ID.reset(token)
    log.info("without")

    first, second = lines(stream)
    assert first["key_id"] == "k7"
    assert second.keys() == {"time", "level", "logger", "message"}
    assert TRACE_PARENT.get() is None


@pytest.mark.parametrize("message", ["two\nlines", 'a "quote"', "\x00"])
def test_whatever_is_logged_stays_one_line(stream: io.StringIO, message: str) -> None:
    logging.getLogger("uvicorn.error").warning("said %s", message)

    (line,) = lines(stream)
    assert (line["message"], line["logger"]) == (f"said {message}", "uvicorn.error")


def test_half_a_surrogate_pair_does_not_break_the_line() -> None:
    # Not logged: what pytest captures of a log is sent as UTF-8 by pytest-xdist.
    record = logging.makeLogRecord({"msg": "half a pair \ud83d", "name": "uvicorn.error"})
    line = JsonLines().format(record)
    assert line.isascii()
    assert json.loads(line)["message"] == "half a pair \ud83d"
