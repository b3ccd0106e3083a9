"""How much one caller may ask, what a refusal says of it, and when a place is free again."""

import asyncio
from typing import Any

import httpx
import pytest

from llm_engineering.api.app import create_app
from llm_engineering.api.quotas import REMEMBERED, Buckets, Places
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.audit import AuditEntry
from tests.unit.serving import (
    QUESTION,
    WaitingChat,
    bearing,
    indexed_app,
    make_key,
    problem,
    serving,
)

pytestmark = pytest.mark.anyio


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def searched(client: httpx.AsyncClient, key: str | None = None) -> httpx.Response:
    headers = bearing(key) if key else {}
    return await client.post("/search", json={"query": QUESTION}, headers=headers)


def test_a_bucket_holds_a_minutes_worth_and_refills_evenly() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    first = [buckets.take("a", per_minute=6) for _ in range(8)]
    assert [taken.granted for taken in first] == [True] * 6 + [False] * 2
    assert [taken.remaining for taken in first[:6]] == [5, 4, 3, 2, 1, 0]
    assert first[-1].retry_s == pytest.approx(10)
    assert first[-1].full_s == pytest.approx(60)

    clock.now += 9.9
    assert not buckets.take("a", per_minute=6).granted
    clock.now += 0.2
    assert buckets.take("a", per_minute=6).granted
    assert not buckets.take("a", per_minute=6).granted
    assert buckets.take("b", per_minute=6).granted

    clock.now += 3_600
    assert sum(buckets.take("a", per_minute=6).granted for _ in range(20)) == 6


def test_who_asked_longest_ago_is_forgotten_first() -> None:
    buckets = Buckets(Clock())
    buckets.take("first", per_minute=1)
    for number in range(REMEMBERED + 50):
        buckets.take(str(number), per_minute=1)
        buckets.take("kept", per_minute=1)

    assert not buckets.take("kept", per_minute=1).granted
    assert buckets.take("first", per_minute=1).granted
    assert len(buckets._levels) <= REMEMBERED


def test_places_are_counted_for_each_caller() -> None:
    places = Places()
    assert [places.enter("a", limit=2) for _ in range(3)] == [True, True, False]
    assert places.enter("b", limit=2)
    places.leave("a")
    assert places.enter("a", limit=2)
    for caller in ("a", "a", "b"):
        places.leave(caller)
    assert places._taken == {}


async def test_a_keys_own_limit_goes_before_the_settings_and_keys_do_not_share() -> None:
    app = indexed_app(api={"requests_per_minute": 3})
    own = make_key(app, "own", requests_per_minute=2)
    other = make_key(app, "other")
    async with serving(app) as client:
        first = [(await searched(client, own)).status_code for _ in range(3)]
        second = [(await searched(client, other)).status_code for _ in range(4)]

    assert (first, second) == ([200, 200, 429], [200, 200, 200, 429])


async def test_a_refusal_says_when_and_every_answer_what_is_left() -> None:
    app = indexed_app()
    key = make_key(app, requests_per_minute=2)
    async with serving(app) as client:
        granted = await searched(client, key)
        await searched(client, key)
        refused = await searched(client, key)
        below_v1 = await client.get("/v1/models", headers=bearing(key))

    assert granted.headers["x-ratelimit-limit-requests"] == "2"
    assert granted.headers["x-ratelimit-remaining-requests"] == "1"
    assert granted.headers["x-ratelimit-reset-requests"].endswith("s")
    problem(refused, status=429, kind="rate-limit-exceeded")
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["retry-after"] == "30"
    assert 29_000 < int(refused.headers["retry-after-ms"]) <= 30_000
    assert below_v1.json()["error"]["type"] == "rate_limit_error"
    assert below_v1.json()["error"]["code"] == "rate_limit_exceeded"


async def test_a_key_that_says_nothing_has_600_requests_a_minute() -> None:
    app = indexed_app()
    async with serving(app) as client:
        response = await searched(client, make_key(app))

    assert response.headers["x-ratelimit-limit-requests"] == "600"


async def test_without_keys_an_address_has_no_limit_but_the_one_that_is_set() -> None:
    async with serving(indexed_app()) as client:
        assert "x-ratelimit-limit-requests" not in (await searched(client)).headers
    async with serving(indexed_app(api={"requests_per_minute": 2})) as client:
        statuses = [(await searched(client)).status_code for _ in range(3)]
        health = await client.get("/health")

    assert statuses == [200, 200, 429]
    assert health.status_code == 200


