"""Every vector index that the contract tests go through."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex
from llm_engineering.infrastructure.qdrant_server import QdrantVectorIndex
from llm_engineering.ports.stores import VectorIndex

Opener = Callable[[], VectorIndex]
"""Opens the same index once more, as another process would."""


def memory_index() -> Opener:
    first = MemoryVectorIndex()

    def opener() -> VectorIndex:
        index = MemoryVectorIndex()
        index._shelf = first._shelf
        return index

    return opener


@contextmanager
def edge_indexes(folder: Path) -> Iterator[Opener]:
    opened: list[VectorIndex] = []

    def opener() -> VectorIndex:
        opened.append(EdgeVectorIndex(folder / "home" / "index"))
        return opened[-1]

    yield opener
    for index in opened:
        index.close()


@contextmanager
def qdrant_in_memory() -> Iterator[Opener]:
    """Indexes that share one engine in this process, as others share a server."""
    first = QdrantVectorIndex(":memory:", api_key=None, collection="twin", timeout_s=5)

    def opener() -> VectorIndex:
        index = QdrantVectorIndex(":memory:", api_key=None, collection="twin", timeout_s=5)
        index._collections.close()
        index._collections = first._collections
        return index

    yield opener
    first.close()


@contextmanager
def qdrant_indexes(url: str) -> Iterator[Opener]:
    """Under a name of their own, dropped at the end."""
    name = f"twin_test_{secrets.token_hex(8)}"
    opened: list[QdrantVectorIndex] = []

    def opener() -> QdrantVectorIndex:
        index = QdrantVectorIndex(url, api_key=None, collection=name, timeout_s=30)
        opened.append(index)
        return index

    try:
        yield opener
    finally:
        with opener()._collections.asking() as client:
            for each in client.get_collections().collections:
                if each.name.startswith(f"{name}-"):
                    client.delete_collection(each.name)
        for index in opened:
            index._collections.close()


def real_qdrant_url() -> str | None:
    return os.environ.get("TWIN_TEST_QDRANT_URL")
