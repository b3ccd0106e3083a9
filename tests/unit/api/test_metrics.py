"""What /metrics says after requests that are known."""

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from llm_engineering.api.metrics import MODELS, OTHER, Metrics
from llm_engineering.api.request_context import UNMATCHED
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.traces import TraceTally
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.api.scraped import CHAT, Figures, chat, left_after, scrape
from tests.unit.serving import (
    QUESTION,
    FailingChat,
    WaitingChat,
    indexed_app,
    memory_app,
    serving,
)

WORDS = 12


def talking(**more: Any) -> ScriptedChat:
    return ScriptedChat(script=lambda _: " ".join(["One two three [1]."] * 3), **more)


@pytest.mark.anyio
async def test_every_figure_is_exact_after_known_requests() -> None:
    async with serving(indexed_app(chat=talking(tokens_per_s=5_000.0))) as client:
        for _ in range(2):
            await client.post(CHAT, json=chat(stream=True))
        await client.post("/rag", json={"question": QUESTION})
        await client.post("/rag", json={"question": "zebra quantum marmalade"})
        await client.post("/search", json={"query": QUESTION})
        seen = await scrape(client)

    model = {"model": "scripted"}
    assert seen("twin_answers_total", outcome="answered", **model) == 3
    assert seen("twin_answers_total", outcome="abstained", **model) == 1
    assert seen("twin_abstentions_total", by="evidence") == 1
    assert seen("twin_answers_open") == 0
    assert seen("twin_tokens_total", kind="completion", **model) == 3 * WORDS
    assert seen("twin_first_token_seconds_count", **model) == 4
    assert seen("twin_answer_seconds_count", **model) == 4
    assert seen("twin_tokens_per_second_count", **model) == 3
    assert (seen("twin_groundedness_count"), seen("twin_groundedness_sum")) == (3, 3)
    assert seen("twin_evidence_count") == 4
    assert seen("twin_queue_seconds_count") == 5
    assert seen("twin_retrieval_seconds_count", stage="search") == 5
    assert seen("twin_retrieval_seconds_count", stage="judge") == 4
    assert seen("twin_requests_total", method="POST", route=CHAT, status="200") == 2
    assert seen("twin_requests_total", method="POST", route="/rag", status="200") == 2
    assert seen("twin_requests_total", method="POST", route="/search", status="200") == 1
    assert seen.total("twin_requests_total") == 5
    assert seen("twin_requests_open") == 1  # the scrape
    assert seen.total("twin_answer_errors_total") == 0
    assert seen.values("stage").isdisjoint({"wait", "total", "answer"})


@pytest.mark.anyio
async def test_the_gaps_are_those_between_the_pieces() -> None:
    async with serving(indexed_app(chat=talking(tokens_per_s=50.0))) as client:
        said = (await client.post(CHAT, json=chat(stream=True))).text
        seen = await scrape(client)

    pieces = said.count('"delta":{"content":')
    gaps = seen("twin_inter_token_seconds_count")
    assert 3 <= gaps == pieces - 1
    took = seen("twin_answer_seconds_sum", model="scripted")
    assert 0.05 <= seen("twin_inter_token_seconds_sum") <= took
    assert seen("twin_inter_token_seconds_bucket", le="+Inf") == gaps
    assert seen("twin_inter_token_seconds_bucket", le="0.005") <= gaps / 2


@pytest.mark.anyio
async def test_versions_that_answer_are_shown() -> None:
    async with serving(indexed_app(chat=talking(named=("twin-7", "twin-6")))) as client:
        before = await scrape(client)
        found = (await client.post("/search", json={"query": QUESTION})).json()
        searched = await scrape(client)
        answered = (await client.post("/rag", json={"question": QUESTION})).json()
        after = await scrape(client)

    assert before.of("twin_index_info") == {}
    assert searched("twin_index_info", version=found["index_version"]) == 1
    assert searched.of("twin_model_info") == {}
    assert after("twin_index_info", version=answered["index_version"]) == 1
    assert after("twin_model_info", model="twin-7") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("events", [0, 1, 4])
