"""Chunks to index, and questions to ask of the index."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from llm_engineering.domain.chunks import (
    Chunk,
    DenseLeg,
    EmbeddedChunk,
    Hit,
    IndexEntry,
    IndexManifest,
    Leg,
    SparseLeg,
    SparseVector,
    chunk_id,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind, DocumentRef
from llm_engineering.ports.stores import VectorIndex

MANIFEST = IndexManifest(embedder="counting", dimension=4, chunking="whole")
WIDE = IndexManifest(
    embedder="random", dimension=16, chunking="whole", dense=("text", "title"), sparse=("bm25", "x")
)


def document(name: str = "a", **fields: Any) -> DocumentRef:
    """A document at https://example.org/<name>."""
    given: dict[str, Any] = {
        "id": chunk_id(name, 0, 0, ""),
        "author_id": "ada",
        "author": "Ada",
        "url": f"https://example.org/{name}",
        "title": f"Title of {name}",
        "kind": DocumentKind.NOTE,
        "source": "files:notes",
        "language": "en",
        "published_at": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        "tags": ("math",),
    }
    return DocumentRef(**(given | fields))


def entry(
    name: str = "a", *, text: str = "", duplicate_of: str | None = None, **fields: Any
) -> IndexEntry:
    """The only chunk of `document(name, **fields)`."""
    source = document(name, **fields)
    body = text or f"Text of {name}"
    chunk = Chunk(
        id=chunk_id(source.id, 0, len(body), body),
        document=source,
        start=0,
        end=len(body),
        text=body,
        heading_path=("Notes", name),
        tokens=3,
    )
    return IndexEntry(
        chunk=chunk, content_hash=f"hash of {name}", signature="00ff", duplicate_of=duplicate_of
    )


def embedded(
    of: IndexEntry,
    vector: Sequence[float] = (1, 0, 0, 0),
    terms: Mapping[int, float] | None = None,
) -> EmbeddedChunk:
    """`of` with vectors for MANIFEST; `terms` by index, ascending."""
    weights = {7: 1.0} if terms is None else terms
    sparse = SparseVector(indices=[*weights], values=[*weights.values()])
    return EmbeddedChunk(of, dense={"text": [*vector]}, sparse={"bm25": sparse})


def linked(of: IndexEntry, *, to: IndexEntry) -> EmbeddedChunk:
    """`of` as a near-duplicate of `to`."""
    return EmbeddedChunk(of.model_copy(update={"duplicate_of": to.chunk.id}), dense={}, sparse={})


def dense(vector: Sequence[float] = (1, 0, 0, 0), *, limit: int = 10) -> DenseLeg:
    return DenseLeg("text", [*vector], limit)


def sparse(*terms: int, limit: int = 10) -> SparseLeg:
    return SparseLeg("bm25", SparseVector([*terms], [1.0] * len(terms)), limit)


def random_chunks(count: int, *, seed: int = 0) -> list[EmbeddedChunk]:
    """For WIDE; some without one or another vector, with every kind of metadata."""
    rng = np.random.default_rng(seed)
    return [_random_chunk(number, rng) for number in range(count)]


def _random_chunk(number: int, rng: np.random.Generator) -> EmbeddedChunk:
    of = entry(
        f"r{number}",
        author=str(rng.choice(["Ada", "Bob", "Çelik 🦊"])),
        kind=str(rng.choice([*DocumentKind])),
        source=str(rng.choice(["files:notes", "web:example.org"])),
        language=[None, "en", "de"][rng.integers(3)],
        tags=tuple(str(tag) for tag in rng.choice(["math", "code", "life"], rng.integers(3))),
        published_at=[None, datetime(2020 + int(rng.integers(5)), 3, 1, 12, tzinfo=UTC)][
            int(rng.random() < 0.8)
        ],
    )
    return EmbeddedChunk(
        of,
        dense={name: _normal(rng) for name in WIDE.dense if rng.random() < 0.9},
        sparse={name: _terms(rng) for name in WIDE.sparse if rng.random() < 0.9},
    )


def random_legs(*, seed: int, limit: int = 20) -> list[Leg]:
    rng = np.random.default_rng(seed)
    dense_legs = [DenseLeg(name, _normal(rng), limit) for name in WIDE.dense]
    return [*dense_legs, *(SparseLeg(name, _terms(rng), limit) for name in WIDE.sparse)]


def _normal(rng: np.random.Generator) -> list[float]:
    return [float(value) for value in rng.normal(size=WIDE.dimension)]


def _terms(rng: np.random.Generator) -> SparseVector:
    terms = np.unique(rng.integers(0, 40, size=rng.integers(0, 9)))
    return SparseVector(terms.tolist(), (rng.random(len(terms)) + 0.5).tolist())


def publish(index: VectorIndex, *chunks: EmbeddedChunk, manifest: IndexManifest = MANIFEST) -> str:
    """Add `chunks` and make them current; returns the version."""
    build = index.build(manifest)
    build.put(chunks)
    return build.publish()


def found(
    index: VectorIndex, leg: Leg | None = None, where: DocumentFilter = EVERYTHING
) -> set[str]:
    """Texts that a leg (default: everything that has a dense vector) finds."""
    [hits] = index.search([leg or dense(limit=1_000)], where=where)
    return {hit.chunk.text for hit in hits}


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk.id for hit in hits]
