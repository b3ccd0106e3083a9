"""One version of an embedded index, open for reading.

    shard/             of Qdrant's engine: entries, terms, and the gate's vectors
    manifest.json
    windows/           rows of the dense windows beside the gate; see `window_rows`
    statistics.npz     what IDF is made of

A shard without a write-ahead log takes no lock, and opening it leaves its contents as they are,
so any number of processes may read one at a time.

Does not know: how a version is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np

from llm_engineering.domain.chunks import Chunk, IndexEntry, IndexManifest
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable, MissingExtra, TwinError
from llm_engineering.domain.vectors import DenseLeg, Floats, Hit, Leg, SparseLeg, SparseVector
from llm_engineering.infrastructure.index_rules import (
    MOST_VALUES,
    REBUILD,
    asked_vector,
    check_legs,
)
from llm_engineering.infrastructure.qdrant_points import (
    CHUNK,
    DUPLICATE,
    EFFORT,
    ENTRY,
    PUBLISHED_AT,
    RANKED,
    SENTENCES,
    SPARE,
    STATE,
    HeldChunk,
    Scored,
    cuts_a_tie,
    entry_of,
    hits_in_order,
    in_order,
    keyword_conditions,
    published_range,
)
from llm_engineering.infrastructure.term_statistics import TermStatistics, loaded
from llm_engineering.infrastructure.window_rows import WINDOWS, WindowRows, opened_rows
from llm_engineering.ports.stores import Facet

try:
    import qdrant_edge as engine
except ImportError as error:
    raise MissingExtra("qdrant-edge-py", extra="edge") from error

SHARD, MANIFEST, STATISTICS = "shard", "manifest.json", "statistics.npz"
_PAGE = 1_000
_GATE = engine.SearchParams(
    hnsw_ef=EFFORT,
    quantization=engine.QuantizationSearchParams(rescore=True, oversampling=1.5),
)
"""A large index keeps the gate's numbers as bytes beside the halves: they tell whom to score."""

Key = TypeVar("Key", bound=bytes | int)


@dataclass(frozen=True, slots=True)
class _Asked:
    query: engine.Query
    limit: int
    condition: engine.Filter
    params: engine.SearchParams | None = None

    def request(self, limit: int) -> engine.QueryRequest:
        return engine.QueryRequest(
            limit=limit, query=self.query, filter=self.condition, params=self.params
        )


@dataclass(frozen=True)
class EdgeVersion:
    """A published version, open. The engine closes it when the last reader lets go of it."""

    name: str
    manifest: IndexManifest
    statistics: dict[str, TermStatistics]
    """By sparse vector name."""
    windows: WindowRows
    shard: engine.EdgeShard
    duplicates: int
    """Sentences that have vectors and may not be ranked."""

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter) -> list[list[Hit]]:
        """The gate is asked first: what it finds is the whole world of the other dense legs."""
        check_legs(self.manifest, legs)
        condition = _condition(where, among_duplicates=self.duplicates > 0)
        gate = self.manifest.gate
        dense = {n: leg for n, leg in enumerate(legs) if isinstance(leg, DenseLeg)}
        vectors = {n: asked_vector(leg) for n, leg in dense.items()}
        depths: dict[bytes, int] = {}
        for n, leg in dense.items():
            key = vectors[n].tobytes()
            depth = leg.limit if leg.name == gate else leg.pool
            depths[key] = max(depth, depths.get(key, 0))
        asked: dict[bytes | int, _Asked] = {
            key: _Asked(_nearest(np.frombuffer(key, np.float32), gate), limit, condition, _GATE)
            for key, limit in depths.items()
        }
        for n, words in enumerate(legs):
            if isinstance(words, SparseLeg):
                weighed = self.statistics[words.name].weighed(words.vector)
                if len(weighed.indices):
                    query = engine.Query.Nearest(sparse_vector(weighed), using=words.name)
                    asked[n] = _Asked(query, words.limit, condition)
        ranked = self._ranked(asked)
        pools: dict[tuple[bytes, int], dict[str, list[Scored]]] = {}
        for n, leg in dense.items():
            key = vectors[n].tobytes()
            if leg.name == gate:
                ranked[n] = ranked[key][: leg.limit]
                continue
            if (key, leg.pool) not in pools:
                pools[key, leg.pool] = self._rescored(ranked[key][: leg.pool], vectors[n])
            ranked[n] = pools[key, leg.pool][leg.name][: leg.limit]
        return [hits_in_order(ranked.get(n, [])) for n in range(len(legs))]

    def _rescored(self, pool: "Sequence[Scored]", vector: Floats) -> "dict[str, list[Scored]]":
        """The pool by each window beside the gate, best first, ties by id.

        In double precision products of halves are exact, so that equal rows tie.
        """
        points = sorted(point for _, point in pool)
        scores = self.windows.of(points).astype(np.float64) @ vector.astype(np.float64)
        orders = np.argsort(-scores, axis=0, kind="stable")
        return {
            name: [(score, points[n]) for n, score in zip(order, column[order], strict=True)]
            for name, order, column in zip(
                self.windows.names, orders.T.tolist(), scores.T, strict=True
            )
        }

    def _ranked(self, asked: "Mapping[Key, _Asked]") -> "dict[bytes | int, list[Scored]]":
        """Points best first, ties by id; asks further where a tie is cut."""
        ranked: dict[bytes | int, list[Scored]] = {}
        pending = {key: each.limit + SPARE for key, each in asked.items()}
        while pending:
            requests = [asked[key].request(limit) for key, limit in pending.items()]
            answers = self.shard.query_batch(engine.QueryBatchRequest(requests))
            cut = {}
            for (key, number), points in zip(pending.items(), answers, strict=True):
                limit = asked[key].limit
                if cuts_a_tie([point.score for point in points], asked=number, limit=limit):
                    cut[key] = number * 4
                else:
                    ranked[key] = in_order([(p.score, _number(p.id)) for p in points], limit=limit)
            pending = cut
        return ranked

    def count(self, where: DocumentFilter) -> int:
        return self.shard.count(engine.CountRequest(filter=_condition(where)))

    def values(self, field: Facet) -> dict[str, int]:
        request = engine.FacetRequest(
            key=field, limit=MOST_VALUES, exact=True, filter=_in_state(RANKED)
        )
        return {str(hit.value): hit.count for hit in self.shard.facet(request).hits}

    def entries(self) -> Iterator[IndexEntry]:
        offset: engine.PointId | None = None
        while True:
            records, offset = self.shard.scroll(
                engine.ScrollRequest(
                    offset=offset,
                    limit=_PAGE,
                    filter=_in_state(CHUNK),
                    with_payload=[ENTRY],
                    with_vector=False,
                )
            )
            yield from (entry_of(record.payload or {}) for record in records)
            if offset is None:
                return

    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        return {key: held.entry.chunk for key, held in self.held(ids).items()}

    def held(self, ids: Sequence[str]) -> dict[str, HeldChunk]:
        """By chunk id, those of `ids` that it holds."""
        return held_chunks(self.shard, ids)


