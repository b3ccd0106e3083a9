"""Points as qdrant-client writes and reads them.

Does not know: collections.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from llm_engineering.domain.vectors import EmbeddedChunk, SparseVector
from llm_engineering.infrastructure.index_rules import halved
from llm_engineering.infrastructure.qdrant_points import (
    HeldChunk,
    chunk_payload,
    sentence_ids,
    sentence_payload,
)


def sparse_vector(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def chunk_point(chunk: EmbeddedChunk) -> models.PointStruct:
    payload = chunk_payload(chunk.entry, sentences=_size(chunk))
    return models.PointStruct(id=chunk.entry.chunk.id, vector={}, payload=payload)


def sentence_points(chunk: EmbeddedChunk) -> Iterator[models.PointStruct]:
    payload = sentence_payload(chunk.entry)
    dense = {name: halved(rows).tolist() for name, rows in chunk.dense.items()}
    for number, point_id in enumerate(sentence_ids(chunk.entry.chunk.id, _size(chunk))):
        vectors: dict[str, models.Vector] = {name: rows[number] for name, rows in dense.items()}
        for name, sparse in chunk.sparse.items():
            if len(sparse[number].indices):
                vectors[name] = sparse_vector(sparse[number])
        yield models.PointStruct(id=point_id, vector=vectors, payload=payload)


def _size(chunk: EmbeddedChunk) -> int:
    return max((len(rows) for rows in chunk.dense.values()), default=0)


def relabelling(old: HeldChunk, new: HeldChunk) -> Iterator[models.OverwritePayloadOperation]:
    """Sentences first: a build that is killed in between will find the chunk unchanged."""
    payload = sentence_payload(new.entry)
    if new.sentences and payload != sentence_payload(old.entry):
        yield _overwriting(new.sentence_ids(), payload)
    key = new.entry.chunk.id
    yield _overwriting([key], chunk_payload(new.entry, sentences=new.sentences))


def _overwriting(ids: Sequence[str], payload: dict[str, Any]) -> models.OverwritePayloadOperation:
    change = models.SetPayload(payload=payload, points=[*ids])
    return models.OverwritePayloadOperation(overwrite_payload=change)


def count_terms(record: models.Record, rows: Mapping[str, list[NDArray[np.uint32]]]) -> None:
    """Add the terms of a sentence to `rows`, by sparse vector name."""
    vectors = record.vector if isinstance(record.vector, dict) else {}
    for name, counted in rows.items():
        vector = vectors.get(name)
        if isinstance(vector, models.SparseVector):
            counted.append(np.array(vector.indices, dtype=np.uint32))
