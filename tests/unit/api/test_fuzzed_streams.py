"""Whatever JSON comes to /v1/chat/completions, it is answered, and a stream ends as one does."""

import asyncio
import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_engineering.api.app import create_app
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.serving import NOTES, FailingChat, indexed_app

texts = st.one_of(st.sampled_from(NOTES), st.text(max_size=40))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "x"])},
        optional={
            "content": texts
            | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=2)
            | anything,
            "tool_call_id": texts,
            "tool_calls": anything,
        },
    ),
    max_size=4,
)
options: dict[Any, st.SearchStrategy[Any]] = {
    "model": st.just("twin") | texts,
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}) | anything,
    "max_tokens": st.integers(-1, 40_000) | anything,
    "max_completion_tokens": st.integers(1, 100),
    "temperature": st.floats(-1, 3),
    "top_p": st.floats(-1, 2),
    "seed": st.integers(),
    "stop": st.lists(texts, max_size=5) | texts,
    "n": st.integers(0, 2),
    "tools": anything,
    "tool_choice": anything,
    "extra": anything,
}
asked = st.fixed_dictionaries({"messages": messages, "stream": st.booleans()}, optional=options)
sound = st.fixed_dictionaries(
    {
        "messages": texts.map(lambda text: [{"role": "user", "content": f"{text}?"}]),
        "stream": st.just(True),
    },
    optional={"stream_options": st.fixed_dictionaries({"include_usage": st.booleans()})},
)


async def answer(body: bytes, chat: Any) -> httpx.Response:
    api = create_app(indexed_app(chat=chat), config=AnswerConfig(min_evidence=0))
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        headers = {"content-type": "application/json"}
        return await client.post("/v1/chat/completions", content=body, headers=headers)


def check(response: httpx.Response, *, streamed: bool) -> list[dict[str, Any]]:
    """The response is whole and OpenAI's; returns the events of a stream, `[DONE]` left out."""
    assert response.status_code < 500, response.text
    if response.status_code != 200:
        assert response.json()["error"]["message"]
        return []
    if not streamed:
        assert response.json()["choices"][0]["finish_reason"]
        return []
    assert response.headers["content-type"].startswith("text/event-stream")
    *lines, rest = response.text.split("\n\n")
    assert rest == ""
    assert all(line.startswith("data: ") for line in lines)
    datas = [line.removeprefix("data: ") for line in lines]
    assert datas[-1] == "[DONE]"
    return [json.loads(data) for data in datas[:-1]]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(body=asked)
def test_no_body_breaks_the_server_and_every_stream_ends(body: dict[str, Any]) -> None:
    chat = ScriptedChat(script=lambda _: "a few words")
    response = asyncio.run(answer(json.dumps(body).encode(), chat))

    events = check(response, streamed=body["stream"])
    if events:
        reasons = [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]]
        assert len(reasons) == 1


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_request_at_all_is_refused(body: bytes) -> None:
    response = asyncio.run(answer(body, ScriptedChat(script=lambda _: "words")))

    assert 400 <= response.status_code < 500
    check(response, streamed=False)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(body=sound, deliberate=st.booleans())
def test_an_answer_that_breaks_off_at_once_says_so_and_not_why(
    body: dict[str, Any], deliberate: bool
) -> None:
    error = BackendUnavailable("gone") if deliberate else ZeroDivisionError("secret")
    response = asyncio.run(answer(json.dumps(body).encode(), FailingChat(error)))

    assert "secret" not in response.text
    assert response.status_code == (503 if deliberate else 500)
    assert response.json()["error"]["type"] == "server_error"
