"""Feedback is forgotten with everything that its prompt shows, also while it is given."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.chat import ChatRequest
from llm_engineering.domain.feedback import Feedback
from llm_engineering.infrastructure.memory_samples import MemoryFeedbackStore
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.api.test_conversations import begun, say
from tests.unit.api.test_keeping import erase_first
from tests.unit.serving import NOTES, WaitingChat, indexed_app, note, serving

pytestmark = pytest.mark.anyio
FIRST, SECOND = "backup copy database file", "tests cannot fail defects"
"""Each is about one note alone."""
ONE = AnswerConfig.model_validate(
    {"retrieval": {"candidates": 1, "dense_weight": 0}, "min_evidence": 0}
)


class Meddled(MemoryFeedbackStore):
    """Something happens just before feedback is kept in it."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = bool

    def put(self, feedback: Sequence[Feedback]) -> None:
        self.before()
        super().put(feedback)


def quoting(request: ChatRequest) -> str:
    return f"{request.passages[0].text} [1]"


@pytest.mark.parametrize("kept", [True, False])
async def test_feedback_names_what_earlier_answers_in_its_prompt_rest_on(
    kept: bool, tmp_path: Path
) -> None:
    app = indexed_app(chat=ScriptedChat(script=quoting), models=FolderModelRegistry(tmp_path))
    app.documents.put([note(text, number=number) for number, text in enumerate(NOTES)])
    async with serving(app, config=ONE) as client:
        path = "/v1/chat/completions"
        asking = {"role": "user", "content": FIRST}
        if kept:
            key = await begun(client)
            await say(client, key, FIRST)
            second = await say(client, key, SECOND)
        else:
            first = (await client.post(path, json={"messages": [asking]})).json()
            said = {"role": "assistant", "content": first["choices"][0]["message"]["content"]}
            messages = [asking, said, {"role": "user", "content": SECOND}]
            second = await client.post(path, json={"messages": messages})
        answer_id = second.json()["grounds"]["answer_id"]
        given = {"answer_id": answer_id, "liked": True}
        assert (await client.post("/feedback", json=given)).status_code == 201
        [feedback] = app.feedback.find()
        assert NOTES[0] in "".join(message.content for message in feedback.prompt)
        assert NOTES[0] not in second.text
        erase_first(app)
        again = await client.post("/feedback", json=given)

    assert list(app.feedback.find()) == []
    assert again.status_code == 404


async def test_a_document_erased_while_feedback_is_given_takes_it_along(
    chat: WaitingChat, tmp_path: Path
) -> None:
    store = Meddled()
    app = indexed_app(chat=chat, feedback=store, models=FolderModelRegistry(tmp_path))
    app.documents.put([note(text, number=number) for number, text in enumerate(NOTES)])
    async with serving(app) as client:
        asked = await client.post("/rag", json={"question": FIRST})
        store.before = lambda: erase_first(app)
        given = {"answer_id": asked.json()["answer_id"], "liked": True}
        response = await client.post("/feedback", json=given)

    assert response.status_code == 404
    assert list(store.find()) == []


async def test_a_conversation_deleted_while_feedback_is_given_takes_it_along(
    chat: WaitingChat,
) -> None:
    store = Meddled()
    app = indexed_app(chat=chat, feedback=store)
    async with serving(app) as client:
        key = await begun(client)
        asked = await say(client, key, FIRST)
        loop = asyncio.get_running_loop()

        def delete() -> None:
            sent = asyncio.run_coroutine_threadsafe(client.delete(f"/conversations/{key}"), loop)
            assert sent.result(20).status_code == 204

        store.before = delete
        given = {"answer_id": asked.json()["grounds"]["answer_id"], "liked": True}
        response = await client.post("/feedback", json=given)

    assert response.status_code == 404
    assert list(store.find()) == []
