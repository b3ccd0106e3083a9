"""Features: clean, chunk, embed, index; only what changed since the last run.

The run works out which entries the index should hold, compares them with those it does hold, and
does the difference in a private build that is published as a whole. Entries have content-derived
ids, so a run that was killed is simply run again: what its build already holds is not redone.

Does not know: which engine keeps the vectors, which model makes them.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from llm_engineering.application.chunk import CHUNKING, ChunkRule, chunk
from llm_engineering.application.clean import CLEANING, clean
from llm_engineering.application.context import CONTEXT_TOKENS, contexts
from llm_engineering.application.near_duplicates import link_duplicates, signature
from llm_engineering.domain.chunks import EmbeddedChunk, IndexEntry, IndexManifest
from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import InvalidConfig
from llm_engineering.domain.reports import FeatureReport
from llm_engineering.ports.models import Embedder, SparseEncoder
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.stores import DocumentStore, IndexBuild, VectorIndex

DENSE, SPARSE = "text", "bm25"
"""Names of the vectors of each point."""

_READ_BATCH = 64
_EMBED_BATCH = 512


class FeaturesConfig(BaseModel):
    """What becomes of the documents (configs/features.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk: ChunkRule = ChunkRule()
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
            changes = _compare(held, {head.id: head.content_hash for head in store.heads()})
        fresh = _read(changes.stale, config.chunk, store, embedder, progress, clock)
        with clock("dedupe"):
            wanted = _linked([*changes.kept, *fresh])
            plan = _plan(held, wanted)
        if plan or build.dirty():
            _apply(plan, build, embedder=embedder, sparse=sparse, progress=progress, clock=clock)
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
        embedded=len(plan.embed),
        duplicates=sum(entry.duplicate_of is not None for entry in wanted),
        chunks_removed=len(plan.remove),
        tokens=tuple(entry.chunk.tokens for entry in plan.embed),
        version=version,
        seconds=dict(clock.seconds),
    )


def manifest_of(
    config: FeaturesConfig, *, embedder: Embedder, sparse: SparseEncoder
) -> IndexManifest:
    """What an index built with these would say of itself."""
    room = embedder.window - CONTEXT_TOKENS
    if config.chunk.max_tokens > room:
        raise InvalidConfig(
            f"chunk.max_tokens {config.chunk.max_tokens} does not fit {embedder.name!r}: its "
            f"window of {embedder.window} tokens leaves {room} beside {CONTEXT_TOKENS} of context"
        )
    rule = f"{config.chunk.min_tokens}-{config.chunk.max_tokens}"
    return IndexManifest(
        embedder=embedder.name,
        dimension=embedder.dimension,
        chunking=f"{CLEANING}/{CHUNKING}/{rule}",
        terms=sparse.name,
        dense=(DENSE,),
        sparse=(SPARSE,),
    )


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


@dataclass(frozen=True)
class _Changes:
    kept: tuple[IndexEntry, ...]
    """Entries of documents that are as they were."""
    stale: tuple[str, ...]
    """Ids of documents that are new, changed, or were only partly indexed."""
    known: frozenset[str]
    """Ids of documents that the index holds something of."""
    unchanged: int
    removed: int


def _compare(held: Mapping[str, IndexEntry], hashes: Mapping[str, str]) -> _Changes:
    by_document: dict[str, list[IndexEntry]] = defaultdict(list)
    for entry in held.values():
        by_document[entry.chunk.document.id].append(entry)
    kept = {
        key: entries
        for key, entries in by_document.items()
        if {e.content_hash for e in entries} == {hashes.get(key)}
        and len(entries) == entries[0].siblings
    }
    return _Changes(
        kept=tuple(entry for entries in kept.values() for entry in entries),
        stale=tuple(key for key in hashes if key not in kept),
        known=frozenset(by_document),
        unchanged=len(kept),
        removed=len(by_document.keys() - hashes.keys()),
    )


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
            )
            for document, pieces in zip(documents, cut, strict=True)
            for piece in pieces
        ]


