"""What a reader asks to have forgotten is gone from a conversation that is kept."""

from typing import Any

import httpx
import pytest

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.api.test_conversations import begun, said, say
from tests.unit.serving import QUESTION, indexed_app, serving

pytestmark = pytest.mark.anyio
NURSE = f"As a nurse at Saint Xyzzy I wonder: {QUESTION}?"
"""States nothing that is remembered, and tells a lot."""


def echoing(request: Any) -> str:
    return f"A backup is one copy [1]. {request.messages[-1].content[-200:]}"


async def rated(client: httpx.AsyncClient, key: str, text: str) -> None:
    answer_id = (await say(client, key, text)).json()["grounds"]["answer_id"]
    given = {"answer_id": answer_id, "liked": True}
    assert (await client.post("/feedback", json=given)).status_code == 201


@pytest.mark.parametrize("wish", ["Forget everything I said.", "Can you forget all I told you?"])
async def test_everything_is_everything(wish: str) -> None:
    chat = ScriptedChat(script=echoing)
    app = indexed_app(chat=chat)
    async with serving(app, config=AnswerConfig(min_evidence=0.0)) as client:
        key = await begun(client)
        await said(client, key, "My name is Zenobia.")
        await rated(client, key, NURSE)
        assert "Xyzzy" in (await client.get(f"/conversations/{key}")).text
        told = await said(client, key, wish)
        kept = await client.get(f"/conversations/{key}")
        await said(client, key, QUESTION)

    prompt = "".join(message.content for message in chat.requests[-1].messages)
    for gone in ("Xyzzy", "nurse", "Zenobia"):
        assert gone not in kept.text + prompt
        assert gone not in "".join(each.model_dump_json() for each in app.conversations.all())
    assert told == "I have forgotten everything that was said here."
    assert [turn["content"] for turn in kept.json()["turns"]] == [wish, told]
    assert list(app.feedback.find()) == []


async def test_what_is_no_fact_is_forgotten_too() -> None:
    chat = ScriptedChat(script=echoing)
    async with serving(indexed_app(chat=chat), config=AnswerConfig(min_evidence=0.0)) as client:
        key = await begun(client)
        await said(client, key, "I use Fly.")
        await said(client, key, NURSE)
        await said(client, key, "Could you please forget what I said about Fly and Saint Xyzzy?")
        kept = (await client.get(f"/conversations/{key}")).json()

    texts = " ".join(turn["content"] for turn in kept["turns"])
    assert "Fly" not in texts
    assert "Xyzzy" not in texts
    assert kept["remembered"] == []


async def test_what_was_said_just_before_is_forgotten() -> None:
    chat = ScriptedChat(script=echoing)
    async with serving(indexed_app(chat=chat), config=AnswerConfig(min_evidence=0.0)) as client:
        key = await begun(client)
        await said(client, key, "I use Fly.")
        await said(client, key, NURSE)
        await said(client, key, "Please forget what I just said.")
        kept = (await client.get(f"/conversations/{key}")).json()

    texts = " ".join(turn["content"] for turn in kept["turns"])
    assert "Xyzzy" not in texts
    assert [fact["text"] for fact in kept["remembered"]] == ["I use Fly."]


async def test_a_turn_to_something_else_erases_nothing() -> None:
    chat = ScriptedChat(script=echoing)
    async with serving(indexed_app(chat=chat), config=AnswerConfig(min_evidence=0.0)) as client:
        key = await begun(client)
        await said(client, key, "I use Fly.")
        await said(client, key, f"Forget about that and tell me of a {QUESTION}.")
        kept = (await client.get(f"/conversations/{key}")).json()

    assert kept["turns"][0]["content"] == "I use Fly."
    assert kept["turns"][3]["content"].startswith("A backup is one copy")
