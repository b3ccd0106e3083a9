"""Erasing a document reaches everything that holds its words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_engineering.application.erasure import ERASED, erase_documents
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.serving import NOTES, QUESTION, WaitingChat, indexed_app, note, serving

NOW = datetime(2026, 1, 2, tzinfo=UTC)


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
        report = erase_documents(
            [documents[0].id],
            documents=app.documents,
            index=app.index,
            feedback=app.feedback,
            conversations=app.conversations,
            models=app.models,
            now=NOW,
        )
        shown = await client.get(f"/conversations/{key}")
        again = await client.post("/feedback", json=given)
        asked = await client.post("/rag", json=body)

    assert (report.documents, report.chunks, report.feedback, report.conversations) == (1, 1, 1, 1)
    assert list(app.feedback.find()) == []
    assert NOTES[0] not in shown.text
    assert shown.json()["turns"][1]["content"] == ERASED
    assert again.status_code == 404
    assert NOTES[0] not in asked.text
