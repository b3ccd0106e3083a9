"""What every vector index refuses, and how exact its vectors are.

Does not know: any engine.
"""

from collections.abc import Iterable, Sequence, Sized

import numpy as np

from llm_engineering.domain.chunks import IndexManifest
from llm_engineering.domain.errors import BackendUnavailable, IndexEmpty, IndexMismatch
from llm_engineering.domain.vectors import DenseLeg, EmbeddedChunk, Floats, Leg, SparseLeg

MOST_VALUES = 10_000
"""Values of a field that an index lists."""

REBUILD = "run 'twin run features --no-cache' to rebuild it"


def index_empty() -> IndexEmpty:
    return IndexEmpty("nothing is indexed yet; run 'twin run features'")


def build_closed() -> BackendUnavailable:
    return BackendUnavailable(
        "this index build is over: it was published, discarded, released or taken over;"
        " start another one"
    )


def check_manifest(published: IndexManifest, wanted: IndexManifest) -> None:
    """Raises IndexMismatch that names both values of every field in which they differ."""
    differences = [
        f"{name} {getattr(published, name)!r}, not {getattr(wanted, name)!r}"
        for name in IndexManifest.model_fields
        if getattr(published, name) != getattr(wanted, name)
    ]
    if differences:
        raise IndexMismatch(f"the index was built with {'; '.join(differences)}; {REBUILD}")


def check_legs(manifest: IndexManifest, legs: Iterable[Leg]) -> None:
    """Raises IndexMismatch for a leg that the published vectors cannot answer."""
    for leg in legs:
        match leg:
            case DenseLeg():
                _check_dense(manifest, leg.name, leg.vector, subject="the query")
            case SparseLeg():
                check_name(leg.name, manifest.sparse, subject="the query")


def check_vectors(manifest: IndexManifest, chunks: Iterable[EmbeddedChunk]) -> None:
    """Raises IndexMismatch for a chunk whose vectors the build was not started for.

    Each sentence has every vector of the manifest; a near-duplicate has none.
    """
    for chunk in chunks:
        of = chunk.entry.chunk
        subject = f"chunk {of.id}"
        ranked = 0 if chunk.entry.duplicate_of else len(of.sentences)
        for name, rows in chunk.dense.items():
            _check_dense(manifest, name, rows, subject=subject)
            _check_rows(rows, name, sentences=ranked, subject=subject)
        for name, vectors in chunk.sparse.items():
            check_name(name, manifest.sparse, subject=subject)
            _check_rows(vectors, name, sentences=ranked, subject=subject)
        for name in (*manifest.dense, *manifest.sparse) if ranked else ():
            if name not in chunk.dense and name not in chunk.sparse:
                raise IndexMismatch(f"{subject} lacks the vectors {name!r}; {REBUILD}")


def last_of_each(chunks: Iterable[EmbeddedChunk]) -> list[EmbeddedChunk]:
    """Of several chunks with one id the last one counts, as if they had been put in turn."""
    return list({chunk.entry.chunk.id: chunk for chunk in chunks}.values())


def halved(vectors: Floats) -> Floats:
    """Rounded to half precision, as every index keeps dense vectors."""
    return vectors.astype(np.float16).astype(np.float32)


def asked_vector(leg: DenseLeg) -> Floats:
    """What the rows of `leg.name` are multiplied with: of unit length, rounded as they are."""
    vector = np.asarray(leg.vector, dtype=np.float32)
    return halved(vector / (np.linalg.norm(vector) or 1))


def _check_dense(manifest: IndexManifest, name: str, vectors: Floats, *, subject: str) -> None:
    check_name(name, manifest.dense, subject=subject)
    if vectors.shape[-1] != manifest.dimension:
        raise IndexMismatch(
            f"{subject} has {vectors.shape[-1]} dimensions for {name!r}, the index has"
            f" {manifest.dimension} ({manifest.embedder!r}); {REBUILD}"
        )


def _check_rows(rows: Sized, name: str, *, sentences: int, subject: str) -> None:
    if len(rows) != sentences:
        raise IndexMismatch(
            f"{subject} has {len(rows)} vectors {name!r} for {sentences} ranked sentences;"
            f" {REBUILD}"
        )


def check_name(name: str, known: Sequence[str], *, subject: str) -> None:
    """Raises IndexMismatch for a vector name that the index does not know."""
    if name not in known:
        raise IndexMismatch(
            f"{subject} names the vector {name!r}, the index has {', '.join(known) or 'none'};"
            f" {REBUILD}"
        )
