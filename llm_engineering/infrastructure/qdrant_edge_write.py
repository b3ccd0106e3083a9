"""How the next version of an embedded index is written: the version before, plus what changed.

For a shard without a write-ahead log that dies half written the engine promises nothing, so
`write_version` must only see folders that nobody else has.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np
import qdrant_edge as engine
from numpy.typing import NDArray

from llm_engineering.domain.chunks import IndexManifest
from llm_engineering.infrastructure.generations import copy_tree
from llm_engineering.infrastructure.qdrant_edge_shard import (
    MANIFEST,
    SHARD,
    STATISTICS,
    beside_gate,
    explained,
    held_chunks,
    sparse_vector,
)
from llm_engineering.infrastructure.qdrant_points import (
    KEYWORDS,
    PUBLISHED_AT,
    HeldChunk,
    chunk_payload,
    sentence_ids,
    sentence_payload,
)
from llm_engineering.infrastructure.staged_changes import Change, StagedChanges, StagedChunk
from llm_engineering.infrastructure.term_statistics import (
    NO_TERMS,
    TermStatistics,
    dumped,
    loaded,
)
from llm_engineering.infrastructure.window_rows import WINDOWS, RowWriter

_PAGE = 1_000
_HNSW = engine.HnswIndexConfig(m=16, ef_construct=64, full_scan_threshold=20_000)
"""The threshold is in KB of vectors: filters that leave less are answered exactly; through the
graph they lost up to 1 % of the best ten."""

_OPTIMIZERS = engine.EdgeOptimizersConfig(indexing_threshold=300_000)
"""In KB as well, of vectors in single precision: an index below some 65,000 sentences is written as
it comes and gets no graph. Comparing with all vectors of the gate is exact and takes up to 5 ms,
where rewriting takes seconds of every run."""

T = TypeVar("T")


def write_version(
    folder: Path, manifest: IndexManifest, changes: StagedChanges, *, base: Path | None
) -> None:
    """Write into `folder` what `base` (None: nothing) becomes by `changes`, ready to be read."""
    with explained(folder, fix="check the free space, then run it again"):
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
        path = folder / SHARD
        if base is None:
            path.mkdir()
            shard = _created(path, manifest)
            statistics = dict.fromkeys(manifest.sparse, NO_TERMS)
        else:
            copy_tree(base / SHARD, path)
            shard = engine.EdgeShard.load(str(path))
            statistics = loaded((base / STATISTICS).read_bytes())
        windows = RowWriter(
            folder / WINDOWS,
            beside_gate(manifest),
            dimension=manifest.dimension,
            base=base and base / WINDOWS,
        )
        statistics = _Writer(shard, windows, manifest).apply(changes, statistics)
        windows.close()
        (folder / STATISTICS).write_bytes(dumped(statistics))
        shard.optimize()
        shard.flush()
        shard.close()
        # The first opening still lays out files: it must not happen under readers.
        engine.EdgeShard.load(str(path)).close()


def _created(path: Path, manifest: IndexManifest) -> engine.EdgeShard:
    shard = engine.EdgeShard.create(
        str(path),
        engine.EdgeConfig(
            vectors={
                manifest.gate: engine.EdgeVectorParams(
                    size=manifest.dimension,
                    distance=engine.Distance.Dot,
                    datatype=engine.VectorStorageDatatype.Float16,
                )
            },
            sparse_vectors={name: engine.EdgeSparseVectorParams() for name in manifest.sparse},
            hnsw_config=_HNSW,
            optimizers=_OPTIMIZERS,
            wal_enabled=False,
        ),
    )
    # Before any point: a graph that was built without them loses hits under a filter.
    schema = dict.fromkeys(KEYWORDS, engine.PayloadSchemaType.Keyword)
    schema[PUBLISHED_AT] = engine.PayloadSchemaType.Datetime
    for field, kind in schema.items():
        shard.update(engine.UpdateOperation.create_field_index(field, kind))
    return shard


class _Writer:
    """Applies changes to a shard, and counts the terms that rankable sentences lose and gain."""

    def __init__(
        self, shard: engine.EdgeShard, windows: RowWriter, manifest: IndexManifest
    ) -> None:
        self._shard = shard
        self._windows = windows
        self._gate = manifest.gate
        self._lost = {name: list[NDArray[np.uint32]]() for name in manifest.sparse}
        self._gained = {name: list[NDArray[np.uint32]]() for name in manifest.sparse}

    def apply(
        self, changes: StagedChanges, statistics: Mapping[str, TermStatistics]
    ) -> dict[str, TermStatistics]:
        """Returns what `statistics` became."""
        changed = changes.changed()
        self._delete([key for key, change in changed.items() if change is not Change.RELABEL])
        for batch in changes.chunks(Change.PUT):
            self._put(batch)
        for batch in changes.chunks(Change.RELABEL):
            self._relabel(batch)
        return {
            name: before.plus(TermStatistics.of(self._gained[name])).minus(
                TermStatistics.of(self._lost[name])
            )
            for name, before in statistics.items()
        }

    def _delete(self, chunk_ids: Sequence[str]) -> None:
        self._windows.remove(UUID(key).bytes for key in chunk_ids)
        for batch in _batches(chunk_ids, _PAGE):
            held = held_chunks(self._shard, batch)
            ranked = [key for each in held.values() if each.ranked for key in each.sentence_ids()]
            self._recount(ranked, self._lost)
            doomed = [key for each in held.values() for key in each.sentence_ids()]
            if held:
                self._shard.update(engine.UpdateOperation.delete_points([*doomed, *held]))

    def _put(self, chunks: Sequence[StagedChunk]) -> None:
        for chunk in chunks:
            if chunk.entry.duplicate_of is None:
                for name, vectors in chunk.sparse.items():
                    self._gained[name] += [vector.indices for vector in vectors]
            self._windows.put(UUID(chunk.entry.chunk.id).bytes, chunk.dense)
        points = [point for chunk in chunks for point in _points(chunk, self._gate)]
        self._shard.update(engine.UpdateOperation.upsert_points(points))

    def _relabel(self, chunks: Sequence[StagedChunk]) -> None:
        before = held_chunks(self._shard, [chunk.entry.chunk.id for chunk in chunks])
        for chunk in chunks:
            old = before[chunk.entry.chunk.id]
            new = HeldChunk(chunk.entry, old.sentences)
            self._overwrite(
                [chunk.entry.chunk.id], chunk_payload(new.entry, sentences=new.sentences)
            )
            if sentence_payload(old.entry) != sentence_payload(new.entry):
                self._overwrite(new.sentence_ids(), sentence_payload(new.entry))
            if old.ranked != new.ranked:
                self._recount(new.sentence_ids(), self._gained if new.ranked else self._lost)

    def _overwrite(self, ids: Sequence[str], payload: Mapping[str, object]) -> None:
        self._shard.update(engine.UpdateOperation.overwrite_payload([*ids], {**payload}))

    def _recount(self, ids: Sequence[str], counted: Mapping[str, list[NDArray[np.uint32]]]) -> None:
        """Add the terms of sentences in the shard to `counted`."""
        for batch in _batches(ids, _PAGE):
            for record in self._shard.retrieve(
                [*batch], with_payload=False, with_vector=[*counted]
            ):
                vectors = record.vector
                assert isinstance(vectors, dict)
                for name, vector in vectors.items():
                    assert isinstance(vector, engine.SparseVector)
                    counted[name].append(np.array(vector.indices, dtype=np.uint32))


def _points(chunk: StagedChunk, gate: str) -> Iterator[engine.Point]:
    count = chunk.sentences
    key = chunk.entry.chunk.id
    yield engine.Point(key, {}, chunk_payload(chunk.entry, sentences=count))
    payload = sentence_payload(chunk.entry)
    rows = chunk.dense[gate].tolist() if count else []
    for number, point_id in enumerate(sentence_ids(key, count)):
        vectors: dict[str, engine.NamedVector] = {gate: rows[number]}
        for name, sparse in chunk.sparse.items():
            if len(sparse[number].indices):
                vectors[name] = sparse_vector(sparse[number])
        yield engine.Point(point_id, vectors, payload)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