def held_chunks(shard: engine.EdgeShard, ids: Sequence[str]) -> dict[str, HeldChunk]:
    """By chunk id, those of `ids` that `shard` holds."""
    records = shard.retrieve(list(ids), with_payload=[ENTRY, SENTENCES], with_vector=False)
    return {str(record.id): HeldChunk.of(record.payload) for record in records if record.payload}


def open_version(folder: Path) -> EdgeVersion:
    """Raises BackendUnavailable when `folder` is not a whole version."""
    with explained(folder, fix=REBUILD):
        manifest = IndexManifest.model_validate_json((folder / MANIFEST).read_bytes())
        statistics = loaded((folder / STATISTICS).read_bytes())
        windows = opened_rows(folder / WINDOWS, beside_gate(manifest), dimension=manifest.dimension)
        shard = engine.EdgeShard.load(str(folder / SHARD))
        duplicates = shard.count(engine.CountRequest(filter=_in_state(DUPLICATE)))
        return EdgeVersion(folder.name, manifest, statistics, windows, shard, duplicates)


def beside_gate(manifest: IndexManifest) -> tuple[str, ...]:
    """The dense windows that the engine does not hold."""
    return tuple(name for name in manifest.dense if name != manifest.gate)


def sparse_vector(vector: SparseVector) -> engine.SparseVector:
    return engine.SparseVector(vector.indices.tolist(), vector.values.tolist())


def _number(point_id: "engine.PointId") -> int:
    assert isinstance(point_id, UUID)
    return point_id.int


def _nearest(vector: Floats, name: str) -> engine.Query:
    return engine.Query.Nearest(vector.tolist(), using=name)


def _in_state(state: str) -> engine.Filter:
    return engine.Filter(must=[engine.FieldCondition(key=STATE, match=engine.MatchValue(state))])


def _condition(where: DocumentFilter, *, among_duplicates: bool = True) -> engine.Filter:
    """`among_duplicates`: they have to be shut out, which costs every point a look at its state."""
    must: list[engine.FieldCondition] = [
        engine.FieldCondition(key=field, match=engine.MatchAny(any=values))
        for field, values in keyword_conditions(where).items()
        if among_duplicates or field != STATE
    ]
    if bounds := published_range(where):
        must.append(engine.FieldCondition(key=PUBLISHED_AT, range=engine.RangeDateTime(**bounds)))
    return engine.Filter(must=[*must])


@contextmanager
def explained(folder: Path, *, fix: str) -> Iterator[None]:
    """Raises BackendUnavailable for whatever goes wrong in `folder`."""
    try:
        yield
    except TwinError:
        raise
    except Exception as error:  # the engine has no exceptions of its own
        reason = str(error).partition("\n")[0]
        raise BackendUnavailable(f"cannot use the index in {folder}: {reason}; {fix}") from error
