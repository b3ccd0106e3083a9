"""One version of an embedded index: a shard of Qdrant's engine, and its manifest beside it.

A shard without a write-ahead log takes no lock, and opening it leaves its contents as they are,
so any number of processes may read one at a time. For a shard without a log that dies half
written the engine promises nothing: `write_version` must only see folders that nobody else has.

Sparse scores count the chunks removed since their segment was last rewritten, at most a fifth
of it, in their IDF.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_engineering.domain.chunks import (
    Chunk,
    DenseLeg,
    Hit,
    IndexEntry,
    IndexManifest,
    Leg,
    SparseLeg,
)
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable, MissingExtra, TwinError
from llm_engineering.infrastructure.generations import copy_tree
from llm_engineering.infrastructure.index_rules import REBUILD, best, check_legs
from llm_engineering.infrastructure.qdrant_points import (
    CHUNK,
    KEYWORDS,
    PUBLISHED_AT,
    SPARE,
    chunk_of,
    cuts_a_tie,
    entry_of,
    keyword_conditions,
    payload_of,
    published_range,
)
from llm_engineering.infrastructure.staged_changes import Change, StagedChanges, StagedPoint

try:
    import qdrant_edge as engine
except ImportError as error:
    raise MissingExtra("qdrant-edge-py", extra="edge") from error

_SHARD, _MANIFEST = "shard", "manifest.json"
_PAGE = 1_000
_HNSW = engine.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=20_000)
"""The threshold is in KB of vectors: filters that leave less, 13,000 of 384 dimensions, are
answered exactly, for up to 3 ms; through the graph they lost up to 1 % of the best ten."""

_OPTIMIZERS = engine.EdgeOptimizersConfig(indexing_threshold=20_000)
"""In KB as well: a smaller index gets no graph. Comparing with all of its vectors is exact and
takes a millisecond, where building the graph takes seconds of every run."""


@dataclass(frozen=True)
class EdgeVersion:
    """A published version, open. The engine closes it when the last reader lets go of it."""

    name: str
    manifest: IndexManifest
    shard: engine.EdgeShard

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter) -> list[list[Hit]]:
        check_legs(self.manifest, legs)
        ranked = self._ranked(legs, _condition(where))
        wanted = list(dict.fromkeys(key for ranking in ranked for key, _ in ranking))
        chunks = self._chunks(wanted)
        return [[Hit(chunks[key], score) for key, score in ranking] for ranking in ranked]

    def _ranked(
        self, legs: Sequence[Leg], condition: engine.Filter
    ) -> list[list[tuple[str, float]]]:
        ranked: list[list[tuple[str, float]]] = [[] for _ in legs]
        asked = [leg.limit + SPARE for leg in legs]
        pending = [n for n, leg in enumerate(legs) if _asks_something(leg)]
        while pending:
            requests = [
                engine.QueryRequest(limit=asked[n], query=_query(legs[n]), filter=condition)
                for n in pending
            ]
            answers = self.shard.query_batch(engine.QueryBatchRequest(requests))
            cut = []
            for n, points in zip(pending, answers, strict=True):
                limit = legs[n].limit
                ranked[n] = best({str(point.id): point.score for point in points}, limit=limit)
                if cuts_a_tie([point.score for point in points], asked=asked[n], limit=limit):
                    asked[n] *= 4
                    cut.append(n)
            pending = cut
        return ranked

    def _chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        records = self.shard.retrieve(list(ids), with_payload=[CHUNK], with_vector=False)
        return {str(record.id): chunk_of(record.payload or {}) for record in records}

    def count(self, where: DocumentFilter) -> int:
        return self.shard.count(engine.CountRequest(filter=_condition(where)))

    def entries(self) -> Iterator[IndexEntry]:
        offset: engine.PointId | None = None
        while True:
            records, offset = self.shard.scroll(
                engine.ScrollRequest(
                    offset=offset, limit=_PAGE, with_payload=True, with_vector=False
                )
            )
            yield from (entry_of(record.payload or {}) for record in records)
            if offset is None:
                return

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are points of it."""
        records = self.shard.retrieve(list(ids), with_payload=False, with_vector=False)
        return {str(record.id) for record in records}


def open_version(folder: Path) -> EdgeVersion:
    """Raises BackendUnavailable when `folder` is not a whole version."""
    with _explained(folder, fix=REBUILD):
        manifest = IndexManifest.model_validate_json((folder / _MANIFEST).read_bytes())
        shard = engine.EdgeShard.load(str(folder / _SHARD))
        return EdgeVersion(folder.name, manifest, shard)


def write_version(
    folder: Path, manifest: IndexManifest, changes: StagedChanges, *, base: Path | None
) -> None:
    """Write into `folder` what `base` (None: nothing) becomes by `changes`, ready to be read."""
    with _explained(folder, fix="check the free space, then run it again"):
        (folder / _MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
        path = folder / _SHARD
        if base is None:
            path.mkdir()
            shard = _created(path, manifest)
        else:
            copy_tree(base / _SHARD, path)
            shard = engine.EdgeShard.load(str(path))
        _apply(changes, shard)
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
                name: engine.EdgeVectorParams(
                    size=manifest.dimension, distance=engine.Distance.Cosine
                )
                for name in manifest.dense
            },
            sparse_vectors={
                name: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)
                for name in manifest.sparse
            },
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


def _apply(changes: StagedChanges, shard: engine.EdgeShard) -> None:
    removed = [key for key, change in changes.changed().items() if change is Change.REMOVE]
    if removed:
        shard.update(engine.UpdateOperation.delete_points([*removed]))
    for points in changes.points(Change.PUT):
        shard.update(engine.UpdateOperation.upsert_points([_point(point) for point in points]))
    for points in changes.points(Change.RELABEL):
        for entry in (point.entry for point in points):
            shard.update(
                engine.UpdateOperation.overwrite_payload([entry.chunk.id], payload_of(entry))
            )


def _point(point: StagedPoint) -> engine.Point:
    vectors: dict[str, engine.NamedVector] = {**point.dense}
    for name, sparse in point.sparse.items():
        vectors[name] = engine.SparseVector([*sparse.indices], [*sparse.values])
    return engine.Point(point.entry.chunk.id, vectors, payload_of(point.entry))


def _asks_something(leg: Leg) -> bool:
    return isinstance(leg, DenseLeg) or len(leg.vector.indices) > 0


def _query(leg: Leg) -> engine.Query:
    match leg:
        case DenseLeg():
            return engine.Query.Nearest([*leg.vector], using=leg.name)
        case SparseLeg():
            vector = engine.SparseVector([*leg.vector.indices], [*leg.vector.values])
            return engine.Query.Nearest(vector, using=leg.name)


def _condition(where: DocumentFilter) -> engine.Filter:
    must: list[engine.FieldCondition] = [
        engine.FieldCondition(key=field, match=engine.MatchAny(any=values))
        for field, values in keyword_conditions(where).items()
    ]
    if bounds := published_range(where):
        must.append(engine.FieldCondition(key=PUBLISHED_AT, range=engine.RangeDateTime(**bounds)))
    return engine.Filter(must=[*must])


@contextmanager
def _explained(folder: Path, *, fix: str) -> Iterator[None]:
    try:
        yield
    except TwinError:
        raise
    except Exception as error:  # the engine has no exceptions of its own
        reason = str(error).partition("\n")[0]
        raise BackendUnavailable(f"cannot use the index in {folder}: {reason}; {fix}") from error