async def test_a_client_that_leaves_is_counted_as_one_and_its_place_is_free(events: int) -> None:
    speaks = talking(tokens_per_s=50.0, first_token_s=0.05)
    seen = await left_after(
        indexed_app(chat=speaks),
        events,
        httpx.Request("POST", "http://x", json=chat(stream=True)).content,
    )

    assert seen.total("twin_answers_total", outcome="left") == 1
    assert seen.total("twin_answers_total") == 1
    assert seen("twin_answers_open") == 0
    assert seen("twin_requests_open") == 1
    assert seen.total("twin_answer_errors_total") == 0
    assert seen.total("twin_tokens_total") == 0
    assert seen.total("twin_requests_total", route=CHAT) == 1
    assert speaks.running == 0


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_dies_half_way_is_an_error_of_the_engine(stream: bool) -> None:
    async with serving(indexed_app(chat=talking(fails_after=2))) as client:
        await client.post(CHAT, json=chat(stream=stream))
        seen = await scrape(client)

    assert seen("twin_answers_total", outcome="failed", model="scripted") == 1
    assert seen("twin_answer_errors_total", stage="engine", kind="backend-unavailable") == 1
    assert seen("twin_first_token_seconds_count", model="scripted") == 1
    assert seen.total("twin_answer_seconds_count") == 0


@pytest.mark.anyio
async def test_what_fails_before_the_engine_is_an_error_of_retrieval() -> None:
    class Down:
        name = "down"

        def embed(self, texts: object) -> object:
            raise BackendUnavailable("the encoder is gone")

        def __getattr__(self, name: str) -> object:
            return getattr(whole.embedder, name)

    whole = indexed_app(chat=talking())
    app = indexed_app(chat=talking(), index=whole.index)
    down = Down()
    down.name = whole.embedder.name
    app.__dict__["embedder"] = down
    async with serving(app) as client:
        response = await client.post("/rag", json={"question": QUESTION})
        seen = await scrape(client)

    assert response.status_code == 503
    assert seen("twin_answer_errors_total", stage="retrieval", kind="backend-unavailable") == 1


@pytest.mark.anyio
async def test_an_unexpected_error_is_counted_as_such() -> None:
    async with serving(indexed_app(chat=FailingChat(ZeroDivisionError()))) as client:
        await client.post("/rag", json={"question": QUESTION})
        seen = await scrape(client)

    assert seen("twin_answer_errors_total", stage="engine", kind="unexpected") == 1
    assert seen("twin_requests_total", method="POST", route="/rag", status="500") == 1


@pytest.mark.anyio
async def test_a_question_to_an_empty_index_and_one_too_many_are_refused_and_no_errors() -> None:
    async with serving(memory_app()) as client:
        await client.post("/rag", json={"question": QUESTION})
        empty = await scrape(client)
    waiting = WaitingChat()
    async with serving(indexed_app(chat=waiting, answers=1)) as client:
        first = asyncio.create_task(client.post("/rag", json={"question": QUESTION}))
        while not waiting.asked.is_set():
            await asyncio.sleep(0.005)
        await client.post("/rag", json={"question": QUESTION})
        full = await scrape(client)
        waiting.let_go.set()
        await first

    for seen in (empty, full):
        assert seen.total("twin_answers_total", outcome="refused") == 1
        assert seen.total("twin_answer_errors_total") == 0
    assert (empty("twin_answers_open"), full("twin_answers_open")) == (0, 1)


