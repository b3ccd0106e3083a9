"""How the next version of an embedded index is written: the version before, plus what changed.

For a shard without a write-ahead log that dies half written the engine promises nothing, so
a draft must only see a folder that nobody else has.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np
import qdrant_edge as engine
from numpy.typing import NDArray

from llm_engineering.domain.chunks import IndexEntry, IndexManifest
from llm_engineering.infrastructure.generations import copy_tree
from llm_engineering.infrastructure.qdrant_edge_shard import (
    MANIFEST,
    SHARD,
    STATISTICS,
    beside_gate,
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
_CHUNKS = 150
"""Put at a time: the engine keeps every other thread of the process waiting meanwhile."""
_TALLIED_AT = 20_000
"""Sentences whose terms are kept until they are counted."""
_SCANNED = 200_000
"""Sentences up to which the gate is compared with all of its vectors, in a byte for each number:
some 5 ms for 100,000. Beyond, it has a graph, which took 34 s of CPU for as many."""

_GRAPH, _NO_GRAPH = (
    engine.HnswIndexConfig(m=m, ef_construct=64, full_scan_threshold=20_000) for m in (16, 0)
)
"""The threshold is in KB of vectors: filters that leave less are answered exactly; through the
graph they lost up to 1 % of the best ten."""

_OPTIMIZERS = engine.EdgeOptimizersConfig(indexing_threshold=100_000)
"""In KB as well, of vectors in single precision: an index below some 65,000 sentences is written as
it comes. Comparing with all vectors as they are takes up to 5 ms, where rewriting takes seconds of
every run; larger ones would take too much memory unless they were rewritten."""

_CLEARING = engine.EdgeOptimizersConfig(
    indexing_threshold=100_000, deleted_threshold=1e-9, vacuum_min_vector_number=1
)
"""Otherwise the engine keeps what was deleted until it is a fifth of a segment."""

T = TypeVar("T")


class Draft:
    """A version that is being written into `folder`, which must be empty and nobody else's.

    After an error it is of no use any more; what it was to become has to be kept elsewhere.
    """

    def __init__(self, folder: Path, manifest: IndexManifest, *, base: Path | None) -> None:
        """Starts as the version `base` is; None: empty."""
        self.folder = folder
        self._manifest = manifest
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
        path = folder / SHARD
        if base is None:
            path.mkdir()
            self._shard = _created(path, manifest)
            statistics = dict.fromkeys(manifest.sparse, NO_TERMS)
        else:
            copy_tree(base / SHARD, path)
            self._shard = engine.EdgeShard.load(str(path), _config(manifest, graph=_NO_GRAPH))
            statistics = loaded((base / STATISTICS).read_bytes())
        self._windows = RowWriter(
            folder / WINDOWS,
            beside_gate(manifest),
            dimension=manifest.dimension,
            base=base and base / WINDOWS,
        )
        self._terms = {name: _Tally(before) for name, before in statistics.items()}

    def replay(self, changes: StagedChanges) -> None:
        """Make all changes that were staged by a build before."""
        changed = changes.changed()
        self.remove([key for key, change in changed.items() if change is not Change.RELABEL])
        for batch in changes.chunks(Change.PUT):
            self._add(batch)
        for batch in changes.chunks(Change.RELABEL):
            self.relabel([chunk.entry for chunk in batch])

    def put(self, chunks: Sequence[StagedChunk]) -> None:
        """Of each id one at most."""
        for batch in _batches(chunks, _CHUNKS):
            self.remove([chunk.entry.chunk.id for chunk in batch])
            self._add(batch)

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Ids that are not held are passed over."""
        self._windows.remove(UUID(key).bytes for key in chunk_ids)
        for batch in _batches(chunk_ids, _PAGE):
            held = held_chunks(self._shard, batch)
            ranked = [key for each in held.values() if each.ranked for key in each.sentence_ids()]
            self._recount(ranked, gained=False)
            doomed = [key for each in held.values() for key in each.sentence_ids()]
            if held:
                self._shard.update(engine.UpdateOperation.delete_points([*doomed, *held]))

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        """Of chunks that are held."""
        before = held_chunks(self._shard, [entry.chunk.id for entry in entries])
        for entry in entries:
            old = before[entry.chunk.id]
            new = HeldChunk(entry, old.sentences)
            self._overwrite([entry.chunk.id], chunk_payload(entry, sentences=new.sentences))
            if sentence_payload(old.entry) != sentence_payload(entry):
                self._overwrite(new.sentence_ids(), sentence_payload(entry))
            if old.ranked != new.ranked:
                self._recount(new.sentence_ids(), gained=new.ranked)

    def finish(self, *, forget: bool) -> None:
        """Leave the folder as readers will open it; nothing may follow.

        With `forget`, the segments that anything was deleted from are written anew without it.
        """
        self._windows.close()
        statistics = {name: tally.total() for name, tally in self._terms.items()}
        (self.folder / STATISTICS).write_bytes(dumped(statistics))
        graph = _GRAPH if len(self._windows) > _SCANNED else _NO_GRAPH
        if forget or graph is _GRAPH:
            self._shard.close()
            optimizers = _CLEARING if forget else _OPTIMIZERS
            config = _config(self._manifest, graph=graph, optimizers=optimizers)
            self._shard = engine.EdgeShard.load(str(self.folder / SHARD), config)
        self._shard.optimize()
        self._shard.flush()
        self._shard.close()
        # The first opening still lays out files: it must not happen under readers.
        engine.EdgeShard.load(str(self.folder / SHARD)).close()

    def abandon(self) -> None:
        """Let go of the folder and delete it."""
        self._windows.abandon()
        self._shard.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _add(self, chunks: Sequence[StagedChunk]) -> None:
        for chunk in chunks:
            self._windows.put(UUID(chunk.entry.chunk.id).bytes, chunk.dense)
            if chunk.entry.duplicate_of is None:
                for name, vectors in chunk.sparse.items():
                    self._terms[name].add([vector.indices for vector in vectors], gained=True)
        points = [point for chunk in chunks for point in _points(chunk, self._manifest.gate)]
        self._shard.update(engine.UpdateOperation.upsert_points(points))

    def _overwrite(self, ids: Sequence[str], payload: Mapping[str, object]) -> None:
        self._shard.update(engine.UpdateOperation.overwrite_payload([*ids], {**payload}))

    def _recount(self, ids: Sequence[str], *, gained: bool) -> None:
        """Count the terms of sentences in the shard."""
        for batch in _batches(ids, _PAGE):
            for record in self._shard.retrieve(
                [*batch], with_payload=False, with_vector=[*self._terms]
            ):
                vectors = record.vector
                assert isinstance(vectors, dict)
                for name, vector in vectors.items():
                    assert isinstance(vector, engine.SparseVector)
                    terms = np.array(vector.indices, dtype=np.uint32)
                    self._terms[name].add([terms], gained=gained)


