"""The next version of an embedded index: each change is staged in SQLite, then made in a draft.

The draft is a copy of the version before, made at the first change, so a run that finds nothing to
do costs one read of its entries. It dies with its build. What was staged does not: a run that was
killed goes on from that, and the next draft makes those changes first.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from llm_engineering.domain.chunks import IndexEntry, IndexManifest
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.infrastructure.generations import Generations, writing
from llm_engineering.infrastructure.index_rules import build_closed, check_vectors, last_of_each
from llm_engineering.infrastructure.qdrant_edge_shard import EdgeVersion, explained
from llm_engineering.infrastructure.qdrant_edge_write import Draft
from llm_engineering.infrastructure.staged_changes import (
    Change,
    Origin,
    StagedChanges,
    StagedChunk,
)

CHANGES = "changes.db"
_SPACE = "check the free space, then run it again"


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
        self._name = ""
        """Of the version that the draft will be."""
        self._draft: Draft | None = None
        origin = Origin(base=generations.current(), fresh=fresh, manifest=manifest)
        with writing(generations.folder):
            generations.sweep()
            changes = StagedChanges.open(generations.building / CHANGES, origin)
            self._dirty = fresh or changes is not None
            if changes is None:
                generations.delete(generations.building)
                generations.building.mkdir()
                changes = StagedChanges.create(generations.building / CHANGES, origin)
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
            staged = [StagedChunk.of(chunk) for chunk in last_of_each(chunks)]
            with self._drafting() as draft:
                self._changes.put(staged)
                self._dirty = True
                draft.put(staged)

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        self._check_open()
        existing = self._existing([entry.chunk.id for entry in entries])
        if existing:
            known = {entry.chunk.id: entry for entry in entries if entry.chunk.id in existing}
            with self._drafting() as draft:
                self._changes.relabel(known.values())
                self._dirty = True
                draft.relabel([*known.values()])

    def remove(self, chunk_ids: Sequence[str]) -> None:
        self._check_open()
        existing = self._existing(chunk_ids)
        if existing:
            with self._drafting() as draft:
                self._changes.remove(existing)
                self._dirty = True
                draft.remove([*existing])

    def _existing(self, chunk_ids: Sequence[str]) -> set[str]:
        changed = self._changes.changed()
        unchanged = [key for key in chunk_ids if key not in changed]
        staged = {key for key in chunk_ids if changed.get(key, Change.REMOVE) is not Change.REMOVE}
        return staged | (set(self._base.held(unchanged)) if self._base else set())

    @contextmanager
    def _drafting(self) -> Iterator[Draft]:
        """The draft with everything in it that is staged; given up when an error leaves it."""
        generations = self._generations
        try:
            with writing(generations.folder):
                if self._draft is None:
                    self._name, folder = generations.draft()
                    with explained(folder, fix=_SPACE):
                        base = generations.path(self._base.name) if self._base else None
                        draft = Draft(folder, self._manifest, base=base)
                        draft.replay(self._changes)
                        self._draft = draft
                with explained(self._draft.folder, fix=_SPACE):
                    yield self._draft
        except BaseException:
            self._abandon()
            raise

    def dirty(self) -> bool:
        return self._dirty

    def publish(self, *, forget: bool = False) -> str:
        """As the port says; doing it twice publishes once."""
        if self._version:
            return self._version
        self._check_open()
        generations = self._generations
        with self._drafting() as draft:
            draft.finish(forget=forget)
        with writing(generations.folder):
            generations.publish(self._name, draft.folder)
            self._draft = None
            self._version = self._name
            self._drop()
            generations.sweep(before=not forget)
        self._end()
        return self._version

    def release(self) -> None:
        if not self._lock.closed:
            self._abandon()
            self._changes.close()
            self._end()

    def discard(self) -> None:
        if not self._lock.closed:
            self._abandon()
            self._drop()
            self._end()

    def _abandon(self) -> None:
        if self._draft is not None:
            self._draft.abandon()
            self._draft = None

    def _drop(self) -> None:
        self._changes.close()
        self._generations.delete(self._generations.building)

    def _end(self) -> None:
        self._base = None  # else its files stay open as long as somebody keeps this build
        self._lock.close()

    def _check_open(self) -> None:
        if self._lock.closed:
            raise build_closed()
