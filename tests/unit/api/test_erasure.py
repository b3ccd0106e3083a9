"""Erasing a document reaches everything that holds its words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_engineering.application.erasure import ERASED
from llm_engineering.domain.chat import (
    Answer,
    ChatRequest,
    CheckedSentence,
    Citation,
    Completion,
    Grounding,
    Verdict,
)
from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.domain.errors import Conflict, NotFound
from llm_engineering.infrastructure.memory_conversations import MemoryConversationStore
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.app_steps import erase
from tests.unit.serving import NOTES, QUESTION, WaitingChat, indexed_app, note, serving

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def quoting(key: str) -> Conversation:
    """Quotes a document in the check of a sentence, without a mark."""
    source = Citation(
        document_id="gone", title="", url="", author="", start=0, end=9, quote="my secret"
    )
    said = CheckedSentence(start=0, end=9, verdict=Verdict.SAID, source=source)
    answer = Answer(
        question="?",
        text="my secret",
        abstained=False,
        citations=(),
        passages=(),
        evidence=1,
        model="m",
        grounding=Grounding(sentences=(said,)),
    )
    turn = ConversationTurn(role="assistant", text="my secret", at=NOW, answer=answer)
    return Conversation(id=key, owner="", created_at=NOW, updated_at=NOW, turns=(turn,))


class Busy(MemoryConversationStore):
    """Its readers go on, or leave, just before what they have is changed."""

    def __init__(self) -> None:
        super().__init__()
        self.before = {"goes on": 2, "leaves": 1}

    def replace(self, conversation: Conversation, *, seen: Conversation) -> None:
        if self.before.get(seen.id, 0) > 0:
            self.before[seen.id] -= 1
            raise (Conflict if seen.id == "goes on" else NotFound)("meanwhile")
        super().replace(conversation, seen=seen)


def test_readers_who_are_active_keep_nothing_of_what_is_erased(tmp_path: Path) -> None:
    store = Busy()
    for key in ("goes on", "leaves", "rests"):
        store.add(quoting(key))
    store.before["leaves"] = 1
    app = indexed_app(models=FolderModelRegistry(tmp_path), conversations=store)
    erase(app, "gone")

    left = {each.id for each in store.all() if "secret" in each.model_dump_json()}
    assert left == set()


def test_an_erasure_that_was_cut_off_before_it_published_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    app = indexed_app(models=FolderModelRegistry(tmp_path))
    first = note(NOTES[0], number=0)
    app.documents.put([first])
    build = app.index.build(app.index.manifest())
    build.remove([each.chunk.id for each in build.entries() if each.chunk.document.id == first.id])
    build.release()
    assert app.index.count() == len(NOTES)
    erase(app, first.id)

    assert app.index.count() == len(NOTES) - 1


@pytest.mark.anyio
async def test_an_erased_document_is_gone_everywhere(tmp_path: Path) -> None:
    chat = WaitingChat()
    chat.let_go.set()
    app = indexed_app(chat=chat, models=FolderModelRegistry(tmp_path))
    documents = [note(text, number=number) for number, text in enumerate(NOTES)]
    app.documents.put(documents)
    async with serving(app) as client:
        key = (await client.post("/conversations", json={})).json()["id"]
        body = {"question": QUESTION, "conversation": key}
        answer_id = (await client.post("/rag", json=body)).json()["answer_id"]
        given = {"answer_id": answer_id, "liked": True}
        assert (await client.post("/feedback", json=given)).status_code == 201
        report = erase(app, documents[0].id)
        shown = await client.get(f"/conversations/{key}")
        again = await client.post("/feedback", json=given)
        asked = await client.post("/rag", json=body)

    assert (report.documents, report.chunks, report.feedback, report.conversations) == (1, 1, 1, 1)
    assert list(app.feedback.find()) == []
    assert NOTES[0] not in shown.text
    assert shown.json()["turns"][1]["content"] == ERASED
    assert again.status_code == 404
    assert NOTES[0] not in asked.text


class TellingChat(WaitingChat):
    """Says what it has read in other words, and where from to nobody."""

    generates = True

    def complete(self, request: ChatRequest) -> Completion:
        return Completion(text="Copying that thing suffices, so they told me.")


@pytest.mark.anyio
async def test_a_paraphrase_goes_with_the_document_that_it_was_made_from(tmp_path: Path) -> None:
    app = indexed_app(chat=TellingChat(), models=FolderModelRegistry(tmp_path))
    documents = [note(text, number=number) for number, text in enumerate(NOTES)]
    app.documents.put(documents)
    async with serving(app) as client:
        key = (await client.post("/conversations", json={})).json()["id"]
        body = {"question": QUESTION, "conversation": key}
        answered = (await client.post("/rag", json=body)).json()
        again = {"question": "Say that once more in French, please.", "conversation": key}
        await client.post("/rag", json=again)
        erase(app, documents[0].id)
        shown = (await client.get(f"/conversations/{key}")).json()

    assert "suffices" in answered["answer"]
    assert answered["citations"] == []
    assert [turn["content"] for turn in shown["turns"][1::2]] == [ERASED, ERASED]