class _Tally:
    """Term statistics on their way from one version to the next."""

    def __init__(self, before: TermStatistics) -> None:
        self._before = before
        self._open = {True: list[NDArray[np.uint32]](), False: list[NDArray[np.uint32]]()}
        self._counted = {True: NO_TERMS, False: NO_TERMS}

    def add(self, rows: Sequence[NDArray[np.uint32]], *, gained: bool) -> None:
        """The terms of sentences that came to be ranked, or that are no longer."""
        self._open[gained] += rows
        if len(self._open[gained]) > _TALLIED_AT:
            self._count(gained)

    def total(self) -> TermStatistics:
        self._count(True)
        self._count(False)
        return self._before.plus(self._counted[True]).minus(self._counted[False])

    def _count(self, gained: bool) -> None:
        self._counted[gained] = self._counted[gained].plus(TermStatistics.of(self._open[gained]))
        self._open[gained].clear()


def _created(path: Path, manifest: IndexManifest) -> engine.EdgeShard:
    shard = engine.EdgeShard.create(str(path), _config(manifest, graph=_NO_GRAPH))
    # Before any point: a graph that was built without them loses hits under a filter.
    schema = dict.fromkeys(KEYWORDS, engine.PayloadSchemaType.Keyword)
    schema[PUBLISHED_AT] = engine.PayloadSchemaType.Datetime
    for field, kind in schema.items():
        shard.update(engine.UpdateOperation.create_field_index(field, kind))
    return shard


def _config(
    manifest: IndexManifest,
    *,
    graph: engine.HnswIndexConfig,
    optimizers: engine.EdgeOptimizersConfig = _OPTIMIZERS,
) -> engine.EdgeConfig:
    gate = engine.EdgeVectorParams(
        size=manifest.dimension,
        distance=engine.Distance.Dot,
        datatype=engine.VectorStorageDatatype.Float16,
    )
    return engine.EdgeConfig(
        vectors={manifest.gate: gate},
        sparse_vectors={name: engine.EdgeSparseVectorParams() for name in manifest.sparse},
        # Otherwise the engine drops what the system has read of it, and every chunk that a question
        # finds is read from the disk: 4 to 13 ms for the fifty of one.
        payload_memory=engine.Memory.Cached,
        hnsw_config=graph,
        quantization_config=engine.ScalarQuantizationConfig(engine.ScalarType.Int8, quantile=1.0),
        optimizers=optimizers,
        wal_enabled=False,
    )


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
