"""Feedback that cannot be erased at first is erased when the reader tries again."""

from collections.abc import Collection
from typing import Any

import httpx
import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.memory_samples import MemoryFeedbackStore
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.ports.stores import FeedbackStore
from tests.unit.api.test_conversations import begun, from_prompt, said, say
from tests.unit.serving import QUESTION, bearing, indexed_app, make_key, serving

pytestmark = pytest.mark.anyio


class Locked(MemoryFeedbackStore):
    """Another process holds it for as many deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0

    def remove(self, ids: Collection[str]) -> int:
        if self.held:
            self.held -= 1
            raise BackendUnavailable("feedback.db: another process keeps it locked; try again")
        return super().remove(ids)


async def rated(client: httpx.AsyncClient, **more: Any) -> str:
    """A conversation in which something is remembered, with feedback that tells it."""
    key = await begun(client, **more)
    assert (await say(client, key, "My name is Zenobia.", **more)).status_code == 200
    asked = (await say(client, key, QUESTION, **more)).json()
    given = {"answer_id": asked["grounds"]["answer_id"], "liked": True}
    assert (await client.post("/feedback", json=given, **more)).status_code == 201
    return key


def telling(store: FeedbackStore) -> int:
    return sum("Zenobia" in each.model_dump_json() for each in store.find())


@pytest.mark.parametrize("what", ["conversation", "fact"])
async def test_what_was_not_erased_at_first_can_be_erased_again(what: str) -> None:
    store = Locked()
    app = indexed_app(chat=ScriptedChat(script=from_prompt), feedback=store)
    async with serving(app) as client:
        path = f"/conversations/{await rated(client)}"
        if what == "fact":
            [fact] = (await client.get(path)).json()["remembered"]
            path = f"{path}/remembered/{fact['id']}"
        assert telling(store) == 1
        store.held = 1
        first = await client.delete(path)
        second = await client.delete(path)

    assert (first.status_code, second.status_code) == (503, 204)
    assert telling(store) == 0


async def test_what_a_deletion_left_that_was_cut_off_goes_with_the_next_one() -> None:
    app = indexed_app(chat=ScriptedChat(script=from_prompt))
    scopes = ("ask", "feedback")
    mine, others = (bearing(make_key(app, name, scopes=scopes)) for name in ("mine", "others"))
    async with serving(app) as client:
        key = await rated(client, headers=mine)
        [kept] = app.conversations.all()
        app.conversations.remove(key, owner=kept.owner)
        strangers = await client.delete(f"/conversations/{key}", headers=others)
        left = telling(app.feedback)
        again = await client.delete(f"/conversations/{key}", headers=mine)

    assert (strangers.status_code, again.status_code) == (404, 404)
    assert (left, telling(app.feedback)) == (1, 0)


async def test_feedback_that_does_not_tell_what_is_forgotten_stays() -> None:
    app = indexed_app(chat=ScriptedChat(script=from_prompt))
    async with serving(app) as client:
        key = await begun(client)
        asked = (await say(client, key, QUESTION)).json()
        given = {"answer_id": asked["grounds"]["answer_id"], "liked": True}
        assert (await client.post("/feedback", json=given)).status_code == 201
        await said(client, key, "My name is Zenobia.")
        [fact] = (await client.get(f"/conversations/{key}")).json()["remembered"]
        path = f"/conversations/{key}/remembered/{fact['id']}"
        assert (await client.delete(path)).status_code == 204

    assert len(list(app.feedback.find())) == 1
