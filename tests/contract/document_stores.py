"""Documents to put, and every document store to put them into."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.mongo import MongoDocumentStore
from llm_engineering.infrastructure.sqlite import SqliteDocumentStore
from llm_engineering.ports.stores import DocumentStore

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = datetime(2024, 6, 1, tzinfo=UTC)

Opener = Callable[[], DocumentStore]
"""Opens the same documents once more, as another process would."""


def note(name: str = "a", **fields: Any) -> Document:
    """A document at https://example.org/<name>."""
    author = Author(name=fields.pop("author", "Ada"))
    given: dict[str, Any] = {
        "title": f"Title of {name}",
        "text": f"# Text of {name}",
        "kind": DocumentKind.NOTE,
        "source": "files:notes",
        "fetched_at": NOW,
    }
    return new_document(author=author, url=f"https://example.org/{name}", **(given | fields))


def with_id(document: Document, key: str) -> Document:
    """`document` under an id that sorts where the test wants it."""
    return document.model_copy(update={"id": key})


def memory_store() -> Opener:
    store = MemoryDocumentStore()
    return lambda: store


@contextmanager
def sqlite_stores(folder: Path) -> Iterator[Opener]:
    opened: list[DocumentStore] = []

    def opener() -> DocumentStore:
        opened.append(SqliteDocumentStore(folder / "home" / "documents.db"))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@contextmanager
def mongo_stores(uri: str) -> Iterator[Opener]:
    """In a database of its own, dropped at the end."""
    database = f"twin_test_{secrets.token_hex(8)}"
    opened: list[DocumentStore] = []

    def opener() -> DocumentStore:
        opened.append(MongoDocumentStore(uri, database=database, timeout_s=10))
        return opened[-1]

    try:
        yield opener
    finally:
        for store in opened:
            store.close()
        with MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(database)


def real_mongo_uri() -> str | None:
    """Of the server that the environment offers to the tests."""
    return os.environ.get("TWIN_TEST_MONGO_URI")
