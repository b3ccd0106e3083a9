"""How every vector index is built and published: the port's docstrings, sentence by sentence."""

import pytest

from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.errors import IndexMismatch
from llm_engineering.domain.vectors import EmbeddedChunk, SparseVector
from llm_engineering.ports.stores import VectorIndex
from tests.contract.indexed_chunks import (
    MANIFEST,
    chunks_of,
    dense,
    embedded,
    entry,
    found,
    ids,
    linked,
    publish,
    sparse,
    units,
)
from tests.contract.vector_indexes import Opener

OTHER = MANIFEST.model_copy(update={"embedder": "another", "dimension": 2})
ONE_ROW = units([[1, 0, 0, 0]])
A, B, C = (embedded(entry(name)) for name in "abc")


def texts(index: VectorIndex) -> set[str]:
    """What a build would start from."""
    build = index.build(index.manifest())
    held = {each.chunk.text for each in build.entries()}
    build.discard()
    return held


def test_a_build_starts_as_the_published_index(index: VectorIndex) -> None:
    publish(index, A, linked(entry("b"), to=entry("a")))
    build = index.build(MANIFEST)
    held = {each.chunk.id: each for each in build.entries()}
    assert held == {
        A.entry.chunk.id: A.entry,
        B.entry.chunk.id: linked(entry("b"), to=entry("a")).entry,
    }
    assert not build.dirty()


def test_nobody_reads_a_build_before_it_is_published(open_index: Opener) -> None:
    index, reader = open_index(), open_index()
    version = publish(index, A)
    build = index.build(MANIFEST)
    build.put([B])
    build.remove([A.entry.chunk.id])
    assert (found(reader), reader.version(), reader.count()) == ({"Text of a"}, version, 1)
    assert build.publish() == reader.version() != version
    assert found(reader) == {"Text of b"}


def test_putting_twice_keeps_one_entry_with_the_later_vectors(index: VectorIndex) -> None:
    publish(index, A)
    later = entry("a", title="Later")
    publish(index, embedded(later, (0, 1, 0, 0), {9: 1.0}))
    assert index.count() == 1
    [[hit]] = index.search([dense((0, 1, 0, 0))])
    assert chunks_of(index, [hit]) == [later.chunk]
    assert hit.score == pytest.approx(1)
    assert found(index, sparse(9)) == {"Text of a"}
    assert found(index, sparse(7)) == set()


def test_of_one_chunk_put_twice_in_one_call_the_last_counts(index: VectorIndex) -> None:
    publish(index, A, embedded(entry("a", title="Later"), (0, 1, 0, 0)))
    [[hit]] = index.search([dense((0, 1, 0, 0))])
    assert chunks_of(index, [hit])[0].document.title == "Later"
    assert hit.score == pytest.approx(1)


def test_a_chunk_put_again_as_a_duplicate_loses_its_rank(index: VectorIndex) -> None:
    publish(index, A, B)
    publish(index, linked(entry("b"), to=entry("a")))
    assert found(index) == found(index, sparse(7)) == {"Text of a"}
    assert texts(index) == {"Text of a", "Text of b"}


def test_a_duplicate_put_again_with_vectors_is_found(index: VectorIndex) -> None:
    publish(index, A, linked(entry("b"), to=entry("a")))
    publish(index, B)
    assert found(index) == found(index, sparse(7)) == {"Text of a", "Text of b"}


def test_relabelling_replaces_the_entry_and_keeps_the_vectors(index: VectorIndex) -> None:
    publish(index, embedded(entry("a"), (0, 0, 1, 0), {5: 1.0}), B)
    moved = entry("a", title="Moved", author="Bob")
    build = index.build(MANIFEST)
    build.relabel([moved])
    assert build.dirty()
    assert moved in list(build.entries())
    build.publish()
    where = DocumentFilter(authors=("Bob",))
    [[hit], [by_term]] = index.search([dense((0, 0, 1, 0), limit=1), sparse(5)], where=where)
    assert hit.sentence == by_term.sentence
    assert hit.score == pytest.approx(1)
    assert chunks_of(index, [hit]) == [moved.chunk]
    assert index.values("author") == {"Ada": 1, "Bob": 1}


def test_relabelling_keeps_all_sentences_whatever_the_entry_says(index: VectorIndex) -> None:
    publish(index, embedded(entry("a", text="abc", sentences=3)))
    moved = entry("a", text="abc", sentences=2, author="Bob")
    build = index.build(MANIFEST)
    build.relabel([moved])
    build.publish()
    assert index.count(DocumentFilter(authors=("Bob",))) == index.count() == 3
    build = index.build(MANIFEST)
    build.remove([moved.chunk.id])
    build.publish()
    assert index.count() == 0


def test_a_chunk_put_again_leaves_no_sentence_of_the_old_one(index: VectorIndex) -> None:
    publish(index, embedded(entry("a", text="abc", sentences=3)), B)
    publish(index, embedded(entry("a", text="abc", sentences=1)))
    [by_cosine, by_term] = index.search([dense(), sparse(7)])
    a = entry("a", text="abc").chunk.id
    expected = sorted([SentenceId(a, 0), SentenceId(B.entry.chunk.id, 0)])
    assert ids(by_cosine) == ids(by_term) == expected
    assert index.count() == 2


def test_relabelling_what_was_put_in_the_same_build_keeps_its_vectors(index: VectorIndex) -> None:
    build = index.build(MANIFEST)
    build.put([embedded(entry("a"), (0, 0, 1, 0))])
    build.relabel([entry("a", title="Moved")])
    build.publish()
    [[hit]] = index.search([dense((0, 0, 1, 0))])
    assert chunks_of(index, [hit])[0].document.title == "Moved"
    assert hit.score == pytest.approx(1)


