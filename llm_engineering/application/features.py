"""Features: clean, chunk, embed, index; only what changed since the last run.

The run works out which entries the index should hold, compares them with those it does hold, and
does the difference in a private build that is published as a whole. Entries have content-derived
ids, so a run that was killed is simply run again: what its build already holds is not redone.

Does not know: which engine keeps the vectors, which model makes them.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from llm_engineering.application.chunk import CHUNKING, ChunkRule, chunk
from llm_engineering.application.clean import CLEANING, clean
from llm_engineering.application.context import CONTEXT_TOKENS
from llm_engineering.application.embedding import (
    Encoded,
    encoded,
    fingerprints,
    stretches,
    windowed,
)
from llm_engineering.application.feature_plan import Plan, compare, linked, plan
from llm_engineering.application.near_duplicates import signature
from llm_engineering.application.units import MAX_TOKENS
from llm_engineering.application.windows import DENSE_WINDOWS, GATE, SPARSE_WINDOWS, WINDOWS
from llm_engineering.domain.chunks import Chunk, IndexEntry, IndexManifest
from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import InvalidConfig
from llm_engineering.domain.reports import FeatureReport
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.stores import DocumentStore, IndexBuild, VectorIndex

_READ_BATCH = 64
_EMBED_BATCH = 4_096
"""Sentences encoded between two puts: a killed run loses two of these at most, for one is put while
the next is encoded."""


class FeaturesConfig(BaseModel):
    """What becomes of the documents (configs/features.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk: ChunkRule = ChunkRule()
    prefix: bool = False
    """Encode each sentence below its title and headings instead of beside them."""
    rebuild: bool = False
    """Embed everything anew instead of only what changed."""


def build_features(
    config: FeaturesConfig,
    *,
    store: DocumentStore,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    progress: Progress,
) -> FeatureReport:
    """Bring the index in line with the document store and publish it.

    Raises InvalidConfig when chunks would not fit the embedder's window, IndexMismatch when the
    published index was made by another embedder or rule and `rebuild` is off.
    """
    manifest = manifest_of(config, embedder=embedder, sparse=sparse)
    clock = _Clock()
    with clock("read"):
        build = index.build(manifest, fresh=config.rebuild)
    try:
        with clock("read"):
            held = {entry.chunk.id: entry for entry in build.entries()}
            changes = compare(held, {head.id: head.content_hash for head in store.heads()})
        fresh = _read(changes.stale, config.chunk, store, embedder, progress, clock)
        with clock("dedupe"):
            wanted = linked([*changes.kept, *fresh])
            todo = plan(held, wanted)
        if todo or build.dirty():
            with _uncollected():
                _apply(
                    todo,
                    build,
                    documents=_by_document(wanted),
                    prefixed=config.prefix,
                    embedder=embedder,
                    sparse=sparse,
                    progress=progress,
                    clock=clock,
                )
            with clock("publish"), progress.stage("publish"):
                version = build.publish()
        else:
            build.discard()
            version = index.version()
    finally:
        build.release()
    read = {entry.chunk.document.id for entry in fresh}
    return FeatureReport(
        documents=len(changes.stale) + changes.unchanged,
        new=len(read - changes.known),
        changed=len(changes.known.intersection(changes.stale)),
        unchanged=changes.unchanged,
        removed=changes.removed,
        empty=len(set(changes.stale) - read),
        chunks=sum(entry.duplicate_of is None for entry in wanted),
        sentences=sum(len(e.chunk.sentences) for e in wanted if e.duplicate_of is None),
        embedded=len(todo.embed),
        duplicates=sum(entry.duplicate_of is not None for entry in wanted),
        chunks_removed=len(todo.remove),
        tokens=tuple(entry.chunk.tokens for entry in todo.embed),
        version=version,
        seconds=dict(clock.seconds),
    )


def manifest_of(
    config: FeaturesConfig, *, embedder: Embedder, sparse: SparseEncoder
) -> IndexManifest:
    """What an index built with these would say of itself."""
    needed = MAX_TOKENS + (CONTEXT_TOKENS if config.prefix else 0)
    if needed > embedder.window:
        raise InvalidConfig(
            f"the window of {embedder.name!r} is {embedder.window} tokens; sentences need {needed}"
            + (", prefixes included; set 'prefix: false'" if config.prefix else "; use another one")
        )
    rule = f"{config.chunk.min_tokens}-{config.chunk.max_tokens}"
    windows = f"{WINDOWS}{'-prefixed' if config.prefix else ''}"
    return IndexManifest(
        embedder=embedder.name,
        dimension=embedder.dimension,
        chunking=f"{CLEANING}/{CHUNKING}/{rule}/{windows}",
        terms=sparse.name,
        dense=tuple(DENSE_WINDOWS),
        gate=GATE,
        sparse=tuple(SPARSE_WINDOWS),
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector pass over what is there: it would walk all chunks again and again,
    and none of them goes before the end."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass
class _Clock:
    """Seconds per stage, summed over all visits."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started


def _read(
    stale: Sequence[str],
    rule: ChunkRule,
    store: DocumentStore,
    embedder: Embedder,
    progress: Progress,
    clock: _Clock,
) -> list[IndexEntry]:
    entries: list[IndexEntry] = []
    with progress.stage("chunk", total=len(stale)) as advance:
        for at in range(0, len(stale), _READ_BATCH):
            batch = stale[at : at + _READ_BATCH]
            with clock("read"):
                documents = store.get_many(batch)
            entries += _entries(list(documents.values()), rule, embedder, clock)
            advance(len(batch))
    return entries


def _entries(
    documents: Sequence[Document], rule: ChunkRule, embedder: Embedder, clock: _Clock
) -> list[IndexEntry]:
    with clock("clean"):
        cleaned = [clean(document) for document in documents]
    with clock("chunk"):
        cut = chunk(cleaned, rule=rule, token_spans=embedder.token_spans)
    with clock("dedupe"):
        return [
            IndexEntry(
                chunk=piece,
                content_hash=document.content_hash,
                siblings=len(pieces),
                signature=signature(piece.text),
                fingerprint=fingerprint,
            )
            for document, pieces in zip(documents, cut, strict=True)
            for piece, fingerprint in zip(pieces, fingerprints(pieces), strict=True)
        ]


def _by_document(entries: Sequence[IndexEntry]) -> dict[str, list[Chunk]]:
    """All chunks of each document, in order."""
    chunks: dict[str, list[Chunk]] = defaultdict(list)
    for each in sorted((entry.chunk for entry in entries), key=lambda each: each.start):
        chunks[each.document.id].append(each)
    return chunks


def _apply(
    todo: Plan,
    build: IndexBuild,
    *,
    documents: Mapping[str, Sequence[Chunk]],
    prefixed: bool,
    embedder: Embedder,
    sparse: SparseEncoder,
    progress: Progress,
    clock: _Clock,
) -> None:
    """Do what is to be done. Windows and puts go on beside the embedder, which waits for neither
    as long as they take less time."""

    def put(batch: Encoded) -> None:
        with clock("index"):
            build.put(windowed(batch, sparse=sparse))

    with (
        progress.stage("embed", total=len(todo.embed)) as advance,
        ThreadPoolExecutor(1, thread_name_prefix="index") as beside,
    ):
        pending: Future[None] | None = None
        for batch in stretches(todo.embed, documents=documents, sentences=_EMBED_BATCH):
            with clock("embed"):
                done = encoded(batch, embedder=embedder, prefixed=prefixed)
            if pending is not None:
                pending.result()
            pending = beside.submit(put, done)
            advance(sum(len(stretch.wanted) for stretch in batch))
        if pending is not None:
            pending.result()
    with clock("index"):
        build.put([EmbeddedChunk(entry=entry, dense={}, sparse={}) for entry in todo.link])
        build.relabel(todo.relabel)
        build.remove(todo.remove)
