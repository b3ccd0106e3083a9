"""Vectors in a folder, ranked by Qdrant's own engine inside this process.

    folder/gen-7/           a version: a shard, its manifest and its term statistics
    folder/CURRENT          names the version that answers
    folder/building/        changes on their way into the next version

See `generations` for how versions replace each other.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import Chunk, IndexManifest
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.revisions import askable
from llm_engineering.domain.vectors import Held, Hit, Leg
from llm_engineering.infrastructure.generations import Generations, Stamp, writing
from llm_engineering.infrastructure.index_rules import check_manifest, check_name, index_empty
from llm_engineering.infrastructure.qdrant_edge_build import CHANGES, EdgeIndexBuild
from llm_engineering.infrastructure.qdrant_edge_shard import EdgeVersion, open_version
from llm_engineering.infrastructure.staged_changes import origin_of
from llm_engineering.infrastructure.term_statistics import TermStatistics
from llm_engineering.ports.stores import Facet


class EdgeVectorIndex:
    """A `VectorIndex` in `folder`, which is made by the first build."""

    def __init__(self, folder: Path) -> None:
        self._generations = Generations(folder)
        self._opening = Lock()
        self._held: tuple[Stamp, EdgeVersion] | None = None
        self._build: EdgeIndexBuild | None = None

    def manifest(self) -> IndexManifest:
        return self._current().manifest

    def version(self) -> str:
        return self._generations.current()

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        return self._current().search(legs, where=askable(where))

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        return self._current().chunks(chunk_ids)

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        if not self.version():
            return 0
        return self._current().count(askable(where))

    def values(self, field: Facet) -> dict[str, int]:
        return self._current().values(field) if self.version() else {}

    def held(self, name: str, terms: NDArray[np.uint32]) -> Held:
        statistics = self.statistics()
        check_name(name, tuple(statistics), subject="the query")
        return statistics[name].held(terms)

    def statistics(self) -> dict[str, TermStatistics]:
        """Of the published version, by sparse vector name."""
        return self._current().statistics

    def build(self, manifest: IndexManifest, *, fresh: bool = False) -> EdgeIndexBuild:
        """As the port says; a build of this index that is still open is taken over."""
        self._release_build()
        lock = self._generations.lock()
        try:
            base = None if fresh or not self.version() else self._current()
            if base is not None:
                check_manifest(base.manifest, manifest)
            self._build = EdgeIndexBuild(self._generations, lock, manifest, base=base, fresh=fresh)
        except BaseException:
            lock.close()
            raise
        return self._build

    def interrupted(self) -> EdgeIndexBuild | None:
        """As the port says; drafts and half deleted folders go as well."""
        self._release_build()
        generations = self._generations
        if not generations.folder.exists():
            return None
        with generations.lock(), writing(generations.folder):
            generations.sweep()
            origin = origin_of(generations.building / CHANGES)
            if origin is None or origin.base != self.version():
                generations.delete(generations.building)
                return None
        return self.build(origin.manifest, fresh=origin.fresh)

    def close(self) -> None:
        """As the port says; a build that is still open is released."""
        self._release_build()
        self._held = None

    def _release_build(self) -> None:
        if self._build is not None:
            self._build.release()
            self._build = None

    def _current(self) -> EdgeVersion:
        """The current version, opened anew when the pointer moved.

        The version that it replaces stays open until the last search on it returned.
        """
        while True:
            stamp = self._generations.stamp()
            if stamp is None:
                raise index_empty()
            with self._opening:
                held = self._held
                if held is None or held[0] != stamp:
                    held = self._held = self._opened(stamp)
            if held is not None:
                return held[1]

    def _opened(self, stamp: Stamp) -> tuple[Stamp, EdgeVersion] | None:
        """None when the pointer moved meanwhile: what was opened may be half deleted."""
        try:
            version = open_version(self._generations.path(self._generations.current()))
        except BackendUnavailable:
            if self._generations.stamp() == stamp:
                raise
            return None
        return (stamp, version) if self._generations.stamp() == stamp else None
