"""The next version of an index on a Qdrant server: a collection of its own until it is published.

The version it starts from is copied by the first change, so a run that finds nothing to do only
reads entries. The server keeps what a call returned from.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from llm_engineering.domain.chunks import IndexEntry, SentenceId
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.infrastructure.index_rules import (
    build_closed,
    check_vectors,
    last_of_each,
)
from llm_engineering.infrastructure.qdrant_cards import Card
from llm_engineering.infrastructure.qdrant_collections import Collections
from llm_engineering.infrastructure.qdrant_points import (
    CHUNK,
    DUPLICATE,
    ENTRY,
    RANKED,
    SENTENCES,
    STATE,
    HeldChunk,
    entry_of,
)
from llm_engineering.infrastructure.qdrant_server_points import (
    chunk_point,
    count_terms,
    relabelling,
    sentence_points,
)
from llm_engineering.infrastructure.qdrant_statistics import ServedVersion
from llm_engineering.infrastructure.term_statistics import TermStatistics

_PAGE = 1_000
_BATCH = 250
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
        for records in self._pages(self._holder(), [CHUNK], payload=[ENTRY]):
            yield from (entry_of(record.payload or {}) for record in records)

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self._check_open()
        check_vectors(self._card.manifest, chunks)
        if not chunks:
            return
        latest = last_of_each(chunks)
        self._begin_change()
        self._delete(self._held([chunk.entry.chunk.id for chunk in latest]))
        self._upsert([point for chunk in latest for point in sentence_points(chunk)])
        self._upsert([chunk_point(chunk) for chunk in latest])

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        self._check_open()
        latest = {entry.chunk.id: entry for entry in entries}
        held = self._held([*latest])
        for batch in _batches([*held], _BATCH):
            self._begin_change()
            operations = [
                operation
                for key in batch
                for operation in relabelling(held[key], HeldChunk(latest[key], held[key].sentences))
            ]
            with self._collections.asking() as client:
                client.batch_update_points(self._card.name, operations, wait=True)

    def remove(self, chunk_ids: Sequence[str]) -> None:
        self._check_open()
        held = self._held(chunk_ids)
        if held:
            self._begin_change()
            self._delete(held)

    def _delete(self, held: Mapping[str, HeldChunk]) -> None:
        """Chunks first: a chunk that is there has all of its sentences, whenever we are killed.

        Publishing sweeps away sentences without a chunk.
        """
        doomed = [*held, *(key for each in held.values() for key in each.sentence_ids())]
        self._delete_points(doomed)

    def _delete_points(self, ids: Sequence[str]) -> None:
        for batch in _batches(ids, _PAGE):
            with self._collections.asking() as client:
                client.delete(self._card.name, models.PointIdsList(points=[*batch]), wait=True)

    def dirty(self) -> bool:
        return self._dirty

    def publish(self, *, forget: bool = False) -> str:
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        self._copy_base()
        self._collections.check_claim(self._card)
        self._upsert([self._counted().point()])
        self._wait_until_optimised()
        self._collections.check_claim(self._card)
        self._collections.publish(self._card, forget=forget)
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
        states = [CHUNK, RANKED, DUPLICATE]
        for records in self._pages(self._card.base, states, limit=_BATCH, vectors=True):
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

    def _counted(self) -> ServedVersion:
        """What readers have to know of the collection; sentences without a chunk are deleted."""
        held = {
            str(record.id): (record.payload or {})[SENTENCES]
            for records in self._pages(self._card.name, [CHUNK], payload=[SENTENCES])
            for record in records
        }
        manifest = self._card.manifest
        rows = {name: list[NDArray[np.uint32]]() for name in manifest.sparse}
        stray: list[str] = []
        for records in self._pages(
            self._card.name, [RANKED, DUPLICATE], payload=[STATE], vectors=[*manifest.sparse]
        ):
            for record in records:
                sentence = SentenceId.of(str(record.id))
                if sentence.number >= held.get(sentence.chunk, 0):
                    stray.append(str(record.id))
                elif (record.payload or {})[STATE] == RANKED:
                    count_terms(record, rows)
        self._delete_points(stray)
        return ServedVersion(
            build=self._card.builder.token if self._card.builder else "",
            manifest=manifest,
            statistics={name: TermStatistics.of(each) for name, each in rows.items()},
        )

    def _holder(self) -> str:
        """The collection that holds what the build does."""
        return self._card.name if self._card.copied else self._card.base

    def _held(self, chunk_ids: Sequence[str]) -> dict[str, HeldChunk]:
        """By chunk id, those of `chunk_ids` that the build holds."""
        held: dict[str, HeldChunk] = {}
        for batch in _batches(chunk_ids, _PAGE):
            with self._collections.asking() as client:
                records = client.retrieve(
                    self._holder(),
                    [*batch],
                    with_payload=[ENTRY, SENTENCES],
                    with_vectors=False,
                )
            held |= {str(each.id): HeldChunk.of(each.payload) for each in records if each.payload}
        return held

    def _pages(
        self,
        name: str,
        states: list[str],
        *,
        limit: int = _PAGE,
        payload: bool | list[str] = True,
        vectors: bool | list[str] = False,
    ) -> Iterator[list[models.Record]]:
        """Every point in one of `states`."""
        condition = models.FieldCondition(key=STATE, match=models.MatchAny(any=states))
        offset: models.ExtendedPointId | None = None
        while True:
            with self._collections.asking() as client:
                records, offset = client.scroll(
                    name,
                    models.Filter(must=[condition]),
                    limit=limit,
                    offset=offset,
                    with_payload=payload,
                    with_vectors=vectors,
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


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
