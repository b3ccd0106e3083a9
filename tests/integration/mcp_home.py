"""A twin's home on disk with a few notes, stored and indexed, for servers that are processes."""

import os
from pathlib import Path

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.documents import Document
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.unit.serving import NOTES, note, publish


def written_home(home: Path) -> tuple[Document, ...]:
    """Put NOTES into stores and index of `home`; gives them as they are stored."""
    documents = tuple(note(text, number=number) for number, text in enumerate(NOTES))
    settings = Settings(home=home, embedder=HashEmbedderSettings(kind="hash"))
    with open_app(settings) as app:
        app.documents.put(documents)
        publish(app, *NOTES)
    return documents


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Of a process that serves `home`, with an engine that says what it is told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
    return {
        **kept,
        "TWIN_HOME": str(home),
        "TWIN_EMBEDDER__KIND": "hash",
        "TWIN_CHAT__KIND": "scripted",
        **settings,
    }


GREETING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
"""The handshake that clients began with until 2026."""
JSON_OR_EVENTS = {"accept": "application/json, text/event-stream"}
