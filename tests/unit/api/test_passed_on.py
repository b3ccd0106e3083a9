"""What goes to the engine as it came is refused where the engine could not be sent it."""

import json
from typing import Any

import pytest

from llm_engineering.api.openai_schemas import ChatRequest
from llm_engineering.api.passed_on import LEVEL_LIMIT
from llm_engineering.domain.chat import ToolCall
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.serving import QUESTION, indexed_app, serving

PATH = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def asked(function: object, choice: object = "auto") -> bytes:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": choice,
    }
    return json.dumps(body).encode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (asked({"name": "x", "parameters": {"at most": [float("nan")]}}), "holds NaN"),
        (asked({"name": "x", "parameters": {"at most": float("-inf")}}), "or Infinity"),
        (asked({"name": "half a \ud800 pair"}), "half of a surrogate pair"),
        (asked({"half a \ud800 pair": "x"}), "half of a surrogate pair"),
        (asked(nested(LEVEL_LIMIT + 1)), f"deeper than {LEVEL_LIMIT} levels"),
        (asked(nested(400)), f"deeper than {LEVEL_LIMIT} levels"),
        (asked({"name": "x"}, {"function": {"name": float("inf")}}), "holds NaN"),
    ],
    ids=["NaN", "Infinity", "surrogate", "surrogate as a key", "deep", "very deep", "choice"],
)
async def test_what_no_engine_can_be_sent_is_refused_and_named(body: bytes, why: str) -> None:
    calling = ScriptedChat(calls=(ToolCall(id="1", name="x", arguments="{}"),))
    async with serving(indexed_app(chat=calling)) as client:
        response = await client.post(PATH, content=body, headers=JSON)

    assert response.status_code == 422, response.text
    assert why in response.json()["error"]["message"]


def test_the_deepest_tool_goes_out_as_it_came() -> None:
    deepest = nested(LEVEL_LIMIT)

    (tool,) = ChatRequest.model_validate_json(asked(deepest)).generation().tools

    assert tool == {"type": "function", "function": deepest}
