"""How every vector index answers: the port's docstrings, sentence by sentence."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from typing import Any

import numpy as np
import pytest

from llm_engineering.domain.chunks import DenseLeg, Hit, Leg, SparseLeg, SparseVector
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind
from llm_engineering.domain.errors import IndexEmpty, IndexMismatch, InvalidInput
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.ports.stores import VectorIndex
from tests.contract.indexed_chunks import (
    MANIFEST,
    WIDE,
    dense,
    document,
    embedded,
    entry,
    found,
    ids,
    linked,
    publish,
    random_chunks,
    random_legs,
    sparse,
)
from tests.contract.vector_indexes import Opener

NEW_YEAR = datetime(2022, 1, 1, tzinfo=UTC)
FILTERS = (
    EVERYTHING,
    DocumentFilter(authors=("Bob",)),
    DocumentFilter(authors=("Çelik 🦊", "Bob")),
    DocumentFilter(authors=("ada",)),
    DocumentFilter(kinds=(DocumentKind.POST, DocumentKind.NOTE)),
    DocumentFilter(sources=("web:example.org",)),
    DocumentFilter(languages=("de",)),
    DocumentFilter(tags=("code", "life")),
    DocumentFilter(published_from=NEW_YEAR),
    DocumentFilter(published_before=NEW_YEAR),
    DocumentFilter(published_from=NEW_YEAR, published_before=NEW_YEAR + timedelta(days=365)),
    DocumentFilter(
        authors=("Ada",),
        sources=("files:notes",),
        languages=("en", "de"),
        tags=("math",),
        published_from=NEW_YEAR,
    ),
)


@pytest.mark.parametrize(
    "legs",
    [[], [dense()], [sparse()], [dense([0.0] * 3)]],
    ids=["no leg", "dense", "empty sparse", "unfit"],
)
def test_before_the_first_publish_there_is_nothing_to_search(
    index: VectorIndex, legs: list[Leg]
) -> None:
    with pytest.raises(IndexEmpty, match="twin run features"):
        index.search(legs)


def test_before_the_first_publish_there_is_no_manifest_no_version_and_no_chunk(
    index: VectorIndex,
) -> None:
    with pytest.raises(IndexEmpty):
        index.manifest()
    assert index.version() == ""
    assert index.count() == 0


def test_a_published_index_tells_its_manifest_and_version(index: VectorIndex) -> None:
    version = publish(index, embedded(entry()))
    assert index.manifest() == MANIFEST
    assert index.version() == version != ""


def test_a_hit_carries_the_whole_chunk_and_its_cosine(index: VectorIndex) -> None:
    publish(index, embedded(entry(), (3, 0, 0, 4)))
    [[hit]] = index.search([dense((2, 0, 0, 0))])
    assert hit.chunk == entry().chunk
    assert hit.score == pytest.approx(0.6, abs=1e-6)


def test_a_sparse_score_is_the_dot_product_times_idf(index: VectorIndex) -> None:
    publish(
        index,
        embedded(entry("a"), terms={1: 2.0, 2: 1.0}),
        embedded(entry("b"), terms={2: 1.0}),
        embedded(entry("c"), terms={3: 1.0}),
        embedded(entry("no terms"), terms={}),
    )
    leg = SparseLeg("bm25", SparseVector([1, 2], [1.0, 0.5]), 10)
    [[first, second]] = index.search([leg])
    of_1 = np.log1p((3 - 1 + 0.5) / (1 + 0.5))
    of_2 = np.log1p((3 - 2 + 0.5) / (2 + 0.5))
    assert (first.chunk, second.chunk) == (entry("a").chunk, entry("b").chunk)
    assert first.score == pytest.approx(2 * of_1 + 0.5 * of_2, rel=1e-5)
    assert second.score == pytest.approx(0.5 * of_2, rel=1e-5)


@pytest.mark.parametrize("where", FILTERS, ids=range(len(FILTERS)))
def test_every_leg_ranks_as_the_brute_force_reference_does(
    index: VectorIndex, where: DocumentFilter
) -> None:
    chunks = random_chunks(150)
    reference = MemoryVectorIndex()
    for each in (reference, index):
        publish(each, *chunks, manifest=WIDE)
    for seed in range(5):
        got = index.search(random_legs(seed=seed), where=where)
        every = reference.search(random_legs(seed=seed, limit=1_000), where=where)
        for answer, scored in zip(got, every, strict=True):
            assert_ranked_as(answer, scored[:20], scores={h.chunk.id: h.score for h in scored})


def assert_ranked_as(got: list[Hit], want: list[Hit], *, scores: dict[str, float]) -> None:
    """Engines calculate in single precision, so hits that score alike may change places."""
    assert [hit.score for hit in got] == pytest.approx([hit.score for hit in want], abs=1e-4)
    assert [scores[key] for key in ids(got)] == pytest.approx([hit.score for hit in got], abs=1e-4)
    assert len(set(ids(got))) == len(got)


@pytest.mark.parametrize("where", FILTERS, ids=range(len(FILTERS)))
def test_filters_let_through_what_the_reference_rule_lets_through(
    index: VectorIndex, where: DocumentFilter
) -> None:
    chunks = random_chunks(80)
    publish(index, *chunks, manifest=WIDE)
    matching = [c for c in chunks if where.matches(c.entry.chunk.document)]
    assert index.count(where) == len(matching)
    hits = ids(index.search([DenseLeg("text", [1.0] * WIDE.dimension, 1_000)], where=where)[0])
    assert sorted(hits) == sorted(c.entry.chunk.id for c in matching if "text" in c.dense)


def test_dates_compare_as_moments_to_the_microsecond(index: VectorIndex) -> None:
    at = datetime(2024, 1, 31, 23, 30, 0, 5, tzinfo=timezone(timedelta(hours=-2)))
    publish(index, embedded(entry("a", published_at=at)))
    assert index.count(DocumentFilter(published_from=at.astimezone(UTC))) == 1
    assert index.count(DocumentFilter(published_before=at.astimezone(UTC))) == 0
    later = at + timedelta(microseconds=1)
    assert index.count(DocumentFilter(published_from=later)) == 0
    assert index.count(DocumentFilter(published_before=later)) == 1


def test_a_date_without_a_time_zone_is_refused(index: VectorIndex) -> None:
    publish(index, embedded(entry()))
    where = DocumentFilter(published_from=datetime(2024, 1, 1))
    with pytest.raises(InvalidInput, match="time zone"):
        index.search([dense()], where=where)
    with pytest.raises(InvalidInput, match="time zone"):
        index.count(where)


def test_near_duplicates_are_neither_found_nor_counted(index: VectorIndex) -> None:
    publish(index, embedded(entry("a")), linked(entry("b"), to=entry("a")))
    assert found(index) == {"Text of a"}
    assert found(index, sparse(7)) == {"Text of a"}
    assert index.count() == 1


def test_ties_are_in_order_of_chunk_id_wherever_the_limit_cuts(index: VectorIndex) -> None:
    chunks = [embedded(entry(f"n{number}")) for number in range(90)]
    publish(index, *chunks)
    expected = sorted(chunk.entry.chunk.id for chunk in chunks)
    for limit in (1, 7, 60, 90, 1_000):
        by_cosine, by_term = index.search([dense(limit=limit), sparse(7, limit=limit)])
        assert ids(by_cosine) == ids(by_term) == expected[:limit]


def test_legs_are_answered_in_the_order_asked(index: VectorIndex) -> None:
    publish(
        index,
        embedded(entry("a"), (1, 0, 0, 0), {1: 1.0}),
        embedded(entry("b"), (0, 1, 0, 0), {2: 1.0}),
    )
    answers = index.search(
        [sparse(2), dense((1, 0, 0, 0), limit=1), sparse(), dense((0, 1, 0, 0), limit=1)]
    )
    texts = [[hit.chunk.text for hit in hits] for hits in answers]
    assert texts == [["Text of b"], ["Text of a"], [], ["Text of b"]]
    assert index.search([]) == []


def test_a_term_that_no_chunk_holds_finds_nothing(index: VectorIndex) -> None:
    publish(index, embedded(entry()))
    assert index.search([sparse(99)]) == [[]]


@pytest.mark.parametrize(
    ("leg", "said"),
    [
        (dense([1.0, 0.0]), "2 dimensions .* 4 .*'counting'"),
        (DenseLeg("title", [1.0, 0, 0, 0], 3), "'title'.* text;"),
        (SparseLeg("splade", SparseVector([1], [1.0]), 3), "'splade'.* bm25;"),
    ],
    ids=["dimension", "dense name", "sparse name"],
)
def test_a_leg_that_the_index_cannot_answer_is_a_mismatch_that_names_both(
    index: VectorIndex, leg: Leg, said: str
) -> None:
    publish(index, embedded(entry()))
    with pytest.raises(IndexMismatch, match=said):
        index.search([leg])


@pytest.mark.parametrize(
    "text",
    ["😀 e\u0301 \u202e", "a\0b", "\r\n\r\n\t", "\u2028\u0085\uffff", "'\"\\{}$.%?", "é" * 100_000],
    ids=["emoji", "zero byte", "white space", "separators", "quotes", "long"],
)
def test_any_text_comes_back_as_it_was_put(index: VectorIndex, text: str) -> None:
    of = entry(text, text=text, title=text[:50], tags=(text[:20],), author=text[:30])
    publish(index, embedded(of))
    [[hit]] = index.search([dense()], where=DocumentFilter(authors=(text[:30],)))
    assert hit.chunk == of.chunk


@pytest.mark.parametrize("missing", ["language", "published_at"])
def test_a_document_without_a_language_or_date_comes_back_without(
    index: VectorIndex, missing: str
) -> None:
    without: dict[str, Any] = {missing: None}
    of = entry("a", **without)
    publish(index, embedded(of))
    [[hit]] = index.search([dense()])
    assert hit.chunk.document == document("a", **without)


def test_readers_follow_what_another_process_publishes(open_index: Opener) -> None:
    reader, writer = open_index(), open_index()
    first = publish(writer, embedded(entry("a")))
    assert (found(reader), reader.version()) == ({"Text of a"}, first)
    second = publish(writer, embedded(entry("b")))
    assert (found(reader), reader.version()) == ({"Text of a", "Text of b"}, second)
    assert first != second


def test_every_answer_is_wholly_of_one_version_while_versions_are_published(
    open_index: Opener,
) -> None:
    """Each version holds the same chunks under its own heading, ranked by both legs."""
    reader, writer = open_index(), open_index()
    names = [f"n{number}" for number in range(6)]

    def version(number: int) -> str:
        build = writer.build(MANIFEST, fresh=True)
        build.put([embedded(entry(name, title=f"v{number}")) for name in names])
        return build.publish()

    def search_until(done: Event) -> list[list[set[str]]]:
        seen = []
        while not done.is_set():
            answers = reader.search([dense(), sparse(7)])
            assert [len(hits) for hits in answers] == [6, 6]
            seen.append([{hit.chunk.document.title for hit in hits} for hits in answers])
            done.wait(0.002)  # leaves the publisher a turn
        return seen

    version(0)
    done = Event()
    with ThreadPoolExecutor(8) as pool:
        searches = [pool.submit(search_until, done) for _ in range(8)]
        try:
            for number in range(1, 6):
                version(number)
        finally:
            done.set()
        seen = [titles for search in searches for titles in search.result()]
    assert seen
    assert all(by_cosine == by_term and len(by_cosine) == 1 for by_cosine, by_term in seen)
    assert {hit.chunk.document.title for hit in reader.search([dense()])[0]} == {"v5"}


def test_closing_twice_is_fine(index: VectorIndex) -> None:
    index.close()
    index.close()
