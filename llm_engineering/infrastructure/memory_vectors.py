"""Vectors in this process, ranked by brute force: exact, and so the reference for the others.

For tests; 20,000 sentences take some milliseconds a query. Nothing survives the process.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import Chunk, IndexEntry, IndexManifest
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.revisions import askable
from llm_engineering.domain.vectors import EmbeddedChunk, Held, Hit, Leg
from llm_engineering.infrastructure.index_rules import (
    MOST_VALUES,
    build_closed,
    check_legs,
    check_manifest,
    check_name,
    check_vectors,
    halved,
    index_empty,
)
from llm_engineering.infrastructure.memory_ranking import SentenceMatrix
from llm_engineering.infrastructure.term_statistics import TermStatistics
from llm_engineering.ports.stores import Facet


@dataclass(frozen=True)
class _Version:
    """A published index; nothing in it changes any more."""

    name: str
    manifest: IndexManifest
    points: Mapping[str, EmbeddedChunk]
    matrix: SentenceMatrix


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
        rankable = version.matrix.matching(askable(where))
        return [version.matrix.rank(leg, rankable=rankable) for leg in legs]

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        points = self._current().points
        return {key: points[key].entry.chunk for key in chunk_ids if key in points}

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        condition = askable(where)
        published = self._shelf.published
        return int(published.matrix.matching(condition).sum()) if published else 0

    def values(self, field: Facet) -> dict[str, int]:
        published = self._shelf.published
        found = Counter[str]()
        if published:
            matrix = published.matrix
            for point, size in zip(matrix.points, matrix.sizes.tolist(), strict=True):
                held = getattr(point.entry.chunk.document, field)
                for value in {held} if isinstance(held, str) else set(held or ()):
                    found[str(value)] += size
        return dict(found.most_common(MOST_VALUES))

    def held(self, name: str, terms: NDArray[np.uint32]) -> Held:
        statistics = self.statistics()
        check_name(name, tuple(statistics), subject="the query")
        return statistics[name].held(terms)

    def statistics(self) -> dict[str, TermStatistics]:
        """Of the published version, by sparse vector name."""
        return self._current().matrix.statistics

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

    def interrupted(self) -> "MemoryIndexBuild | None":
        work, version = self._shelf.work, self.version()
        if work is None or work.base != version:
            self._shelf.work = self._shelf.open_build = None
            return None
        return self.build(work.manifest, fresh=work.fresh)

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
                chunk.entry,
                {name: halved(rows) for name, rows in chunk.dense.items()},
                {name: tuple(vectors) for name, vectors in chunk.sparse.items()},
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

    def publish(self, *, forget: bool = False) -> str:  # noqa: ARG002  nothing is on a disk
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        shelf, work = self._shelf, self._work
        with shelf.lock:
            number = int(shelf.published.name.removeprefix("gen-")) if shelf.published else 0
            self._version = f"gen-{number + 1}"
            points = dict(work.points)
            matrix = SentenceMatrix(work.manifest, points.values())
            shelf.published = _Version(self._version, work.manifest, points, matrix)
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
