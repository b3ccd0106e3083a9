"""What an answer rests on, as the API gives it: whole, streamed, taken back, and changed."""

import json
from typing import Any

import httpx
import pytest

from llm_engineering.application.rag import prompts
from llm_engineering.application.rag.grounding import GroundingConfig
from llm_engineering.application.rag.preparing import AnswerConfig
from tests.unit.chatting import ScriptedChat
from tests.unit.serving import NOTES, QUESTION, indexed_app, memory_app, publish, serving
from tests.unit.test_standing import BACKED, CHANGED_QUESTION, MADE_UP, NEW, OLD

pytestmark = pytest.mark.anyio
STRICT = AnswerConfig(grounding=GroundingConfig(min_share=0.5, min_nearness=0))
LENIENT = AnswerConfig(grounding=GroundingConfig(min_nearness=0), min_evidence=0)


async def whole(client: httpx.AsyncClient, question: str = QUESTION) -> dict[str, Any]:
    response = await client.post("/rag", json={"question": question})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def chunks(client: httpx.AsyncClient, question: str = QUESTION) -> list[dict[str, Any]]:
    body = {"messages": [{"role": "user", "content": question}], "stream": True}
    response = await client.post("/v1/chat/completions", json=body)
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [json.loads(event) for event in events if event != "[DONE]"]


async def streamed(client: httpx.AsyncClient, question: str = QUESTION) -> tuple[str, Any]:
    """The text and the grounds of the last chunk."""
    told = await chunks(client, question)
    text = "".join(each["choices"][0]["delta"].get("content", "") for each in told)
    (last,) = (each for each in told if each["choices"][0]["finish_reason"])
    return text, last["grounds"]


async def test_both_ways_to_ask_give_the_same_labels() -> None:
    chat = ScriptedChat(f"{BACKED} {MADE_UP}")
    async with serving(indexed_app(chat=chat), config=LENIENT) as client:
        body = await whole(client)
        text, grounds = await streamed(client)
    assert text == body["answer"] == f"{BACKED} {MADE_UP}"
    assert grounds["grounding"] == body["grounding"]
    assert body["grounding"]["share"] == 0.5
    first, second = body["grounding"]["sentences"]
    assert (first["verdict"], second["verdict"]) == ("supported", "unsupported")
    assert first["source"]["quote"] == NOTES[0]
    assert second["source"] is None
    assert text[second["start"] : second["end"]] == MADE_UP
    for each in (body, grounds):
        assert each["disclosure"] == prompts.DISCLOSURE.format(author="Ada Lovelace")
        assert each["steps"] == []
    assert body["answer_id"] != grounds["answer_id"]


async def test_a_whole_answer_never_holds_what_was_withdrawn() -> None:
    async with serving(indexed_app(chat=ScriptedChat(MADE_UP)), config=STRICT) as client:
        body = await whole(client)
    assert body["answer"] == f"“{NOTES[0]}” [1]"
    assert (body["grounding"]["replaced"], body["grounding"]["withdrawn"]) == (True, 0)


async def test_a_streamed_answer_says_what_of_it_is_withdrawn() -> None:
    async with serving(indexed_app(chat=ScriptedChat(MADE_UP)), config=STRICT) as client:
        text, grounds = await streamed(client)
    assert text == f"{MADE_UP}\n\n{prompts.WITHDRAWN}\n\n“{NOTES[0]}” [1]"
    assert grounds["grounding"]["withdrawn"] == len(MADE_UP)
    assert [each["quote"] for each in grounds["citations"]] == [NOTES[0]]


async def test_a_checked_stream_shows_only_what_stands() -> None:
    config = AnswerConfig(
        grounding=GroundingConfig(min_share=0.5, min_nearness=0, stream="checked")
    )
    async with serving(indexed_app(chat=ScriptedChat(MADE_UP)), config=config) as client:
        text, grounds = await streamed(client)
    assert text == f"“{NOTES[0]}” [1]"
    assert grounds["grounding"]["withdrawn"] == 0


async def test_without_evidence_there_is_nothing_to_check() -> None:
    async with serving(indexed_app(chat=ScriptedChat(MADE_UP)), config=STRICT) as client:
        response = await client.post(
            "/v1/chat/completions",
            json={"messages": [{"role": "user", "content": QUESTION}]},
            headers={"x-twin-retrieval": "off"},
        )
        refused = await whole(client, "zebra quantum marmalade")
    body = response.json()
    assert body["choices"][0]["message"]["content"] == MADE_UP
    assert body["grounds"]["grounding"] is None
    assert "AI twin" in body["grounds"]["disclosure"]
    assert refused["abstained"]
    assert refused["grounding"] is None


@pytest.mark.parametrize("said", [None, f"{OLD} [1]"])
async def test_a_changed_mind_is_told_with_both_dates(said: str | None) -> None:
    app = memory_app(chat=ScriptedChat(said)) if said else memory_app()
    publish(app, OLD, NEW)
    async with serving(app, config=LENIENT) as client:
        body = await whole(client, CHANGED_QUESTION)
        text, grounds = await streamed(client, CHANGED_QUESTION)
    assert text == body["answer"]
    (change,) = grounds["changes"]
    assert (change["before"]["quote"], change["after"]["quote"]) == (OLD, NEW)
    numbers = {each["quote"]: each["number"] for each in grounds["citations"]}
    assert numbers[NEW] == change["after"]["number"]
    assert "I have changed my mind" in text
    for part in (NEW, "2024-03-01", "2024-03-02"):
        assert part in text