async def test_wrong_keys_are_limited_for_an_address_and_right_ones_beside_them_are_not() -> None:
    app = indexed_app()
    key = make_key(app)
    async with serving(app) as client:
        wrong = [await searched(client, "wrong") for _ in range(70)]
        right = await searched(client, key)

    statuses = [response.status_code for response in wrong]
    assert statuses == [401] * 60 + [429] * 10
    assert "retry-after" in wrong[-1].headers
    assert right.status_code == 200
    entries: list[AuditEntry] = app.audit.entries  # type: ignore[attr-defined]
    refused = [entry for entry in entries if entry.refused]
    assert len(refused) == 60


async def test_answers_at_once_are_counted_while_they_are_under_way() -> None:
    chat = WaitingChat()
    app = indexed_app(chat=chat, workers=4)
    key, other = make_key(app, answers=2), make_key(app, "other")

    async def rag(key: str) -> httpx.Response:
        return await client.post("/rag", json={"question": QUESTION}, headers=bearing(key))

    async with serving(app) as client:
        waiting = [asyncio.create_task(rag(key)) for _ in range(2)]
        while len(chat.questions) < 2:
            await asyncio.sleep(0.01)
        refused, models = await rag(key), await client.get("/v1/models", headers=bearing(key))
        others = asyncio.create_task(rag(other))
        await asyncio.sleep(0.1)
        chat.let_go.set()
        answered = [await each for each in (*waiting, others)]
        again = await rag(key)

    problem(refused, status=429, kind="too-many-answers")
    assert refused.headers["retry-after"] == "1"
    assert models.status_code == 200
    assert [each.status_code for each in (*answered, again)] == [200] * 4


async def test_a_stream_holds_its_place_until_its_reader_leaves() -> None:
    from llm_engineering.api.app import create_app
    from llm_engineering.application.rag.preparing import AnswerConfig
    from llm_engineering.infrastructure.scripted_chat import ScriptedChat

    chat = ScriptedChat(script=lambda _: "word " * 2_000, tokens_per_s=20)
    app = indexed_app(chat=chat)
    key = make_key(app, answers=1)
    api = create_app(app, config=AnswerConfig(min_evidence=0))
    left = asyncio.Event()
    begun = asyncio.Event()
    body = b'{"stream":true,"messages":[{"role":"user","content":"backup copy"}]}'
    sent = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if sent:
            return sent.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if b"word" in message.get("body", b""):
            begun.set()

    headers = [
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer " + key.encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": headers,
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    async with serving(app, api=api) as client:
        stream = asyncio.create_task(api(scope, receive, send))
        await asyncio.wait_for(begun.wait(), timeout=30)
        while_open = await searched(client, key)
        left.set()
        started = asyncio.get_running_loop().time()
        await asyncio.wait_for(stream, timeout=30)
        took = asyncio.get_running_loop().time() - started
        after = await searched(client, key)

    problem(while_open, status=429, kind="too-many-answers")
    assert took < 1.0
    assert after.status_code == 200


async def test_a_longer_answer_than_may_be_asked_for_is_refused_with_the_number() -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 101}
    async with serving(indexed_app(api={"max_answer_tokens": 100})) as client:
        response = await client.post("/v1/chat/completions", json=body)
        allowed = await client.post("/v1/chat/completions", json=body | {"max_tokens": 100})

    assert response.status_code == 422
    assert "an answer has 100 at most" in response.json()["error"]["message"]
    assert allowed.status_code == 200


async def test_who_has_a_whole_answer_may_ask_again_at_once() -> None:
    app = indexed_app()
    key = make_key(app, answers=1)
    api = create_app(app, config=AnswerConfig())
    again: list[httpx.Response] = []

    async def asks_at_the_last_moment(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                again.append(await searched(client, key))
            await send(message)

        await api(scope, receive, sending)

    async with serving(app, api=api) as client:
        transport = httpx.ASGITransport(asks_at_the_last_moment)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as first:
            assert (await searched(first, key)).status_code == 200

    assert [each.status_code for each in again] == [200]
