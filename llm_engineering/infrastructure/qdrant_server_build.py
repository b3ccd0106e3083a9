"""The next version of an index on a Qdrant server: a collection of its own until it is published.

The version it starts from is copied by the first change, so a run that finds nothing to do only
reads entries. The server keeps what a call returned from.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

from qdrant_client import models

from llm_engineering.domain.chunks import EmbeddedChunk, IndexEntry
from llm_engineering.infrastructure.index_rules import (
    build_closed,
    check_vectors,
    last_of_each,
    stored_sparse,
)
from llm_engineering.infrastructure.qdrant_cards import Card
from llm_engineering.infrastructure.qdrant_collections import Collections
from llm_engineering.infrastructure.qdrant_points import entry_of, payload_of

_PAGE = 1_000
_BATCH = 100
"""Points in one request: a body may hold 32 MB."""
_SIGN_OF_LIFE_S = 60.0
_OPTIMISING_S = 600.0
"""How long publishing waits for the server to build its graph; unfinished is slow, not wrong."""

T = TypeVar("T")


class QdrantIndexBuild:
    """An `IndexBuild` for one thread at a time."""

    def __init__(self, collections: Collections, card: Card, *, dirty: bool) -> None:
        """`card` is of a claimed collection and names this process as its builder."""
        self._collections = collections
        self._card = card
        self._dirty = dirty
        self._open = True
        self._version = ""
        self._seen = time.monotonic()

    def entries(self) -> Iterator[IndexEntry]:
        self._check_open()
        name = self._card.name if self._card.copied else self._card.base
        for records in self._pages(name, limit=_PAGE, with_vectors=False):
            yield from (entry_of(record.payload or {}) for record in records)

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self._check_open()
        check_vectors(self._card.manifest, chunks)
        if chunks:
            self._begin_change()
            self._upsert([_point(chunk) for chunk in last_of_each(chunks)])

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        self._check_open()
        latest = {entry.chunk.id: entry for entry in entries}
        for batch in _batches(self._existing([*latest]), _BATCH):
            self._begin_change()
            operations = [
                models.OverwritePayloadOperation(
                    overwrite_payload=models.SetPayload(
                        payload=payload_of(latest[key]), points=[key]
                    )
                )
                for key in batch
            ]
            with self._collections.asking() as client:
                client.batch_update_points(self._card.name, operations, wait=True)

    def remove(self, chunk_ids: Sequence[str]) -> None:
        self._check_open()
        for batch in _batches(self._existing(chunk_ids), _PAGE):
            self._begin_change()
            with self._collections.asking() as client:
                client.delete(self._card.name, models.PointIdsList(points=[*batch]), wait=True)

    def dirty(self) -> bool:
        return self._dirty

    def publish(self) -> str:
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        self._copy_base()
        self._wait_until_optimised()
        self._collections.check_claim(self._card)
        self._collections.publish(self._card)
        self._open = False
        self._version = self._card.name
        return self._version

    def release(self) -> None:
        if self._end():
            self._collections.write(self._card.model_copy(update={"builder": None}))

    def discard(self) -> None:
        if self._end():
            self._collections.drop(self._card.name)

    def _end(self) -> bool:
        """Whether there is something to give back: not once it was published or taken over."""
        was_open, self._open = self._open, False
        return was_open and self._collections.holds(self._card)

    def _begin_change(self) -> None:
        self._copy_base()
        self._dirty = True
        now = time.monotonic()
        if now - self._seen > _SIGN_OF_LIFE_S:
            self._seen = now
            self._collections.check_claim(self._card)
            self._update_card(seen=time.time())

    def _copy_base(self) -> None:
        if self._card.copied:
            return
        for records in self._pages(self._card.base, limit=_BATCH, with_vectors=True):
            self._upsert(
                [
                    models.PointStruct(
                        id=record.id,
                        vector=cast("models.VectorStruct", record.vector or {}),
                        payload=record.payload,
                    )
                    for record in records
                ]
            )
        self._update_card(copied=True)

    def _update_card(self, *, copied: bool = True, seen: float | None = None) -> None:
        builder = self._card.builder
        if builder is not None and seen is not None:
            builder = builder.model_copy(update={"seen": seen})
        self._card = self._card.model_copy(update={"copied": copied, "builder": builder})
        self._collections.write(self._card)

    def _upsert(self, points: Sequence[models.PointStruct]) -> None:
        for batch in _batches(points, _BATCH):
            with self._collections.asking() as client:
                client.upsert(self._card.name, [*batch], wait=True)

    def _existing(self, chunk_ids: Sequence[str]) -> list[str]:
        name = self._card.name if self._card.copied else self._card.base
        found: list[str] = []
        for batch in _batches(chunk_ids, _PAGE):
            with self._collections.asking() as client:
                records = client.retrieve(name, [*batch], with_payload=False, with_vectors=False)
            found += [str(record.id) for record in records]
        return found

    def _pages(self, name: str, *, limit: int, with_vectors: bool) -> Iterator[list[models.Record]]:
        offset: models.ExtendedPointId | None = None
        while True:
            with self._collections.asking() as client:
                records, offset = client.scroll(
                    name, limit=limit, offset=offset, with_payload=True, with_vectors=with_vectors
                )
            yield records
            if offset is None:
                return

    def _wait_until_optimised(self) -> None:
        deadline = time.monotonic() + _OPTIMISING_S
        while time.monotonic() < deadline:
            with self._collections.asking() as client:
                status = client.get_collection(self._card.name).status
            if status is not models.CollectionStatus.YELLOW:
                return
            time.sleep(0.2)

    def _check_open(self) -> None:
        if not self._open:
            raise build_closed()


def _point(chunk: EmbeddedChunk) -> models.PointStruct:
    vectors: dict[str, models.Vector] = {
        name: [float(value) for value in vector] for name, vector in chunk.dense.items()
    }
    for name, sparse in stored_sparse(chunk.sparse).items():
        vectors[name] = models.SparseVector(indices=[*sparse.indices], values=[*sparse.values])
    return models.PointStruct(
        id=chunk.entry.chunk.id, vector=vectors, payload=payload_of(chunk.entry)
    )


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
