"""What happens to answers under way when something goes: the client, the store, the index."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.live_server import Live, live
from tests.unit.serving import NOTES, QUESTION, indexed_app, memory_app, publish

BODY = {"model": "twin", "messages": [{"role": "user", "content": QUESTION}], "stream": True}


@pytest.fixture
def chat() -> ScriptedChat:
    """That speaks for a minute, if it is let."""
    return ScriptedChat(script=lambda _: "word " * 6_000, tokens_per_s=100)


@pytest.fixture
def server(chat: ScriptedChat) -> Iterator[Live]:
    with live(indexed_app(chat=chat)) as running:
        yield running


def test_a_client_that_leaves_frees_its_place_and_the_engine(
    server: Live, chat: ScriptedChat
) -> None:
    for body in (BODY, {**BODY, "stream": False}):
        with httpx.Client(base_url=server.url) as client:
            request = client.build_request(
                "POST", "/v1/chat/completions", json={**body, "max_tokens": 6_000}
            )
            if body["stream"]:
                response = client.send(request, stream=True)
                assert next(response.iter_lines()).startswith("data: ")
                response.close()
            else:
                asking = threading.Thread(target=_asked_in_vain, args=(client, request))
                asking.start()
                server.settles(1)
                while chat.running == 0:
                    pass
                client.close()
                asking.join()
        server.settles(0)
        assert chat.running == 0


def _asked_in_vain(client: httpx.Client, request: httpx.Request) -> None:
    request.extensions["timeout"] = httpx.Timeout(0.5).as_dict()
    with pytest.raises(httpx.HTTPError):
        client.send(request)


def test_who_does_not_read_stalls_nobody(server: Live, chat: ScriptedChat) -> None:
    """Sockets with a small buffer that is never read; another client's answer is whole."""
    chat.tokens_per_s = None
    body = json.dumps({**BODY, "max_tokens": 6_000}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    host, port = server.url.removeprefix("http://").split(":")
    deaf = []
    for _ in range(8):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        one.connect((host, int(port)))
        one.sendall(head + body)
        deaf.append(one)
    server.settles(8)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        heard = client.post(
            "/v1/chat/completions", json={**BODY, "stream": False, "max_tokens": 50}
        ).json()
    assert heard["usage"]["completion_tokens"] == 50
    assert server.service.answering.open == 8, "they still hold theirs"
    for one in deaf:
        one.close()
    server.settles(0)


class FailingIndex(MemoryVectorIndex):
    """One whose server may be gone."""

    gone = False

    def version(self) -> str:
        if self.gone:
            raise BackendUnavailable("Qdrant at 127.0.0.1:6333 does not answer; start it")
        return super().version()


def test_a_store_that_is_gone_is_told_and_comes_back_by_itself() -> None:
    index = FailingIndex()
    app = memory_app(index=index, chat=ScriptedChat(script=lambda _: "One file [1]."))
    publish(app, *NOTES)
    with live(app) as server, httpx.Client(base_url=server.url, timeout=30) as client:

        def asked() -> list[httpx.Response]:
            return [
                client.post("/v1/chat/completions", json=BODY),
                client.post("/rag", json={"question": QUESTION}),
                client.post("/search", json={"query": QUESTION}),
            ]

        while "still loading" in client.get("/ready").text:
            pass
        index.gone = True
        for response in asked():
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert "Qdrant at 127.0.0.1:6333 does not answer" in response.text
        ready = client.get("/ready")
        assert ready.status_code == 503
        parts = {part["name"]: part["ready"] for part in ready.json()["parts"]}
        assert not parts["index"]
        assert client.get("/health").status_code == 200

        index.gone = False
        assert [response.status_code for response in asked()] == [200, 200, 200]
        assert client.get("/ready").status_code == 200


def test_two_hundred_streams_see_no_error_while_the_index_is_swapped(
    server: Live, chat: ScriptedChat
) -> None:
    chat.script = lambda request: f"{request.passages[0].text} [1]"
    chat.tokens_per_s = 200
    app_index = server.service.ports

    async def one(client: httpx.AsyncClient) -> dict[str, Any]:
        response = await client.post("/v1/chat/completions", json={**BODY, "stream": False})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def everyone() -> tuple[list[dict[str, Any]], set[str]]:
        async with httpx.AsyncClient(
            base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=200)
        ) as client:
            asked = [asyncio.ensure_future(one(client)) for _ in range(200)]
            versions = {await asyncio.to_thread(_publish, app_index) for _ in range(5)}
            return await asyncio.gather(*asked), versions

    answers, versions = asyncio.run(everyone())
    assert len(versions) == 5
    for answer in answers:
        assert answer["choices"][0]["message"]["content"] == f"{NOTES[0]} [1]"
        assert answer["citations"][0]["quote"] == NOTES[0]


def _publish(ports: Any) -> str:
    return publish(ports._app, *NOTES)


def test_an_answer_that_takes_too_long_is_ended() -> None:
    chat = ScriptedChat(script=lambda _: "word " * 500, tokens_per_s=50)
    app = indexed_app(chat=chat)
    with live(app) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        server.service.answering._within_s = 0.3
        with client.stream("POST", "/v1/chat/completions", json=BODY) as response:
            lines = [line for line in response.iter_lines() if line]
        error = json.loads(lines[-1].removeprefix("data: "))["error"]
        assert "was not complete after 0.3 s" in error["message"]
        assert error["type"] == "server_error"
        assert len(lines) > 3
        server.settles(0)
        assert chat.running == 0
