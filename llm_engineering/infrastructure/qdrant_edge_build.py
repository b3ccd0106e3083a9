"""The next version of an embedded index: changes are staged in SQLite, `publish` applies them.

The version they start from is copied only then, so a run that finds nothing to do costs one read
of its entries, and a run that was killed goes on from what it had staged.
"""

from collections.abc import Iterator, Sequence
from typing import IO

from llm_engineering.domain.chunks import IndexEntry, IndexManifest
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.infrastructure.generations import Generations, writing
from llm_engineering.infrastructure.index_rules import build_closed, check_vectors, last_of_each
from llm_engineering.infrastructure.qdrant_edge_shard import EdgeVersion
from llm_engineering.infrastructure.qdrant_edge_write import write_version
from llm_engineering.infrastructure.staged_changes import Change, Origin, StagedChanges

_CHANGES = "changes.db"


class EdgeIndexBuild:
    """An `IndexBuild` for one thread at a time; holds the lock of the folder while it is open."""

    def __init__(
        self,
        generations: Generations,
        lock: IO[str],
        manifest: IndexManifest,
        *,
        base: EdgeVersion | None,
        fresh: bool,
    ) -> None:
        """`base` is the current version, unless the build is `fresh`."""
        self._generations = generations
        self._lock = lock
        self._manifest = manifest
        self._base = base
        self._version = ""
        origin = Origin(base=generations.current(), fresh=fresh, manifest=manifest)
        with writing(generations.folder):
            generations.sweep()
            changes = StagedChanges.open(generations.building / _CHANGES, origin)
            self._dirty = fresh or changes is not None
            if changes is None:
                generations.delete(generations.building)
                generations.building.mkdir()
                changes = StagedChanges.create(generations.building / _CHANGES, origin)
        self._changes = changes

    def entries(self) -> Iterator[IndexEntry]:
        """As the port says; to be read before anything else is changed."""
        self._check_open()
        changed = self._changes.changed()
        if self._base is not None:
            for entry in self._base.entries():
                if entry.chunk.id not in changed:
                    yield entry
        yield from self._changes.entries()

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self._check_open()
        check_vectors(self._manifest, chunks)
        if chunks:
            self._changes.put(last_of_each(chunks))
            self._dirty = True

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        self._check_open()
        existing = self._existing([entry.chunk.id for entry in entries])
        if existing:
            self._changes.relabel(entry for entry in entries if entry.chunk.id in existing)
            self._dirty = True

    def remove(self, chunk_ids: Sequence[str]) -> None:
        self._check_open()
        existing = self._existing(chunk_ids)
        if existing:
            self._changes.remove(existing)
            self._dirty = True

    def _existing(self, chunk_ids: Sequence[str]) -> set[str]:
        changed = self._changes.changed()
        unchanged = [key for key in chunk_ids if key not in changed]
        staged = {key for key in chunk_ids if changed.get(key, Change.REMOVE) is not Change.REMOVE}
        return staged | (set(self._base.held(unchanged)) if self._base else set())

    def dirty(self) -> bool:
        return self._dirty

    def publish(self) -> str:
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        generations = self._generations
        with writing(generations.folder):
            name, draft = generations.draft()
            base = generations.path(self._base.name) if self._base else None
            write_version(draft, self._manifest, self._changes, base=base)
            generations.publish(name, draft)
            self._version = name
            self._drop()
            generations.sweep()
        self._end()
        return name

    def release(self) -> None:
        if not self._lock.closed:
            self._changes.close()
            self._end()

    def discard(self) -> None:
        if not self._lock.closed:
            self._drop()
            self._end()

    def _drop(self) -> None:
        self._changes.close()
        self._generations.delete(self._generations.building)

    def _end(self) -> None:
        self._base = None  # else its files stay open as long as somebody keeps this build
        self._lock.close()

    def _check_open(self) -> None:
        if self._lock.closed:
            raise build_closed()