def test_a_chunk_relabelled_as_a_duplicate_and_back_has_its_vectors_still(
    index: VectorIndex,
) -> None:
    publish(index, A, B)
    for of, expected in (
        (linked(entry("b"), to=entry("a")).entry, {"Text of a"}),
        (entry("b"), {"Text of a", "Text of b"}),
    ):
        build = index.build(MANIFEST)
        build.relabel([of])
        build.publish()
        assert found(index) == found(index, sparse(7)) == expected
        assert index.count() == len(expected)


def test_what_does_not_exist_is_neither_relabelled_nor_removed(index: VectorIndex) -> None:
    publish(index, A, B)
    build = index.build(MANIFEST)
    build.relabel([C.entry])
    build.remove([C.entry.chunk.id])
    assert not build.dirty()
    build.remove([B.entry.chunk.id])
    build.relabel([B.entry])
    build.remove([B.entry.chunk.id])
    assert [each.chunk.text for each in build.entries()] == ["Text of a"]
    build.publish()
    assert texts(index) == {"Text of a"}


def test_removed_chunks_are_gone_and_may_come_back(index: VectorIndex) -> None:
    publish(index, A, B)
    build = index.build(MANIFEST)
    build.remove([A.entry.chunk.id, B.entry.chunk.id])
    build.put([B])
    build.publish()
    assert found(index) == texts(index) == {"Text of b"}


def test_a_fresh_build_starts_from_nothing_and_takes_the_place_of_the_old(
    index: VectorIndex,
) -> None:
    publish(index, A)
    build = index.build(OTHER, fresh=True)
    assert build.dirty()
    assert list(build.entries()) == []
    build.put([embedded(entry("b"), [0, 1])])
    assert found(index) == {"Text of a"}
    build.publish()
    assert index.manifest() == OTHER
    assert found(index, dense((0, 1))) == {"Text of b"}


def test_another_manifest_is_a_mismatch_that_names_both(index: VectorIndex) -> None:
    version = publish(index, A)
    with pytest.raises(IndexMismatch, match=r"'counting', not 'another'.* 4, not 2.*--no-cache"):
        index.build(OTHER)
    assert index.version() == version
    assert texts(index) == {"Text of a"}


@pytest.mark.parametrize(
    "chunk",
    [
        embedded(entry(), [1.0, 0.0]),
        EmbeddedChunk(entry(), {"title": ONE_ROW}, {}),
        EmbeddedChunk(entry(), {}, {"splade": [SparseVector.of({1: 1.0})]}),
        EmbeddedChunk(entry(sentences=2), {"text": ONE_ROW}, {}),
        EmbeddedChunk(entry(), {"text": ONE_ROW}, {"bm25": []}),
        EmbeddedChunk(entry(), {"text": ONE_ROW}, {}),
        EmbeddedChunk(linked(entry(), to=entry("b")).entry, {"text": ONE_ROW}, {}),
    ],
    ids=["dimension", "dense name", "sparse name", "rows", "terms", "no terms", "duplicate"],
)
def test_vectors_that_the_build_was_not_started_for_are_refused_whole(
    index: VectorIndex, chunk: EmbeddedChunk
) -> None:
    build = index.build(MANIFEST)
    with pytest.raises(IndexMismatch, match=entry().chunk.id):
        build.put([B, chunk])
    assert list(build.entries()) == []


def test_an_empty_build_publishes_an_empty_index(index: VectorIndex) -> None:
    build = index.build(MANIFEST)
    assert not build.dirty()
    build.put([])
    assert not build.dirty()
    assert build.publish() == index.version() != ""
    assert (index.count(), index.search([dense(), sparse(7)])) == (0, [[], []])


def test_removing_everything_leaves_an_empty_index(index: VectorIndex) -> None:
    publish(index, A)
    build = index.build(MANIFEST)
    build.remove([A.entry.chunk.id])
    build.publish()
    assert (index.count(), found(index)) == (0, set())


def test_publishing_twice_publishes_once(index: VectorIndex) -> None:
    build = index.build(MANIFEST)
    build.put([A])
    version = build.publish()
    assert build.publish() == version == index.version()


def test_many_versions_each_build_on_the_one_before(index: VectorIndex) -> None:
    versions = [publish(index, embedded(entry(f"n{number}"))) for number in range(5)]
    assert len(set(versions)) == 5
    assert found(index) == {f"Text of n{number}" for number in range(5)}


def test_a_discarded_build_leaves_nothing_behind(index: VectorIndex) -> None:
    version = publish(index, A)
    build = index.build(MANIFEST)
    build.put([B])
    build.discard()
    build.discard()
    assert (index.version(), found(index)) == (version, {"Text of a"})
    again = index.build(MANIFEST)
    assert not again.dirty()
    assert [each.chunk.text for each in again.entries()] == ["Text of a"]


def test_after_publish_neither_discard_nor_release_does_anything(index: VectorIndex) -> None:
    build = index.build(MANIFEST)
    build.put([A])
    version = build.publish()
    build.discard()
    build.release()
    assert (index.version(), found(index)) == (version, {"Text of a"})


def test_a_version_that_forgets_answers_from_what_is_left(open_index: Opener) -> None:
    index, reader = open_index(), open_index()
    publish(index, A, B, C)
    assert found(reader) == {"Text of a", "Text of b", "Text of c"}
    build = index.build(MANIFEST)
    build.remove([A.entry.chunk.id])
    build.publish(forget=True)

    assert found(reader) == {"Text of b", "Text of c"}
    assert texts(index) == {"Text of b", "Text of c"}
    publish(index, A)
    assert found(reader) == {"Text of a", "Text of b", "Text of c"}
