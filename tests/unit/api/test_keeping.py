"""What is deleted or erased while an answer is made is not kept with the answer afterwards."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from llm_engineering.api.app import create_app
from llm_engineering.application.erasure import ERASED
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.domain.conversations import Conversation
from llm_engineering.domain.errors import Conflict
from llm_engineering.infrastructure.memory_conversations import MemoryConversationStore
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.api.test_conversations import begun, say
from tests.unit.app_steps import erase
from tests.unit.serving import NOTES, QUESTION, WaitingChat, indexed_app, note, serving

pytestmark = pytest.mark.anyio


class Meddled(MemoryConversationStore):
    """Something happens just before a turn is stored in it, or just after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = bool
        self.after: Callable[[], object] = bool

    def replace(self, conversation: Conversation, *, seen: Conversation) -> None:
        before, after = self.before, self.after
        self.before = self.after = bool
        before()
        super().replace(conversation, seen=seen)
        after()


def app_with(store: MemoryConversationStore, chat: WaitingChat, folder: Path) -> App:
    app = indexed_app(chat=chat, conversations=store, models=FolderModelRegistry(folder))
    app.documents.put([note(text, number=number) for number, text in enumerate(NOTES)])
    return app


def erase_first(app: App) -> None:
    erase(app, note(NOTES[0], number=0).id)


async def rated(client: httpx.AsyncClient, asked: httpx.Response) -> httpx.Response:
    answer_id = asked.json()["grounds"]["answer_id"]
    return await client.post("/feedback", json={"answer_id": answer_id, "liked": True})


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_answer_of_a_deleted_conversation_is_kept_nowhere(
    when: str, chat: WaitingChat, tmp_path: Path
) -> None:
    store = Meddled()
    async with serving(app_with(store, chat, tmp_path)) as client:
        key = await begun(client)
        loop = asyncio.get_running_loop()

        def delete() -> None:
            sent = asyncio.run_coroutine_threadsafe(client.delete(f"/conversations/{key}"), loop)
            assert sent.result(20).status_code == 204

        setattr(store, when, delete)
        asked = await say(client, key, QUESTION)
        given = await rated(client, asked)

    assert asked.status_code == 200
    assert given.status_code == 404
    assert list(store.all()) == []


async def test_an_answer_that_another_turn_overtook_cannot_be_rated(
    chat: WaitingChat, tmp_path: Path
) -> None:
    store = Meddled()
    app = app_with(store, chat, tmp_path)
    api = create_app(app, config=AnswerConfig())
    async with serving(app, api=api) as client:
        key = await begun(client)

        def overtake() -> None:
            raise Conflict("meanwhile")

        store.before = overtake
        refused = await say(client, key, QUESTION)

    assert refused.status_code == 409
    assert len(api.state.service.served) == 0


@pytest.mark.parametrize("when", ["asked", "before", "after"])
async def test_no_words_of_an_erased_document_are_kept(when: str, tmp_path: Path) -> None:
    chat, store = WaitingChat(), Meddled()
    app = app_with(store, chat, tmp_path)
    async with serving(app) as client:
        key = await begun(client)
        asking = asyncio.create_task(say(client, key, QUESTION))
        await asyncio.to_thread(chat.asked.wait, 20)
        if when == "asked":
            erase_first(app)
        else:
            setattr(store, when, lambda: erase_first(app))
        chat.let_go.set()
        asked = await asking
        kept = (await client.get(f"/conversations/{key}")).json()
        given = await rated(client, asked)

    assert asked.status_code == 200
    assert [turn["content"] for turn in kept["turns"]] == [QUESTION, ERASED]
    assert NOTES[0] not in "".join(each.model_dump_json() for each in store.all())
    assert given.status_code == 404


async def test_an_index_that_is_published_meanwhile_takes_no_answer_away(tmp_path: Path) -> None:
    chat, store = WaitingChat(), Meddled()
    app = app_with(store, chat, tmp_path)
    async with serving(app) as client:
        key = await begun(client)
        asking = asyncio.create_task(say(client, key, QUESTION))
        await asyncio.to_thread(chat.asked.wait, 20)
        build = app.index.build(app.index.manifest())
        build.publish()
        build.release()
        chat.let_go.set()
        given = await rated(client, await asking)

    [conversation] = store.all()
    assert conversation.turns[1].text == NOTES[0]
    assert given.status_code == 201