@pytest.mark.anyio
async def test_labels_stay_few_whatever_clients_send() -> None:
    async with serving(indexed_app(chat=talking())) as client:
        for number in range(30):
            await client.get(f"/secret-{number}")
            await client.request(f"METHOD{number}", "/rag")
            await client.post(CHAT, json=chat() | {"model": f"made-up-{number}"})
            await client.get(f"/v1/models/made-up-{number}")
        seen = await scrape(client)

    assert seen.values("route") == {UNMATCHED, "/rag", CHAT, "/v1/models/{name:path}"}
    assert seen.values("method") == {"other", "POST", "GET"}
    assert seen.values("model") == set()
    assert seen("twin_requests_total", method="other", route=UNMATCHED, status="404") == 30


def test_an_engine_of_many_names_gets_one_figure_for_the_later_ones() -> None:
    metrics = made()
    first = [metrics.model(f"v{number}") for number in range(MODELS)]

    assert first == [f"v{number}" for number in range(MODELS)]
    assert {metrics.model(f"w{number}") for number in range(100)} == {OTHER}
    assert metrics.model("v0") == "v0"


def test_what_is_described_is_what_is_collected() -> None:
    metrics = made()
    described = {each.name: (each.kind, each.meaning) for each in metrics.described}
    collected = {
        family.name: (family.type, family.documentation)
        for family in metrics.registry.collect()
        if not family.name.startswith("process_")
    }

    assert collected == described
    assert len(metrics.described) == len(described)


@pytest.mark.anyio
async def test_two_apps_in_one_process_count_apart() -> None:
    apps = indexed_app(chat=talking()), indexed_app(chat=talking())
    async with serving(apps[0]) as one, serving(apps[1]) as other:
        await one.post("/rag", json={"question": QUESTION})
        here, there = await scrape(one), await scrape(other)

    assert here.total("twin_answers_total") == 1
    assert there.total("twin_answers_total") == 0


@pytest.mark.anyio
async def test_a_scraper_during_two_hundred_requests_sees_figures_that_agree() -> None:
    async with serving(indexed_app(chat=talking(tokens_per_s=2_000.0), workers=4)) as client:

        def ask(count: int) -> list[asyncio.Task[httpx.Response]]:
            return [
                asyncio.create_task(client.post(CHAT, json=chat(stream=True))) for _ in range(count)
            ]

        asked, seen = ask(180), list[Figures]()
        while len(asked) < 200 or not all(request.done() for request in asked):
            seen.append(await scrape(client))
            # The last ones wait until a scrape has seen some that ended, however busy the machine.
            if len(asked) < 200 and seen[-1].total("twin_answers_total"):
                asked += ask(20)
            await asyncio.sleep(0.001)
        seen.append(await scrape(client))

    assert {request.result().status_code for request in asked} == {200}
    assert len(seen) > 5
    for figures in seen:
        agrees(figures)
    for before, after in pairwise(seen):
        counts = {key: v for key, v in before.samples.items() if key[0].endswith(GROWS)}
        assert all(after.samples[key] >= value for key, value in counts.items())
    assert any(0 < figures.total("twin_answers_total") < 200 for figures in seen)
    assert seen[-1]("twin_answers_total", outcome="answered", model="scripted") == 200


GROWS = ("_total", "_count", "_bucket", "_sum")


def agrees(figures: Figures) -> None:
    """What is counted in several ways is the same in all of them."""
    ended = figures.total("twin_answers_total")
    assert figures("twin_answers_open") <= 200 - ended
    assert figures.total("twin_answer_seconds_count") == ended
    assert figures.total("twin_first_token_seconds_count") == ended
    assert figures.total("twin_tokens_total", kind="completion") == WORDS * ended
    assert figures("twin_queue_seconds_count") >= ended
    assert figures("twin_queue_seconds_count") == figures("twin_evidence_count")
    for name, labels in figures.samples:
        if name.endswith("_count") and not name.startswith("process"):
            endless = name.removesuffix("_count") + "_bucket"
            whole = figures.samples[endless, labels | {("le", "+Inf")}]
            assert whole == figures.samples[name, labels]


def made() -> Metrics:
    return Metrics(version="1", tally=TraceTally)
