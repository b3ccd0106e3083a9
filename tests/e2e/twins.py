"""A twin of a few notes, served on a real socket."""

from datetime import UTC, datetime
from typing import Any

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.bootstrap import App
from llm_engineering.domain.chat import ChatRequest
from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.quotes_chat import QuotesChat
from llm_engineering.infrastructure.rich_progress import Silent
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.serving import memory_app

TEA = (
    "# Tea 🍵\n\n🍵🫖 I keep a kettle by the window. Green tea wants water of eighty degrees. "
    "Boiling water burns the leaves.\n\nI never sweeten it."
)
EVIL = (
    "<img src=x onerror='window.pwned=1'> **Cake** needs an oven that is hot before it goes in. "
    "<script>window.pwned=1</script>"
)
QUESTION = "How hot is the water for green tea?"
SPOKEN = (
    "Green tea wants water of eighty degrees [1].\n\n"
    "<img src=x onerror=window.pwned=1> ![x](https://evil.example/p.png) "
    "[click](javascript:window.pwned=1) **and** `code`.\n\n- one\n- two"
)


def note(text: str, *, title: str, number: int) -> Document:
    return new_document(
        author=Author(name="Ada Lovelace"),
        url=f"https://ada.example/{number}",
        title=title,
        text=text,
        kind=DocumentKind.NOTE,
        source="files:notes",
        fetched_at=datetime(2024, 3, 9, tzinfo=UTC),
        published_at=datetime(2024, 3, number, tzinfo=UTC),
        language="en",
    )


def speaking(_: ChatRequest) -> str:
    return SPOKEN


def twin_app(*, chat: Any = None, **ports: Any) -> App:
    """Quotes the notes, or lets `chat` speak; its documents are those of its index."""
    store = MemoryDocumentStore()
    notes = (
        note(TEA, title="Tea <b>time</b> 🍵", number=1),
        note(EVIL, title="<img src=x onerror='window.pwned=1'>", number=2),
    )
    store.put(notes)
    app = memory_app(documents=store, **ports)
    build_features(
        FeaturesConfig(chunk=ChunkRule(max_tokens=60, min_tokens=4)),
        store=store,
        index=app.index,
        embedder=app.embedder,
        sparse=app.sparse,
        progress=Silent(),
    )
    app.__dict__["chat"] = chat or QuotesChat(embedder=app.embedder, sparse=app.sparse)
    return app


def slow_chat() -> ScriptedChat:
    return ScriptedChat(script=speaking, tokens_per_s=5)
