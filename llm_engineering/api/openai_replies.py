"""An answer in OpenAI's shapes: whole, or as the events of a stream."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from llm_engineering.api import openai_schemas as shapes
from llm_engineering.api.asking import Opened
from llm_engineering.api.event_stream import as_json, event
from llm_engineering.api.openai_errors import error_body
from llm_engineering.domain.chat import Answer

_LAST = event("[DONE]")


class Reply:
    """Of one request. A chunk differs from the one before by its text alone, so the rest of it is
    written once."""

    def __init__(self, *, counts: bool) -> None:
        """`counts`: the number of tokens is sent in an event of its own."""
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = int(time.time())
        self._counts = counts
        self._model = shapes.TWIN
        self._before = b""

    def begins(self, opened: Opened) -> bytes:
        """The first event: who speaks."""
        self._model = opened.ready.model
        frame = as_json({**self._frame(), "choices": "*"}).removesuffix('"*"}')
        self._before = f'data: {frame}[{{"index":0,"delta":{{"content":'.encode()
        return self._chunk({"role": "assistant", "content": ""})

    def says(self, text: str) -> bytes:
        return self._before + as_json(text).encode() + b'},"finish_reason":null}]}\n\n'

    def ends(self, opened: Opened, answer: Answer) -> Iterator[bytes]:
        """Why it ended and what it rests on; then the tokens, where they are wanted."""
        delta: dict[str, Any] = {}
        if answer.tool_calls:
            delta["tool_calls"] = [
                {"index": number, **call.model_dump(mode="json")}
                for number, call in enumerate(shapes.called(answer.tool_calls))
            ]
        grounds = _grounds(opened, answer).model_dump(mode="json")
        self._model = answer.model or self._model
        yield self._chunk(
            delta, reason=answer.finish_reason, citations=grounds["citations"], grounds=grounds
        )
        if self._counts:
            usage = shapes.Tokens.of(answer.usage).model_dump()
            yield event(as_json({**self._frame(), "choices": [], "usage": usage}))
        yield _LAST

    def whole(self, opened: Opened, answer: Answer) -> shapes.ChatResponse:
        """The answer as one response."""
        grounds = _grounds(opened, answer)
        return shapes.ChatResponse(
            id=self._id,
            created=self._created,
            model=answer.model,
            choices=(
                shapes.Choice(
                    message=shapes.Spoken(
                        content=answer.text or None,
                        tool_calls=shapes.called(answer.tool_calls) or None,
                    ),
                    finish_reason=answer.finish_reason,
                ),
            ),
            usage=shapes.Tokens.of(answer.usage),
            citations=grounds.citations,
            grounds=grounds,
        )

    def _frame(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }

    def _chunk(self, delta: dict[str, Any], *, reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return event(as_json({**self._frame(), "choices": [choice], **more}))


def broken_off(status: int, message: str, *, kind: str) -> bytes:
    """The last event of an answer that could not go on; OpenAI's clients raise it."""
    return event(as_json(error_body(status, message, code=kind).model_dump()))


def _grounds(opened: Opened, answer: Answer) -> shapes.Grounds:
    return shapes.Grounds.of(
        answer,
        index_version=opened.ready.index_version,
        timings_ms=opened.total_ms(answer),
    )
