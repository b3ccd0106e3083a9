"""OpenAI's own client, unchanged, over a real socket; and Open WebUI's calls, replayed."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)

from llm_engineering.domain.chat import ChatRequest, Role, ToolCall
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.live_server import Live, live
from tests.unit.serving import NOTES, QUESTION, indexed_app

SAID = "A backup is one copy of the file [1]. Reading is for winters [9]."
SHOWN = "A backup is one copy of the file [1]. Reading is for winters."
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}
CALLED: ChatCompletionMessageFunctionToolCallParam = {
    "id": "call-1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"town": "Paris"}'},
}
CALL = ToolCall(id="call-1", name="weather", arguments='{"town": "Paris"}')


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat(script=lambda _: SAID, named=("ada-2", "ada-1"))


@pytest.fixture
def server(chat: ScriptedChat) -> Iterator[Live]:
    with live(indexed_app(chat=chat)) as running:
        yield running


@pytest.fixture
def client(server: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_a_whole_answer_comes_with_its_citations(client: openai.OpenAI, chat: ScriptedChat) -> None:
    answer = client.chat.completions.create(model="twin", messages=ASKED, temperature=0.2, seed=7)

    assert answer.choices[0].message.content == SHOWN
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "ada-2", "whichever is in production, by its name"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model_extra
    assert [citation["quote"] for citation in answer.model_extra["citations"]] == [NOTES[0]]
    assert not answer.model_extra["grounds"]["abstained"]
    (request,) = chat.requests
    assert (request.sampling.temperature, request.sampling.seed) == (0.2, 7)


def test_a_streamed_answer_is_the_whole_one_in_pieces(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="ada-1", messages=ASKED, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    *spoken, last, counted = chunks
    assert spoken[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in spoken) == SHOWN
    assert len(spoken) > 5, "not in one piece"
    assert {chunk.choices[0].finish_reason for chunk in spoken} == {None}
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra
    assert last.model_extra["citations"][0]["quote"] == NOTES[0]
    assert counted.choices == []
    assert counted.usage is not None
    assert counted.usage.completion_tokens == len(SAID.split())
    assert {chunk.model for chunk in chunks} == {"ada-1"}
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_asynchronous_client_streams_many_answers_at_once(server: Live) -> None:
    async def ask(client: openai.AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(model="twin", messages=ASKED, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            return await asyncio.gather(*(ask(client) for _ in range(32)))

    assert asyncio.run(ask_all()) == [SHOWN] * 32


def test_tools_are_called_and_their_results_answered(
    client: openai.OpenAI, chat: ScriptedChat
) -> None:
    chat.calls = (CALL,)
    asked = client.chat.completions.create(model="twin", messages=ASKED, tools=[WEATHER])
    assert asked.choices[0].message.tool_calls
    call = asked.choices[0].message.tool_calls[0]
    assert asked.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather",
        {"town": "Paris"},
    )
    with client.chat.completions.stream(model="twin", messages=ASKED, tools=[WEATHER]) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == "tool_calls"
    assert streamed.message.tool_calls
    assert streamed.message.tool_calls[0].function.arguments == CALL.arguments

    answered = client.chat.completions.create(
        model="twin",
        messages=[
            *ASKED,
            {"role": "assistant", "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": call.id, "content": "It rains."},
        ],
        tools=[WEATHER],
    )
    assert answered.choices[0].finish_reason == "stop"
    last = chat.requests[-1]
    assert [m.role for m in last.messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL]
    assert last.messages[2].tool_calls == (CALL,)
    assert last.messages[3].content == "It rains."


def test_tools_are_refused_where_the_engine_has_none(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="calls none; leave them out"):
        client.chat.completions.create(model="twin", messages=ASKED, tools=[WEATHER])


def test_without_retrieval_the_conversation_alone_is_answered(
    client: openai.OpenAI, chat: ScriptedChat
) -> None:
    said: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "Write a haiku."}]},
    ]
    answer = client.chat.completions.create(
        model="twin", messages=said, extra_headers={"x-twin-retrieval": "off"}
    )
    assert answer.choices[0].message.content == SAID, "nothing is cited, so no mark is touched"
    (request,) = chat.requests
    assert request.messages[0].content == (
        "You are the writing twin of Ada Lovelace. You write in the first person, in their own "
        "voice.\n\nBe brief."
    )
    assert [m.content for m in request.messages[1:]] == ["Hello", "Hello!", "Write a haiku."]


def test_what_was_said_before_is_read_with_the_question(
    client: openai.OpenAI, chat: ScriptedChat
) -> None:
    client.chat.completions.create(
        model="twin",
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Good day."},
            *ASKED,
        ],
    )
    contents = [m.content for m in chat.requests[0].messages]
    assert contents[1:3] == ["Hello", "Good day."]
    assert contents[3].endswith(f"Question: {QUESTION}")
    assert NOTES[0] in contents[3]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "no model 'gpt-9' but 'twin', 'ada-2', 'ada-1'"),
        ({"n": 2}, openai.UnprocessableEntityError, "n: Input should be 1"),
        ({"messages": []}, openai.UnprocessableEntityError, "at least 1 item"),
        ({"temperature": 3}, openai.UnprocessableEntityError, "temperature"),
        (
            {"messages": [{"role": "assistant", "content": "Hi"}]},
            openai.UnprocessableEntityError,
            "the last message must be a user's or a tool's",
        ),
        (
            {"messages": [{"role": "user", "content": "  "}]},
            openai.UnprocessableEntityError,
            "a user message needs content",
        ),
    ],
)
def test_what_cannot_be_done_is_an_error_of_the_clients_own(
    client: openai.OpenAI, given: dict[str, Any], error: type[openai.APIStatusError], said: str
) -> None:
    for stream in (False, True):
        with pytest.raises(error, match=said):
            client.chat.completions.create(
                **{"model": "twin", "messages": ASKED, "stream": stream, **given}
            )


def test_an_engine_that_dies_in_the_middle_ends_the_stream_with_an_error(
    client: openai.OpenAI, chat: ScriptedChat, server: Live
) -> None:
    chat.fails_after = 3
    stream = client.chat.completions.create(model="twin", messages=ASKED, stream=True)
    heard = [next(stream).choices[0].delta.content for _ in range(4)]
    assert "".join(filter(None, heard)) == "A backup is"
    with pytest.raises(openai.APIError, match="the scripted model is gone"):
        next(stream)
    server.settles(0)

    chat.fails_after = None
    again = client.chat.completions.create(model="twin", messages=ASKED)
    assert again.choices[0].message.content == SHOWN


def test_an_engine_that_is_dead_before_the_first_word_is_a_503(
    client: openai.OpenAI, chat: ScriptedChat
) -> None:
    chat.fails_after = 0
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="twin", messages=ASKED, stream=True)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "1"


def test_open_webuis_calls(server: Live) -> None:
    """As its backend sends them: the list of models, then a chat with fields of its own."""
    with httpx.Client(base_url=f"{server.url}/v1", headers={"Authorization": "Bearer x"}) as webui:
        listed = webui.get("/models").json()
        assert listed["object"] == "list"
        assert [model["id"] for model in listed["data"]] == ["twin", "ada-2", "ada-1"]
        assert {model["owned_by"] for model in listed["data"]} == {"llm-twin"}
        body = {
            "stream": True,
            "model": "twin",
            "messages": [{"role": "user", "content": QUESTION}],
            "stream_options": {"include_usage": True},
            "features": {"web_search": False},
            "session_id": "abc",
            "chat_id": "1",
            "id": "2",
            "background_tasks": {"title_generation": True},
            "user": "somebody",
            "frequency_penalty": 0,
        }
        with webui.stream("POST", "/chat/completions", json=body) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    text = "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )
    assert text == SHOWN
    assert events[-1]["usage"]["total_tokens"] > 0


def test_a_model_is_told_of_by_its_name(client: openai.OpenAI) -> None:
    assert client.models.retrieve("ada-1").id == "ada-1"
    with pytest.raises(openai.NotFoundError, match="no model 'ada-9'"):
        client.models.retrieve("ada-9")


def test_the_request_reaches_the_engine_with_every_wish(
    client: openai.OpenAI, chat: ScriptedChat
) -> None:
    def says(request: ChatRequest) -> str:
        return "one two three four"

    chat.script = says
    cut = client.chat.completions.create(
        model="twin", messages=ASKED, max_tokens=2, top_p=0.5, stop="four"
    )
    assert cut.choices[0].finish_reason == "length"
    assert cut.choices[0].message.content == "one two"
    stopped = client.chat.completions.create(model="twin", messages=ASKED, stop=["two", "three"])
    assert stopped.choices[0].message.content == "one "
    assert chat.requests[0].sampling.top_p == 0.5
