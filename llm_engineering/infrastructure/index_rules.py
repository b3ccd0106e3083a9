"""What every vector index refuses, and the order in which all of them rank.

Does not know: any engine.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import (
    DenseLeg,
    EmbeddedChunk,
    IndexManifest,
    Leg,
    SparseLeg,
    SparseVector,
)
from llm_engineering.domain.errors import BackendUnavailable, IndexEmpty, IndexMismatch

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
                _check_name(leg.name, manifest.sparse, subject="the query")


def check_vectors(manifest: IndexManifest, chunks: Iterable[EmbeddedChunk]) -> None:
    """Raises IndexMismatch for a chunk whose vectors the build was not started for."""
    for chunk in chunks:
        subject = f"chunk {chunk.entry.chunk.id}"
        for name, vector in chunk.dense.items():
            _check_dense(manifest, name, vector, subject=subject)
        for name in chunk.sparse:
            _check_name(name, manifest.sparse, subject=subject)


def last_of_each(chunks: Iterable[EmbeddedChunk]) -> list[EmbeddedChunk]:
    """Of several chunks with one id the last one counts, as if they had been put in turn."""
    return list({chunk.entry.chunk.id: chunk for chunk in chunks}.values())


def stored_sparse(vectors: Mapping[str, SparseVector]) -> dict[str, SparseVector]:
    """The vectors that hold a term at all: an empty one is as good as none."""
    return {name: vector for name, vector in vectors.items() if len(vector.indices)}


def best(scores: Mapping[str, float], *, limit: int) -> list[tuple[str, float]]:
    """The `limit` best of `scores` by chunk id, ties by chunk id."""
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))[:limit]


def idf(population: int, holders: NDArray[np.int64]) -> NDArray[np.float64]:
    """BM25's, as Qdrant's modifier computes it over the points that have the sparse vector."""
    ratio = (population - holders + 0.5) / (holders + 0.5)
    return np.log1p(ratio)


def _check_dense(
    manifest: IndexManifest, name: str, vector: Sequence[float], *, subject: str
) -> None:
    _check_name(name, manifest.dense, subject=subject)
    if len(vector) != manifest.dimension:
        raise IndexMismatch(
            f"{subject} has {len(vector)} dimensions for {name!r}, the index has"
            f" {manifest.dimension} ({manifest.embedder!r}); {REBUILD}"
        )


def _check_name(name: str, known: Sequence[str], *, subject: str) -> None:
    if name not in known:
        raise IndexMismatch(
            f"{subject} names the vector {name!r}, the index has {', '.join(known) or 'none'};"
            f" {REBUILD}"
        )