def _linked(entries: Sequence[IndexEntry]) -> list[IndexEntry]:
    """The entries with near-duplicates linked to the earliest published of their kind."""

    def precedence(entry: IndexEntry) -> tuple[datetime, str, int]:
        document = entry.chunk.document
        at = document.published_at or datetime.max.replace(tzinfo=UTC)
        return at, document.id, entry.chunk.start

    ordered = sorted(entries, key=precedence)
    links = link_duplicates(
        [entry.chunk.id for entry in ordered],
        texts={entry.chunk.id: entry.chunk.text for entry in ordered},
        signatures={entry.chunk.id: entry.signature for entry in ordered},
    )
    return [
        entry
        if entry.duplicate_of == links.get(entry.chunk.id)
        else entry.model_copy(update={"duplicate_of": links.get(entry.chunk.id)})
        for entry in ordered
    ]


@dataclass(frozen=True)
class _Plan:
    """The difference between what a build holds and what it should hold."""

    embed: tuple[IndexEntry, ...]
    link: tuple[IndexEntry, ...]
    relabel: tuple[IndexEntry, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.embed or self.link or self.relabel or self.remove)


def _plan(held: Mapping[str, IndexEntry], wanted: Sequence[IndexEntry]) -> _Plan:
    embed, link, relabel = [], [], []
    for entry in wanted:
        old = held.get(entry.chunk.id)
        if old == entry:
            continue
        if entry.duplicate_of is not None:
            link.append(entry)
        elif old is not None and _encoded_alike(old, entry):
            relabel.append(entry)
        else:
            embed.append(entry)
    return _Plan(
        embed=tuple(sorted(embed, key=lambda entry: -entry.chunk.tokens)),
        link=tuple(link),
        relabel=tuple(relabel),
        remove=tuple(held.keys() - {entry.chunk.id for entry in wanted}),
    )


def _encoded_alike(old: IndexEntry, new: IndexEntry) -> bool:
    """Whether two entries of one chunk id have the same vectors: same context, same language."""

    def encoded(entry: IndexEntry) -> tuple[object, ...]:
        document = entry.chunk.document
        return entry.duplicate_of, document.title, entry.chunk.heading_path, document.language

    return encoded(old) == encoded(new)


def _apply(
    plan: _Plan,
    build: IndexBuild,
    *,
    embedder: Embedder,
    sparse: SparseEncoder,
    progress: Progress,
    clock: _Clock,
) -> None:
    with progress.stage("embed", total=len(plan.embed)) as advance:
        for at in range(0, len(plan.embed), _EMBED_BATCH):
            batch = plan.embed[at : at + _EMBED_BATCH]
            embedded = _embedded(batch, embedder=embedder, sparse=sparse, clock=clock)
            with clock("index"):
                build.put(embedded)
            advance(len(batch))
    with clock("index"):
        build.put([EmbeddedChunk(entry=entry, dense={}, sparse={}) for entry in plan.link])
        build.relabel(plan.relabel)
        build.remove(plan.remove)


def _embedded(
    entries: Sequence[IndexEntry], *, embedder: Embedder, sparse: SparseEncoder, clock: _Clock
) -> list[EmbeddedChunk]:
    with clock("embed"):
        above = contexts([entry.chunk for entry in entries], token_spans=embedder.token_spans)
        texts = [
            f"{context}\n{entry.chunk.text}" if context else entry.chunk.text
            for context, entry in zip(above, entries, strict=True)
        ]
        vectors = embedder.embed(texts)
    with clock("index"):
        languages = [entry.chunk.document.language for entry in entries]
        terms = sparse.documents(texts, languages=languages)
    return [
        EmbeddedChunk(entry=entry, dense={DENSE: vector.tolist()}, sparse={SPARSE: weights})
        for entry, vector, weights in zip(entries, vectors, terms, strict=True)
    ]
