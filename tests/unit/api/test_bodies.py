"""Which request bodies are refused, and how."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_engineering.api.app import create_app
from llm_engineering.api.schemas import Filters
from llm_engineering.application.rag.preparing import AnswerConfig
from tests.unit.serving import (
    indexed_app,
    memory_app,
    problem,
    serving,
)

JSON = {"content-type": "application/json"}


@pytest.mark.anyio
@pytest.mark.parametrize("question", ["", " \t\n ", "x" * 4_001])
async def test_a_question_must_be_of_a_sensible_length(
    client: httpx.AsyncClient, question: str
) -> None:
    body = problem(
        await client.post("/rag", json={"question": question}), status=422, kind="invalid-input"
    )

    assert [error["field"] for error in body["errors"]] == ["question"]
    assert "question" in body["detail"]


@pytest.mark.anyio
async def test_the_longest_question_is_answered(client: httpx.AsyncClient) -> None:
    response = await client.post("/rag", json={"question": "é" * 4_000})

    assert response.status_code == 200, response.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "limit": True}, "limit"),
        ({"query": "x", "limit": "5"}, "limit"),
        ({"query": "x", "k": 5}, "k"),
        ({"query": "x", "filters": {"author": "Ada"}}, "filters.author"),
        ({"query": "x", "filters": {"kinds": ["poem"]}}, "filters.kinds.0"),
        ({"query": "x", "filters": {"tags": ["t"] * 101}}, "filters.tags"),
        ({"query": "x", "filters": {"published_from": "soon"}}, "filters.published_from"),
        (
            {"query": "x", "filters": {"published_from": "0001-01-01T00:00:00+14:00"}},
            "filters.published_from",
        ),
        ({"query": "half a \ud800 pair"}, "query"),
        ({"query": ["x"]}, "query"),
        ({"query": "x", "k" * 300: 1}, "k" * 200),
        ({"query": "x", "half a \ud800 pair": 1}, ""),
        ([], ""),
        (None, ""),
    ],
)
async def test_what_is_wrong_with_a_body_is_named(
    client: httpx.AsyncClient, body: object, field: str
) -> None:
    response = await client.post("/search", content=json.dumps(body), headers=JSON)

    told = problem(response, status=422, kind="invalid-input")
    assert [error["field"] for error in told["errors"]] == [field]


TURN = {"role": "user", "content": "x"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("history", "field"),
    [
        ([TURN] * 51, "history"),
        ([TURN, TURN | {"role": "system"}], "history.1.role"),
        ([TURN | {"content": " "}], "history.0.content"),
        ([TURN | {"content": "x" * 4_001}], "history.0.content"),
        ([TURN | {"name": "Ada"}], "history.0.name"),
        ([{"role": "user"}], "history.0.content"),
        (["x"], "history.0"),
        ("x", "history"),
    ],
)
async def test_what_is_wrong_with_a_history_is_named(
    client: httpx.AsyncClient, history: object, field: str
) -> None:
    response = await client.post("/rag", json={"question": "x", "history": history})

    told = problem(response, status=422, kind="invalid-input")
    assert [error["field"] for error in told["errors"]] == [field]


@pytest.mark.anyio
async def test_the_longest_history_is_read(client: httpx.AsyncClient) -> None:
    history = [TURN, TURN | {"role": "assistant"}] * 25
    response = await client.post("/rag", json={"question": "x", "history": history})

    assert response.status_code == 200, response.text


@pytest.mark.anyio
async def test_a_body_with_many_faults_gets_a_short_answer(client: httpx.AsyncClient) -> None:
    response = await client.post("/search", json={f"k{i}": i for i in range(10_000)})

    assert len(problem(response, status=422, kind="invalid-input")["errors"]) == 5


@pytest.mark.anyio
@pytest.mark.parametrize("content", [b"{", b"{'query': 1}", b"", b"\x00"])
async def test_malformed_json_is_a_client_error(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/search", content=content, headers=JSON)

    kind = "malformed-json" if content else "invalid-input"
    problem(response, status=400 if content else 422, kind=kind)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "content",
    [b'{"query": "\xff"}', b"[" * 100_000, b'{"limit": ' + b"9" * 10_000 + b"}"],
    ids=["not UTF-8", "nested", "a number of 10,000 digits"],
)
async def test_json_that_cannot_be_read_is_a_client_error(
    client: httpx.AsyncClient, content: bytes
) -> None:
    problem(await client.post("/search", content=content, headers=JSON), status=400)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None]
)
async def test_a_body_that_does_not_call_itself_json_is_refused(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    response = await client.post("/rag", content=b'{"question": "x"}', headers=headers)

    assert "application/json" in problem(response, status=415)["detail"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"]
)
async def test_every_spelling_of_json_is_accepted(
    client: httpx.AsyncClient, content_type: str
) -> None:
    response = await client.post(
        "/rag", content=b'{"question": "x"}', headers={"content-type": content_type}
    )

    assert response.status_code == 200, response.text


class Pieces(httpx.AsyncByteStream):
    """A body of unknown length that counts how much of it was read."""

    def __init__(self, piece: bytes, *, count: int) -> None:
        self._piece = piece
        self._count = count
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            self.read += 1
            yield self._piece


@pytest.mark.anyio
async def test_a_body_that_says_it_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/rag", json={"question": "x" * 1_000_000})

    assert "256,000" in problem(response, status=413)["detail"]


@pytest.mark.anyio
async def test_a_body_of_unknown_length_is_read_up_to_the_limit_only(
    client: httpx.AsyncClient,
) -> None:
    body = Pieces(b"x" * 10_000, count=1_000)

    problem(await client.post("/rag", content=body, headers=JSON), status=413)

    assert body.read == 26


@pytest.mark.anyio
async def test_a_body_of_just_the_limit_is_read() -> None:
    async with serving(memory_app(max_body_bytes=1_000)) as client:
        content = b'{"query": "x"}'.ljust(1_000)
        fits = await client.post("/search", content=content, headers=JSON)
        exceeds = await client.post("/search", content=content + b" ", headers=JSON)

    problem(fits, status=409, kind="index-empty")
    problem(exceeds, status=413)


@pytest.mark.anyio
async def test_a_length_of_many_digits_is_too_long(client: httpx.AsyncClient) -> None:
    headers = JSON | {"content-length": "9" * 5_000}

    problem(await client.post("/rag", content=b"{}", headers=headers), status=413)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


ALMOST_REQUESTS = st.fixed_dictionaries(
    {"query": JSON_VALUES | st.text()},
    optional={
        "limit": JSON_VALUES | st.integers(1, 100),
        "filters": JSON_VALUES
        | st.dictionaries(st.sampled_from(sorted(Filters.model_fields)), JSON_VALUES),
    },
)


@cache
def indexed_api() -> FastAPI:
    return create_app(indexed_app(), config=AnswerConfig())


@settings(deadline=None, max_examples=300)
@given(body=JSON_VALUES | ALMOST_REQUESTS)
def test_no_json_body_makes_the_server_fail(body: object) -> None:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(indexed_api())
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/search", content=json.dumps(body), headers=JSON)

    response = asyncio.run(post())

    assert response.status_code in (200, 400, 422), response.text
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"
