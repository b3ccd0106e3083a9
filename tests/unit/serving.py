"""The API without a socket: an App over memory ports, and a client that calls it in process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event
from typing import Any

import httpx
from fastapi import FastAPI

from llm_engineering.api.app import create_app
from llm_engineering.application.embedding import Stretch, encoded, windowed
from llm_engineering.application.features import FeaturesConfig, manifest_of
from llm_engineering.application.keys import create_key
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.domain.access import Scope
from llm_engineering.domain.chat import ChatRequest, Citation, Completion
from llm_engineering.domain.chunks import Chunk, IndexEntry, chunk_id
from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document
from llm_engineering.infrastructure.memory_conversations import MemoryConversationStore
from llm_engineering.infrastructure.memory_keys import MemoryAuditLog, MemoryKeyStore
from llm_engineering.infrastructure.memory_samples import MemoryFeedbackStore
from llm_engineering.settings import ApiSettings, HashEmbedderSettings, MemorySettings, Settings
from tests.unit.chatting import WholeChat

NOTES = (
    "A backup is then one copy of the database file.",
    "Tests that cannot fail are defects.",
    "Long winters make for good reading.",
)
QUESTION = "backup copy database file"
"""All of its words are in the first note: the evidence is strong."""


class WaitingChat(WholeChat):
    """Says when it was asked, and answers when it is let go."""

    name = "waiting"
    generates = False  # so its citations are its own

    def __init__(self) -> None:
        self.asked = Event()
        self.let_go = Event()
        self.questions: list[str] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.questions.append(request.question)
        self.asked.set()
        if not self.let_go.wait(timeout=60):
            raise TimeoutError("nobody let the chat go")
        passage = request.passages[0]
        citation = Citation.of(
            passage.document,
            start=passage.start,
            end=passage.end,
            quote=passage.text,
            heading_path=passage.heading_path,
        )
        return Completion(text=passage.text, citations=(citation,))


class FailingChat(WholeChat):
    """Raises `error` whenever it is asked."""

    name = "failing"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def complete(self, request: ChatRequest) -> Completion:
        raise self._error


def memory_app(
    *,
    workers: int = 2,
    answers: int = 256,
    max_body_bytes: int = 256_000,
    api: dict[str, Any] | None = None,
    **ports: Any,
) -> App:
    """An App whose ports are all in memory; `ports` stand in for the ones of that name, `api` for
    settings of the API."""
    memory = MemorySettings(kind="memory")
    app = App(
        Settings(
            documents=memory,
            vectors=memory,
            embedder=HashEmbedderSettings(kind="hash"),
            api=ApiSettings(
                workers=workers, answers=answers, max_body_bytes=max_body_bytes, **(api or {})
            ),
        )
    )
    own = {
        "keys": MemoryKeyStore(),
        "audit": MemoryAuditLog(),
        "feedback": MemoryFeedbackStore(),
        "conversations": MemoryConversationStore(),
    }
    app.__dict__.update({**own, **ports})
    return app


def indexed_app(*, workers: int = 2, answers: int = 256, **ports: Any) -> App:
    """A `memory_app` whose index holds NOTES."""
    app = memory_app(workers=workers, answers=answers, **ports)
    publish(app, *NOTES)
    return app


def note(text: str, *, number: int) -> Document:
    return new_document(
        author=Author(name="Ada Lovelace"),
        url=f"https://ada.example/{number}",
        title=f"Note {number}",
        text=text,
        kind=DocumentKind.NOTE,
        source="files:notes",
        fetched_at=datetime(2024, 3, 9, tzinfo=UTC),
        published_at=datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=number),
        language="en",
    )


def publish(app: App, *texts: str, cut: tuple[int, ...] = ()) -> str:
    """Make an index of one chunk per text current; returns its version.

    Each is one sentence unless it is cut into several.
    """
    manifest = manifest_of(FeaturesConfig(), embedder=app.embedder, sparse=app.sparse)
    build = app.index.build(manifest, fresh=True)
    entries = [whole(note(text, number=number), cut=cut) for number, text in enumerate(texts)]
    batch = [Stretch((entry.chunk,), (entry,)) for entry in entries]
    read = encoded(batch, embedder=app.embedder, prefixed=False)
    build.put(windowed(read, sparse=app.sparse))
    return build.publish()


def whole(document: Document, *, cut: tuple[int, ...]) -> IndexEntry:
    """The document as one chunk, whose sentences end where it is cut."""
    spans = tuple(pairwise([0, *cut, len(document.text)]))
    chunk = Chunk(
        id=chunk_id(document.id, document.text),
        document=document.ref(),
        start=0,
        end=len(document.text),
        text=document.text,
        heading_path=(document.title,),
        sentences=spans,
        statements=spans,
    )
    return IndexEntry(chunk=chunk, content_hash=document.content_hash, signature="")


@asynccontextmanager
async def serving(
    app: App,
    *,
    config: AnswerConfig | None = None,
    api: FastAPI | None = None,
    address: str = "127.0.0.1",
    host: str = "127.0.0.1",
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over `app`, started and ended as a server would; it is at `address`, and
    calls the server `host`."""
    api = api or create_app(app, config=config or AnswerConfig())
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(api, client=(address, 123)), base_url=f"http://{host}"
        ) as client,
    ):
        yield client


def make_key(
    app: App, name: str = "laptop", *, scopes: tuple[str, ...] = ("ask",), **of: Any
) -> str:
    """A new key to the API over `app`."""
    given = {"now": datetime.now(UTC), **of}
    wanted = tuple(map(Scope, scopes))
    return create_key(name, scopes=wanted, store=app.keys, audit=app.audit, **given)[0]


def bearing(key: str) -> dict[str, str]:
    """Headers with the key."""
    return {"authorization": f"Bearer {key}"}


def problem(response: httpx.Response, *, status: int, kind: str | None = None) -> dict[str, Any]:
    """The body, checked to be a whole problem of this status and kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"] == (f"urn:llm-twin:problem:{kind}" if kind else "about:blank")
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    return body
