"""However an index came to hold what it does, it answers as one built afresh does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex
from llm_engineering.infrastructure.qdrant_server import QdrantVectorIndex
from tests.contract.indexed_chunks import (
    WIDE,
    ids,
    linked,
    publish,
    random_chunk,
    random_chunks,
    random_legs,
)

Index = MemoryVectorIndex | EdgeVectorIndex | QdrantVectorIndex
"""All of them tell their term statistics."""
CHANGES, BUILDS = 500, 5
FILTERS = (EVERYTHING, DocumentFilter(authors=("Bob",), languages=("en",)))


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Index]:
    index: Index
    match kind:
        case "memory":
            index = MemoryVectorIndex()
        case "edge":
            index = EdgeVectorIndex(folder)
        case _:
            index = QdrantVectorIndex(":memory:", api_key=None, collection="twin", timeout_s=5)
    yield index
    index.close()


def change(index: Index, held: dict[str, EmbeddedChunk], rng: np.random.Generator) -> None:
    """Bring one build's random changes into `index` and `held`, which holds what is in it."""
    build = index.build(WIDE)
    for _ in range(CHANGES // BUILDS):
        name = f"r{rng.integers(80)}"
        new = random_chunk(name, rng)
        key = new.entry.chunk.id
        match rng.integers(5):
            case 0:
                build.remove([key])
                held.pop(key, None)
            case 1 if key in held and held[key].dense:
                held[key] = relabelled(held[key], as_is=new, duplicate=rng.random() < 0.3)
                build.relabel([held[key].entry])
            case 2:
                held[key] = linked(new.entry, to=random_chunks(1)[0].entry)
                build.put([held[key]])
            case _:
                held[key] = new
                build.put([new])
    build.publish()


def relabelled(old: EmbeddedChunk, *, as_is: EmbeddedChunk, duplicate: bool) -> EmbeddedChunk:
    """`old` with the document of another, and perhaps as a near-duplicate."""
    moved = {"document": as_is.entry.chunk.document}
    entry = old.entry.model_copy(update={"chunk": old.entry.chunk.model_copy(update=moved)})
    if duplicate:
        return linked(entry, to=random_chunks(1)[0].entry)
    return EmbeddedChunk(entry, old.dense, old.sparse)


@pytest.mark.parametrize("kind", ["memory", "edge", "qdrant-memory"])
def test_a_changed_index_answers_exactly_as_one_built_afresh(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    held: dict[str, EmbeddedChunk] = {}
    with opened(kind, tmp_path / "changed") as changed, opened(kind, tmp_path / "fresh") as fresh:
        for _ in range(BUILDS):
            change(changed, held, rng)
        publish(fresh, *held.values(), manifest=WIDE)
        assert changed.count() == fresh.count() > 100
        assert changed.statistics().keys() == fresh.statistics().keys() == {*WIDE.sparse}
        for name, statistics in changed.statistics().items():
            assert statistics.equals(fresh.statistics()[name])
        for seed in range(20):
            for where in FILTERS:
                answers = [
                    each.search(random_legs(seed=seed), where=where) for each in (changed, fresh)
                ]
                for got, want in zip(*answers, strict=True):
                    assert ids(got) == ids(want)
                    scores = [hit.score for hit in want]
                    assert [hit.score for hit in got] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("kind", ["memory", "edge", "qdrant-memory"])
def test_an_index_that_lost_everything_counts_no_terms(kind: str, tmp_path: Path) -> None:
    chunks = random_chunks(10)
    with opened(kind, tmp_path / "index") as index:
        publish(index, *chunks, manifest=WIDE)
        assert index.statistics()["x"].population > 0
        build = index.build(WIDE)
        build.remove([chunk.entry.chunk.id for chunk in chunks])
        build.publish()
        for statistics in index.statistics().values():
            assert (statistics.population, len(statistics.terms)) == (0, 0)
