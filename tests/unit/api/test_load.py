"""Many requests at once: nobody stalls anybody, the line is bounded, an index swap is not seen."""

import asyncio
from collections.abc import Callable
from functools import cached_property
from threading import Event
from typing import Any

import httpx
import pytest

from llm_engineering.api.work import WAITING_PER_WORKER, Abandoned, Overloaded, WorkPool
from llm_engineering.bootstrap import App
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.ports.models import ChatModel
from tests.unit.serving import NOTES, QUESTION, WaitingChat, indexed_app, publish, serving


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


def ask(client: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(client.post("/rag", json={"question": QUESTION}))


@pytest.mark.anyio
async def test_a_slow_answer_stalls_neither_health_nor_searches() -> None:
    chat = WaitingChat()
    async with serving(indexed_app(chat=chat, workers=2)) as client:
        slow = ask(client)
        await until(chat.asked.is_set)
        others = [
            await client.get("/health"),
            await client.post("/search", json={"query": QUESTION}),
        ]
        assert not slow.done()
        chat.let_go.set()
        answered = await slow

    assert [response.status_code for response in others] == [200, 200]
    assert answered.status_code == 200


@pytest.mark.anyio
async def test_readiness_answers_while_every_worker_is_busy() -> None:
    chat = WaitingChat()
    async with serving(indexed_app(chat=chat, workers=1)) as client:
        slow = ask(client)
        await until(chat.asked.is_set)
        while "still loading" in (state := await client.get("/ready")).text:
            await asyncio.sleep(0.005)
        chat.let_go.set()
        await slow

    assert state.status_code == 200


@pytest.mark.anyio
async def test_one_answer_too_many_is_refused_at_once_and_told_when_to_come_back() -> None:
    chat = WaitingChat()
    async with serving(indexed_app(chat=chat, answers=3)) as client:
        taken = [ask(client) for _ in range(3)]
        await until(chat.asked.is_set)
        refused = await ask(client)
        searched = await client.post("/search", json={"query": QUESTION})
        chat.let_go.set()
        answered = await asyncio.gather(*taken)
        afterwards = await ask(client)

    assert searched.status_code == 200

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"].endswith(":overloaded")
    assert {response.status_code for response in answered} == {200}
    assert afterwards.status_code == 200


@pytest.mark.anyio
async def test_two_hundred_requests_see_no_error_while_the_index_is_swapped() -> None:
    chat = WaitingChat()
    chat.let_go.set()
    app = indexed_app(chat=chat, workers=8)
    async with serving(app) as client:
        asked = [ask(client) for _ in range(200)]
        versions = {await asyncio.to_thread(publish, app, *NOTES) for _ in range(5)}
        answers = await asyncio.gather(*asked)
        last = await ask(client)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["answer"] for answer in answers} == {NOTES[0]}
    assert len(versions) == 5
    assert last.json()["index_version"] in versions


class Job:
    """Work for a pool, and someone who may leave before it is done."""

    def __init__(self) -> None:
        self.runs = 0
        self.left = asyncio.Event()

    def __call__(self) -> int:
        self.runs += 1
        return self.runs

    async def gone(self) -> Any:
        return await self.left.wait()


@pytest.mark.anyio
async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    pool, chat, job = WorkPool(workers=1), WaitingChat(), Job()
    busy = asyncio.create_task(pool.run(chat.let_go.wait, gone=Job().gone))
    queued = asyncio.create_task(pool.run(job, gone=job.gone))
    job.left.set()
    with pytest.raises(Abandoned):
        await queued
    chat.let_go.set()

    assert await busy
    assert await pool.run(Job(), gone=Job().gone) == 1
    assert job.runs == 0
    pool.close()


@pytest.mark.anyio
async def test_refused_work_takes_no_place_for_ever() -> None:
    pool, chat = WorkPool(workers=1), WaitingChat()
    places = 1 + WAITING_PER_WORKER
    for _ in range(2):
        chat.let_go.clear()
        taken = [
            asyncio.create_task(pool.run(chat.let_go.wait, gone=Job().gone)) for _ in range(places)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pool.run(Job(), gone=Job().gone)
        chat.let_go.set()
        assert await asyncio.gather(*taken) == [True] * places
    pool.close()


@pytest.mark.anyio
async def test_a_question_while_models_load_keeps_nobody_else_waiting() -> None:
    """What loads holds all ports, so these are asked for in a thread."""
    let_go = Event()

    class Loading(App):
        @cached_property
        def chat(self) -> ChatModel:
            assert let_go.wait(10)
            return ScriptedChat(script=lambda _: NOTES[0])

    given = indexed_app()
    app = Loading(given.settings)
    app.__dict__.update({name: port for name, port in given.__dict__.items() if name != "chat"})
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    async with serving(app) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json=body))
        listing = asyncio.create_task(client.get("/v1/models"))
        async with asyncio.timeout(5):
            await asyncio.sleep(0.1)
            health = await client.get("/health")
        assert not asking.done()
        assert not listing.done()
        let_go.set()
        answered, listed = await asyncio.gather(asking, listing)

    assert [each.status_code for each in (health, answered, listed)] == [200] * 3
