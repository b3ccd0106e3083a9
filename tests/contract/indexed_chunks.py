"""Chunks to index, and questions to ask of the index."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from llm_engineering.domain.chunks import (
    Chunk,
    IndexEntry,
    IndexManifest,
    SentenceId,
    chunk_id,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind, DocumentRef
from llm_engineering.domain.vectors import (
    DenseLeg,
    EmbeddedChunk,
    Floats,
    Hit,
    Leg,
    SparseLeg,
    SparseVector,
)
from llm_engineering.ports.stores import VectorIndex

MANIFEST = IndexManifest(
    embedder="counting",
    dimension=4,
    chunking="whole",
    dense=("text",),
    gate="text",
    sparse=("bm25",),
)
WIDE = IndexManifest(
    embedder="random",
    dimension=16,
    chunking="whole",
    dense=("near", "gate", "far"),
    gate="gate",
    sparse=("bm25", "x"),
)


def document(name: str = "a", **fields: Any) -> DocumentRef:
    """A document at https://example.org/<name>."""
    given: dict[str, Any] = {
        "id": chunk_id(name, ""),
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
    name: str = "a",
    *,
    text: str = "",
    sentences: int = 1,
    duplicate_of: str | None = None,
    **fields: Any,
) -> IndexEntry:
    """The only chunk of `document(name, **fields)`."""
    source = document(name, **fields)
    body = text or f"Text of {name}"
    cuts = [*range(sentences), len(body)]
    chunk = Chunk(
        id=chunk_id(source.id, body),
        document=source,
        start=0,
        end=len(body),
        text=body,
        heading_path=("Notes", name),
        sentences=tuple(pairwise(cuts)),
        statements=((0, len(body)),),
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
    """`of` with the same vectors for each of its sentences, for MANIFEST."""
    size = len(of.chunk.sentences)
    sparse = SparseVector.of({7: 1.0} if terms is None else terms)
    return EmbeddedChunk(of, {"text": units([vector] * size)}, {"bm25": [sparse] * size})


def linked(of: IndexEntry, *, to: IndexEntry) -> EmbeddedChunk:
    """`of` as a near-duplicate of `to`."""
    return EmbeddedChunk(of.model_copy(update={"duplicate_of": to.chunk.id}), dense={}, sparse={})


def units(rows: Sequence[Sequence[float]]) -> Floats:
    """`rows` of unit length."""
    matrix = np.array(rows, dtype=np.float32)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


def dense(vector: Sequence[float] = (1, 0, 0, 0), *, limit: int = 10) -> DenseLeg:
    return DenseLeg("text", np.array(vector, dtype=np.float32), limit, pool=limit)


def sparse(*terms: int, limit: int = 10) -> SparseLeg:
    return SparseLeg("bm25", SparseVector.of(dict.fromkeys(terms, 1.0)), limit)


def random_chunks(count: int, *, seed: int = 0) -> list[EmbeddedChunk]:
    """For WIDE; of one to five sentences, some without terms, with every kind of metadata."""
    rng = np.random.default_rng(seed)
    return [random_chunk(f"r{number}", rng) for number in range(count)]


def random_chunk(name: str, rng: np.random.Generator) -> EmbeddedChunk:
    size = int(rng.integers(1, 6))
    of = entry(
        name,
        sentences=size,
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
        dense={name: _normal(rng, size) for name in WIDE.dense},
        sparse={name: [_terms(rng) for _ in range(size)] for name in WIDE.sparse},
    )


def random_legs(*, seed: int, limit: int = 20, pool: int = 60) -> list[Leg]:
    rng = np.random.default_rng(seed)
    vector = _normal(rng, 1)[0]
    dense_legs = [DenseLeg(name, vector, limit, pool) for name in WIDE.dense]
    return [*dense_legs, *(SparseLeg(name, _terms(rng), limit) for name in WIDE.sparse)]


def _normal(rng: np.random.Generator, count: int) -> Floats:
    return units(rng.normal(size=(count, WIDE.dimension)).tolist())


def _terms(rng: np.random.Generator) -> SparseVector:
    terms = rng.integers(0, 40, size=rng.integers(0, 9)).tolist()
    return SparseVector.of({term: float(rng.random()) + 0.5 for term in terms})


def publish(index: VectorIndex, *chunks: EmbeddedChunk, manifest: IndexManifest = MANIFEST) -> str:
    """Add `chunks` and make them current; returns the version."""
    build = index.build(manifest)
    build.put(chunks)
    return build.publish()


def found(
    index: VectorIndex, leg: Leg | None = None, where: DocumentFilter = EVERYTHING
) -> set[str]:
    """Texts of the chunks of which a leg (default: a dense one without end) finds a sentence."""
    [hits] = index.search([leg or dense(limit=1_000)], where=where)
    return {chunk.text for chunk in chunks_of(index, hits)}


def chunks_of(index: VectorIndex, hits: Sequence[Hit]) -> list[Chunk]:
    """Of each hit."""
    held = index.chunks(list({hit.sentence.chunk for hit in hits}))
    return [held[hit.sentence.chunk] for hit in hits]


def ids(hits: Sequence[Hit]) -> list[SentenceId]:
    return [hit.sentence for hit in hits]
