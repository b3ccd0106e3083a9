"""The OpenAI chat sends what it is given, cites what it can, and fails in one line."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from llm_engineering.application.rag.prompts import render
from llm_engineering.bootstrap import App
from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Delta,
    Passage,
    Sampling,
    Sentence,
)
from llm_engineering.domain.documents import DocumentKind, DocumentRef
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.openai_chat import OpenAiChat
from llm_engineering.settings import OpenAiSettings, Settings
from tests.contract.chat_server import ChatServer, Reply, chat_server

KEY = "sk-hunter2"
COMPLETIONS = "/v1/chat/completions"
TEA = "I never boil green tea. Water of 80 degrees keeps it sweet."


def passage() -> Passage:
    return Passage(
        document=DocumentRef(
            id="tea",
            author_id="ada",
            author="Ada",
            url="https://ada.example/tea",
            title="Tea",
            kind=DocumentKind.NOTE,
            source="files:notes",
            published_at=datetime(2024, 3, 9, tzinfo=UTC),
        ),
        start=100,
        end=100 + len(TEA),
        text=TEA,
        sentences=(Sentence(start=100, end=123), Sentence(start=124, end=100 + len(TEA))),
        tokens=14,
        score=1.0,
    )


def request(*, max_tokens: int = 64) -> ChatRequest:
    question = "How hot should the water be?"
    return ChatRequest(
        messages=render(question, [passage()]),
        question=question,
        passages=(passage(),),
        max_tokens=max_tokens,
    )


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def chat_at(
    base_url: str,
    *,
    key: str | None = KEY,
    timeout_s: float = 30,
    capabilities: Capabilities = Capabilities(),  # noqa: B008  frozen
) -> OpenAiChat:
    return OpenAiChat(
        base_url,
        model="ada-twin",
        api_key=key,
        timeout_s=timeout_s,
        capabilities=capabilities,
    )


@pytest.fixture
def chat(server: ChatServer) -> Iterator[OpenAiChat]:
    opened = chat_at(server.base_url)
    yield opened
    opened.close()


def trouble(chat: OpenAiChat) -> str:
    with pytest.raises(BackendUnavailable) as caught:
        chat.complete(request())
    message = str(caught.value)
    assert "\n" not in message
    assert chat.host in message
    assert KEY not in message
    return message


def test_the_messages_go_out_as_given_with_the_key(server: ChatServer, chat: OpenAiChat) -> None:
    server.says("80 degrees. [1]")
    completion = chat.complete(request(max_tokens=77))
    (asked,) = server.asked
    system, user = request().messages
    assert asked.path == COMPLETIONS
    assert asked.key == f"Bearer {KEY}"
    assert asked.body == {
        "model": "ada-twin",
        "messages": [
            {"role": "system", "content": system.content},
            {"role": "user", "content": user.content},
        ],
        "max_tokens": 77,
    }
    assert (chat.name, chat.generates) == ("ada-twin", True)
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (21, 8)


def test_a_temperature_goes_out_when_one_is_asked_for(server: ChatServer, chat: OpenAiChat) -> None:
    server.says("80 degrees.")
    chat.complete(request().model_copy(update={"sampling": Sampling(temperature=0)}))
    assert server.asked[0].body["temperature"] == 0


def test_only_what_a_server_is_said_to_take_is_sent(server: ChatServer) -> None:
    asked = request().model_copy(
        update={
            "sampling": Sampling(seed=7, stop=("end",), top_p=0.5),
            "tools": ({"type": "function", "function": {"name": "weather"}},),
            "tool_choice": "auto",
        }
    )
    server.says("80 degrees.")
    for capabilities in (
        Capabilities(),
        Capabilities(seed=True, tools=True, template_options=True),
    ):
        chat = chat_at(server.base_url, capabilities=capabilities)
        chat.complete(asked)
        chat.close()
    plain, rich = (set(each.body) - {"model", "messages", "max_tokens"} for each in server.asked)
    assert plain == {"top_p", "stop"}
    assert rich == plain | {"seed", "tools", "tool_choice", "chat_template_kwargs"}
    assert server.asked[1].body["chat_template_kwargs"] == {"enable_thinking": False}


def test_thoughts_before_the_answer_are_not_the_answer(
    server: ChatServer, chat: OpenAiChat
) -> None:
    server.says("<think>\nTea? [9]\n</think>\n\n80 degrees. [1]")
    assert chat.complete(request()).text == "80 degrees. [1]"


def test_line_breaks_of_unicode_do_not_end_an_event(server: ChatServer, chat: OpenAiChat) -> None:
    """They stand in JSON as they are, and vLLM does not escape them."""
    said = "one\u2028two\u2029three\u0085four\x0bfive\x1csix"
    delta = json.dumps({"content": said}, ensure_ascii=False)
    events = f'data: {{"choices":[{{"delta":{delta},"finish_reason":"stop"}}]}}\n\ndata: [DONE]\n\n'
    server.replies[COMPLETIONS] = Reply(200, events)

    assert asyncio.run(streamed(chat)) == said


async def streamed(chat: OpenAiChat) -> str:
    pieces = [piece async for piece in chat.stream(request())]
    await chat.aclose()
    return "".join(piece.text for piece in pieces if isinstance(piece, Delta))


def test_an_answer_that_never_began_names_the_limit(server: ChatServer, chat: OpenAiChat) -> None:
    server.says("<think>Let me see", finish_reason="length")
    assert "used all of 64 tokens before its answer began; raise max_tokens" in trouble(chat)


def test_tokens_are_the_servers_where_it_counts_them(server: ChatServer, chat: OpenAiChat) -> None:
    server.replies["/tokenize"] = Reply(body={"count": 7, "tokens": [1] * 7})
    assert [chat.count_tokens("Water of 80 degrees") for _ in range(3)] == [7, 7, 7]
    assert server.paths() == ["/tokenize"]
    assert server.asked[0].body == {
        "model": "ada-twin",
        "prompt": "Water of 80 degrees",
        "add_special_tokens": False,
    }


@pytest.mark.parametrize("reply", [Reply(404), Reply(200, "<html>"), Reply(400, {"count": "no"})])
def test_without_a_tokenizer_four_characters_are_a_token_and_it_is_asked_once(
    server: ChatServer, chat: OpenAiChat, reply: Reply
) -> None:
    server.replies["/tokenize"] = reply
    assert [chat.count_tokens("12345678"), chat.count_tokens("123456789")] == [2, 3]
    assert server.paths() == ["/tokenize"]


def test_a_tokenizer_that_fails_once_is_asked_again(server: ChatServer, chat: OpenAiChat) -> None:
    server.replies["/tokenize"] = Reply(503)
    assert chat.count_tokens("12345678") == 2
    server.replies["/tokenize"] = Reply(body={"count": 5})
    assert chat.count_tokens("12345678") == 5


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401, {"error": {"message": f"bad key {KEY}"}}), "refuses the key of TWIN_CHAT__"),
        (Reply(403), "refuses the key of TWIN_CHAT__API_KEY"),
        (Reply(429, headers={"Retry-After": "17"}), "takes no more requests now (HTTP 429); ask"),
        (Reply(500, "Traceback\nboom"), "failed (HTTP 500)"),
        (Reply(502, "<html>"), "failed (HTTP 502)"),
        (
            Reply(400, {"error": {"message": f"context of 2048\nis too short, {KEY}"}}),
            "refuses the request (HTTP 400): context of 2048 is too short, **********",
        ),
        (Reply(422, {"detail": "no"}), "refuses the request (HTTP 422): no"),
        (Reply(301), "refuses the request (HTTP 301): it does not say why"),
        (Reply(200, "<html>hello</html>"), "no chat completion; TWIN_CHAT__BASE_URL"),
        (Reply(200, {"choices": []}), "no chat completion; TWIN_CHAT__BASE_URL"),
    ],
)
def test_what_goes_wrong_is_one_line_with_the_host_and_never_the_key(
    server: ChatServer,
    chat: OpenAiChat,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
    said: str,
) -> None:
    server.replies[COMPLETIONS] = reply
    with caplog.at_level(logging.DEBUG):
        assert said in trouble(chat)
    assert KEY not in caplog.text


def test_a_server_that_names_no_time_is_asked_later(server: ChatServer, chat: OpenAiChat) -> None:
    server.replies[COMPLETIONS] = Reply(429)
    assert trouble(chat).endswith("ask again later")


def test_a_server_that_wants_a_key_gets_none_by_itself(server: ChatServer) -> None:
    server.replies[COMPLETIONS] = Reply(401)
    chat = chat_at(server.base_url, key=None)
    assert "wants a key; set TWIN_CHAT__API_KEY" in trouble(chat)
    assert server.asked[0].key is None
    chat.close()


def test_a_model_that_is_not_there_is_answered_with_those_that_are(
    server: ChatServer, chat: OpenAiChat
) -> None:
    server.replies["/v1/models"] = Reply(body={"data": [{"id": "llama"}, {"id": "qwen"}]})
    assert "no model 'ada-twin' but 'llama', 'qwen'; set TWIN_CHAT__MODEL" in trouble(chat)


def test_an_address_without_chat_completions_names_the_setting(chat: OpenAiChat) -> None:
    assert "has no chat completions there (HTTP 404); TWIN_CHAT__BASE_URL" in trouble(chat)


def test_a_server_that_is_down_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        chat = chat_at(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        assert "does not answer; start it, correct TWIN_CHAT__BASE_URL" in trouble(chat)
        with pytest.raises(BackendUnavailable, match="does not answer"):
            chat.count_tokens("tea")
    chat.close()


def test_a_server_that_thinks_for_ever_is_given_up(server: ChatServer) -> None:
    server.replies[COMPLETIONS] = None
    chat = chat_at(server.base_url, timeout_s=0.05)
    assert "did not answer within 0.05 s; raise TWIN_CHAT__TIMEOUT_S" in trouble(chat)
    chat.close()


def test_threads_may_ask_at_once_and_closing_twice_is_fine(
    server: ChatServer, chat: OpenAiChat
) -> None:
    server.says("80 degrees. [1]")
    with ThreadPoolExecutor(8) as pool:
        texts = [c.text for c in pool.map(chat.complete, [request()] * 24)]
    assert texts == ["80 degrees. [1]"] * 24
    chat.close()
    chat.close()


def test_the_settings_make_it_and_the_app_closes_it(server: ChatServer) -> None:
    server.says("80 degrees. [1]")
    chat = OpenAiSettings(kind="openai", base_url=server.base_url, api_key=SecretStr(KEY))
    app = App(Settings(chat=chat))
    assert app.chat.complete(request()).text == "80 degrees. [1]"
    assert server.asked[0].key == f"Bearer {KEY}"
    assert server.asked[0].body["model"] == "twin"
    app.close()
    with pytest.raises(RuntimeError, match="closed"):
        app.chat.complete(request())
