"""Vectors in this process, ranked by brute force: exact, and so the reference for the others.

For tests; 20,000 chunks take some milliseconds a query. Nothing survives the process.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import (
    DenseLeg,
    EmbeddedChunk,
    Hit,
    IndexEntry,
    IndexManifest,
    Leg,
    SparseLeg,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.revisions import askable
from llm_engineering.infrastructure.index_rules import (
    best,
    build_closed,
    check_legs,
    check_manifest,
    check_vectors,
    idf,
    index_empty,
    stored_sparse,
)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Version:
    """A published index; nothing in it changes any more."""

    name: str
    manifest: IndexManifest
    points: Mapping[str, EmbeddedChunk]

    @cached_property
    def dense(self) -> dict[str, tuple[list[str], Floats]]:
        """By vector name: chunk ids and their vectors of unit length, row by row."""
        return {name: self._matrix(name) for name in self.manifest.dense}

    def _matrix(self, name: str) -> tuple[list[str], Floats]:
        ids = [key for key, point in self.points.items() if name in point.dense]
        rows = np.array([self.points[key].dense[name] for key in ids], dtype=np.float32)
        return ids, _unit(rows.reshape(len(ids), self.manifest.dimension))

    @cached_property
    def postings(self) -> dict[str, tuple[int, dict[int, list[tuple[str, float]]]]]:
        """By vector name: how many chunks have it, and who holds each term with which weight."""
        return {name: self._postings(name) for name in self.manifest.sparse}

    def _postings(self, name: str) -> tuple[int, dict[int, list[tuple[str, float]]]]:
        terms: dict[int, list[tuple[str, float]]] = defaultdict(list)
        population = 0
        for key, point in self.points.items():
            if name in point.sparse:
                population += 1
                vector = point.sparse[name]
                for term, weight in zip(vector.indices, vector.values, strict=True):
                    terms[term].append((key, weight))
        return population, dict(terms)

    def rankable(self, where: DocumentFilter) -> set[str]:
        return {
            key
            for key, point in self.points.items()
            if point.entry.duplicate_of is None and where.matches(point.entry.chunk.document)
        }

    def rank(self, leg: Leg, *, rankable: set[str]) -> list[Hit]:
        match leg:
            case DenseLeg():
                ids, rows = self.dense[leg.name]
                cosines = rows @ _unit(np.asarray(leg.vector, dtype=np.float32))
                scores = dict(zip(ids, cosines.tolist(), strict=True))
            case SparseLeg():
                scores = self._bm25(leg)
        ranked = best(
            {key: score for key, score in scores.items() if key in rankable}, limit=leg.limit
        )
        return [Hit(self.points[key].entry.chunk, score) for key, score in ranked]

    def _bm25(self, leg: SparseLeg) -> dict[str, float]:
        population, terms = self.postings[leg.name]
        scores: dict[str, float] = defaultdict(float)
        for term, weight in zip(leg.vector.indices, leg.vector.values, strict=True):
            holders = terms.get(term, [])
            rarity = float(idf(population, np.array([len(holders)]))[0])
            for key, held in holders:
                scores[key] += weight * held * rarity
        return scores


@dataclass
class _Work:
    """What a build holds; outlives the handle that an interrupted run leaves behind."""

    manifest: IndexManifest
    base: str
    fresh: bool
    points: dict[str, EmbeddedChunk] = field(default_factory=dict)


@dataclass
class _Shelf:
    """What an index and its builds share."""

    published: _Version | None = None
    work: _Work | None = None
    open_build: "MemoryIndexBuild | None" = None
    lock: Lock = field(default_factory=Lock)


class MemoryVectorIndex:
    """A `VectorIndex` of dictionaries and NumPy matrices; `close` keeps what it holds."""

    def __init__(self) -> None:
        self._shelf = _Shelf()

    def manifest(self) -> IndexManifest:
        return self._current().manifest

    def version(self) -> str:
        published = self._shelf.published
        return published.name if published else ""

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        version = self._current()
        check_legs(version.manifest, legs)
        rankable = version.rankable(askable(where))
        return [version.rank(leg, rankable=rankable) for leg in legs]

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        published = self._shelf.published
        return len(published.rankable(askable(where))) if published else 0

    def build(self, manifest: IndexManifest, *, fresh: bool = False) -> "MemoryIndexBuild":
        """As the port says; a build of this index that is still open is taken over."""
        shelf = self._shelf
        with shelf.lock:
            published = shelf.published
            if published and not fresh:
                check_manifest(published.manifest, manifest)
            origin = (manifest, published.name if published else "", fresh)
            work = shelf.work
            continued = work is not None and (work.manifest, work.base, work.fresh) == origin
            if work is None or not continued:
                held = dict(published.points) if published and not fresh else {}
                work = shelf.work = _Work(*origin, held)
            shelf.open_build = MemoryIndexBuild(shelf, work, dirty=fresh or continued)
            return shelf.open_build

    def close(self) -> None:
        """Nothing is held open."""

    def _current(self) -> _Version:
        published = self._shelf.published
        if published is None:
            raise index_empty()
        return published


class MemoryIndexBuild:
    """An `IndexBuild` over a dictionary."""

    def __init__(self, shelf: _Shelf, work: _Work, *, dirty: bool) -> None:
        self._shelf = shelf
        self._work = work
        self._dirty = dirty
        self._version = ""

    def entries(self) -> Iterator[IndexEntry]:
        self._check_open()
        return iter([point.entry for point in self._work.points.values()])

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self._check_open()
        check_vectors(self._work.manifest, chunks)
        for chunk in chunks:
            self._dirty = True
            self._work.points[chunk.entry.chunk.id] = EmbeddedChunk(
                chunk.entry, dict(chunk.dense), stored_sparse(chunk.sparse)
            )

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        self._check_open()
        for entry in entries:
            old = self._work.points.get(entry.chunk.id)
            if old is not None:
                self._dirty = True
                self._work.points[entry.chunk.id] = EmbeddedChunk(entry, old.dense, old.sparse)

    def remove(self, chunk_ids: Sequence[str]) -> None:
        self._check_open()
        for key in chunk_ids:
            self._dirty |= self._work.points.pop(key, None) is not None

    def dirty(self) -> bool:
        return self._dirty

    def publish(self) -> str:
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        shelf = self._shelf
        with shelf.lock:
            number = int(shelf.published.name.removeprefix("gen-")) if shelf.published else 0
            self._version = f"gen-{number + 1}"
            shelf.published = _Version(self._version, self._work.manifest, dict(self._work.points))
            shelf.work = shelf.open_build = None
        return self._version

    def release(self) -> None:
        with self._shelf.lock:
            if self._shelf.open_build is self:
                self._shelf.open_build = None

    def discard(self) -> None:
        with self._shelf.lock:
            if self._shelf.open_build is self:
                self._shelf.open_build = self._shelf.work = None

    def _check_open(self) -> None:
        if self._shelf.open_build is not self:
            raise build_closed()


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(norms == 0, 1, norms), dtype=np.float32)
