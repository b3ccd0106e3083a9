"""What becomes of index builds that did not come to their end, in every vector index."""

import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.ports.stores import VectorIndex
from tests.contract.indexed_chunks import MANIFEST, embedded, entry, found, publish
from tests.contract.vector_indexes import Opener

OTHER = MANIFEST.model_copy(update={"embedder": "another", "dimension": 2})
A, B, C = (embedded(entry(name)) for name in "abc")


def test_a_released_build_is_continued_by_the_next_process(open_index: Opener) -> None:
    first, second = open_index(), open_index()
    publish(first, A, B)
    build = first.build(MANIFEST)
    build.put([C])
    build.remove([B.entry.chunk.id])
    build.release()
    build.release()
    assert found(first) == {"Text of a", "Text of b"}
    again = second.build(MANIFEST)
    assert again.dirty()
    assert {each.chunk.text for each in again.entries()} == {"Text of a", "Text of c"}
    again.publish()
    assert found(first) == found(second) == {"Text of a", "Text of c"}


def test_an_interrupted_first_build_is_continued(index: VectorIndex) -> None:
    index.build(MANIFEST).put([A])
    again = index.build(MANIFEST)
    assert again.dirty()
    again.put([B])
    again.publish()
    assert found(index) == {"Text of a", "Text of b"}


def test_an_interrupted_fresh_build_is_continued_by_a_fresh_one(index: VectorIndex) -> None:
    publish(index, A)
    index.build(OTHER, fresh=True).put([embedded(entry("b"), [0, 1])])
    again = index.build(OTHER, fresh=True)
    assert [each.chunk.text for each in again.entries()] == ["Text of b"]


def test_an_interrupted_build_of_another_kind_is_thrown_away(index: VectorIndex) -> None:
    publish(index, A)
    index.build(MANIFEST).put([B])
    fresh = index.build(MANIFEST, fresh=True)
    assert list(fresh.entries()) == []
    fresh.put([C])
    again = index.build(MANIFEST)
    assert not again.dirty()
    assert [each.chunk.text for each in again.entries()] == ["Text of a"]


def test_without_an_interrupted_build_there_is_none_to_continue(index: VectorIndex) -> None:
    assert index.interrupted() is None
    publish(index, A)
    assert index.interrupted() is None
    assert found(index) == {"Text of a"}


@pytest.mark.parametrize("fresh", [True, False])
def test_an_interrupted_build_is_continued_by_who_knows_nothing_of_it(
    open_index: Opener, fresh: bool
) -> None:
    first, second = open_index(), open_index()
    publish(first, A)
    build = first.build(MANIFEST, fresh=fresh)
    build.put([B])
    build.release()
    again = second.interrupted()
    assert again is not None
    assert {each.chunk.text for each in again.entries()} == {
        "Text of b",
        *([] if fresh else ["Text of a"]),
    }
    again.discard()
    assert second.interrupted() is None
    assert found(second) == {"Text of a"}


def test_of_an_interrupted_first_build_nothing_is_left_once_it_is_discarded(
    open_index: Opener,
) -> None:
    build = open_index().build(OTHER)
    build.put([embedded(entry("a"), [0, 1])])
    build.release()
    again = open_index().interrupted()
    assert again is not None
    assert [each.chunk.text for each in again.entries()] == ["Text of a"]
    again.discard()
    index = open_index()
    assert index.interrupted() is None
    assert list(index.build(MANIFEST).entries()) == []


def test_a_build_that_was_taken_over_refuses_to_go_on(index: VectorIndex) -> None:
    old = index.build(MANIFEST)
    new = index.build(MANIFEST)
    for attempt in (
        lambda: old.put([A]),
        lambda: old.relabel([A.entry]),
        lambda: old.remove([A.entry.chunk.id]),
        lambda: list(old.entries()),
        old.publish,
    ):
        with pytest.raises(BackendUnavailable, match="over"):
            attempt()
    old.discard()
    old.release()
    new.put([A])
    new.publish()
    assert found(index) == {"Text of a"}


@pytest.mark.parametrize("open_index", ["edge", "qdrant-memory", "qdrant-server"], indirect=True)
def test_two_processes_do_not_build_at_once(open_index: Opener) -> None:
    first, second = open_index(), open_index()
    build = first.build(MANIFEST)
    with pytest.raises(BackendUnavailable, match=r"process [0-9]+.* is building"):
        second.build(MANIFEST)
    build.put([A])
    build.publish()
    publish(second, B)
    assert found(first) == {"Text of a", "Text of b"}
