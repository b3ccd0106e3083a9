"""How every vector index answers: the port's docstrings, sentence by sentence."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from typing import Any, get_args

import numpy as np
import pytest

from llm_engineering.domain.chunks import SentenceId
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind
from llm_engineering.domain.errors import IndexEmpty, IndexMismatch, InvalidInput
from llm_engineering.domain.vectors import DenseLeg, EmbeddedChunk, Leg, SparseLeg, SparseVector
from llm_engineering.ports.stores import Facet, VectorIndex
from tests.contract.indexed_chunks import (
    MANIFEST,
    WIDE,
    chunks_of,
    dense,
    document,
    embedded,
    entry,
    found,
    ids,
    linked,
    publish,
    random_chunk,
    random_chunks,
    random_legs,
    sparse,
    units,
)
from tests.contract.plain_ranking import assert_ranked_as, ranking
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
    assert index.values("author") == {}
    with pytest.raises(IndexEmpty):
        index.chunks([entry().chunk.id])


def test_a_published_index_tells_its_manifest_and_version(index: VectorIndex) -> None:
    version = publish(index, embedded(entry()))
    assert index.manifest() == MANIFEST
    assert index.version() == version != ""


def test_a_hit_names_the_sentence_and_its_cosine(index: VectorIndex) -> None:
    of = entry(sentences=2)
    rows = units([[3, 0, 0, 4], [0, 0, 0, 1]])
    publish(index, EmbeddedChunk(of, {"text": rows}, {"bm25": [SparseVector.of({})] * 2}))
    [[first, second]] = index.search([dense((2, 0, 0, 0))])
    assert [first.sentence, second.sentence] == [SentenceId(of.chunk.id, n) for n in (0, 1)]
    assert first.score == pytest.approx(0.6, abs=1e-3)
    assert second.score == 0


def test_dense_vectors_are_kept_in_half_precision(index: VectorIndex) -> None:
    vector = np.array([0.123456, 0.654321, 0.5, 0.55555], dtype=np.float32)
    publish(index, embedded(entry(), vector.tolist()))
    [[hit]] = index.search([dense((1, 0, 0, 0))])
    unit = vector / np.linalg.norm(vector)
    assert hit.score == float(np.float16(unit[0])) != pytest.approx(float(unit[0]), abs=1e-6)


def test_chunks_come_back_by_id_and_unknown_ids_are_left_out(index: VectorIndex) -> None:
    a, b = entry("a", sentences=3), linked(entry("b"), to=entry("a")).entry
    publish(index, embedded(a), linked(entry("b"), to=entry("a")))
    strange = [entry("c").chunk.id, SentenceId(a.chunk.id, 0).uuid()]
    assert index.chunks([a.chunk.id, *strange, b.chunk.id]) == {
        a.chunk.id: a.chunk,
        b.chunk.id: b.chunk,
    }
    assert index.chunks([]) == {}


def test_a_sparse_score_is_the_dot_product_times_idf_over_sentences(index: VectorIndex) -> None:
    publish(
        index,
        embedded(entry("a"), terms={1: 2.0, 2: 1.0}),
        embedded(entry("b", sentences=2), terms={2: 1.0}),
        embedded(entry("no terms"), terms={}),
    )
    leg = SparseLeg("bm25", SparseVector.of({1: 1.0, 2: 0.5}), 10)
    [[first, *others]] = index.search([leg])
    of_1 = np.log1p((3 - 1 + 0.5) / (1 + 0.5))
    of_2 = np.log1p((3 - 3 + 0.5) / (3 + 0.5))
    b = entry("b").chunk.id
    assert first.sentence == SentenceId(entry("a").chunk.id, 0)
    assert first.score == pytest.approx(2 * of_1 + 0.5 * of_2, rel=1e-5)
    assert ids(others) == [SentenceId(b, 0), SentenceId(b, 1)]
    assert [hit.score for hit in others] == pytest.approx([0.5 * of_2] * 2, rel=1e-5)


def test_near_duplicates_do_not_count_in_idf(index: VectorIndex) -> None:
    a, b = embedded(entry("a"), terms={1: 1.0}), embedded(entry("b"), terms={1: 1.0})
    publish(index, a, b, embedded(entry("c"), terms={2: 1.0}))
    build = index.build(MANIFEST)
    build.relabel([linked(entry("b"), to=entry("a")).entry])
    build.publish()
    [[hit]] = index.search([sparse(1)])
    assert hit.score == pytest.approx(np.log1p((2 - 1 + 0.5) / (1 + 0.5)), rel=1e-5)


@pytest.mark.parametrize("where", FILTERS, ids=range(len(FILTERS)))
def test_every_leg_ranks_as_the_plain_reference_does(
    index: VectorIndex, where: DocumentFilter
) -> None:
    chunks = random_chunks(120)
    publish(index, *chunks, manifest=WIDE)
    for seed in range(5):
        legs = random_legs(seed=seed)
        for leg, hits in zip(legs, index.search(legs, where=where), strict=True):
            want = ranking(chunks, leg, gate=WIDE.gate, where=where)
            assert_ranked_as(hits, want, limit=leg.limit)


def test_a_leg_beside_the_gate_ranks_no_more_than_its_pool(index: VectorIndex) -> None:
    chunks = random_chunks(60)
    publish(index, *chunks, manifest=WIDE)
    for pool in (1, 7, 30):
        [gate, far] = [
            DenseLeg(name, np.ones(WIDE.dimension, dtype=np.float32), limit, pool)
            for name, limit in (("gate", pool), ("far", 1_000))
        ]
        by_gate, by_far = index.search([gate, far])
        assert len(by_far) == pool
        assert set(ids(by_far)) == set(ids(by_gate))


@pytest.mark.parametrize("where", FILTERS, ids=range(len(FILTERS)))
def test_filters_let_through_what_the_reference_rule_lets_through(
    index: VectorIndex, where: DocumentFilter
) -> None:
    chunks = random_chunks(80)
    publish(index, *chunks, manifest=WIDE)
    matching = [c for c in chunks if where.matches(c.entry.chunk.document)]
    sentences = [
        SentenceId(c.entry.chunk.id, n) for c in matching for n in range(len(c.dense["gate"]))
    ]
    assert index.count(where) == len(sentences)
    leg = DenseLeg("gate", np.ones(WIDE.dimension, dtype=np.float32), 1_000, 1_000)
    assert sorted(ids(index.search([leg], where=where)[0])) == sorted(sentences)


@pytest.mark.parametrize("field", get_args(Facet))
def test_values_are_counted_in_rankable_sentences(index: VectorIndex, field: Facet) -> None:
    chunks = random_chunks(40)
    publish(index, *chunks, linked(entry("z", author="Zoe"), to=chunks[0].entry), manifest=WIDE)
    expected = Counter[str]()
    for chunk in chunks:
        held = getattr(chunk.entry.chunk.document, field)
        for value in {held} if isinstance(held, str) else set(held or ()):
            expected[str(value)] += len(chunk.dense["gate"])
    assert index.values(field) == expected


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
    expected = sorted(SentenceId(chunk.entry.chunk.id, 0) for chunk in chunks)
    for limit in (1, 7, 60, 90, 1_000):
        by_cosine, by_term = index.search([dense(limit=limit), sparse(7, limit=limit)])
        assert ids(by_cosine) == ids(by_term) == expected[:limit]


def test_ties_among_the_pool_are_in_order_too(index: VectorIndex) -> None:
    rng = np.random.default_rng(0)
    chunks = [random_chunk(f"n{number}", rng) for number in range(40)]
    same = np.eye(1, WIDE.dimension, dtype=np.float32)
    alike = [
        EmbeddedChunk(
            c.entry, {**c.dense, "far": np.repeat(same, len(c.dense["far"]), 0)}, c.sparse
        )
        for c in chunks
    ]
    publish(index, *alike, manifest=WIDE)
    every = sorted(
        SentenceId(c.entry.chunk.id, n) for c in alike for n in range(len(c.dense["far"]))
    )
    for limit in (1, 40, len(every)):
        [hits] = index.search([DenseLeg("far", same[0], limit, 1_000)])
        assert ids(hits) == every[:limit]


def test_legs_are_answered_in_the_order_asked(index: VectorIndex) -> None:
    publish(
        index,
        embedded(entry("a"), (1, 0, 0, 0), {1: 1.0}),
        embedded(entry("b"), (0, 1, 0, 0), {2: 1.0}),
    )
    answers = index.search(
        [sparse(2), dense((1, 0, 0, 0), limit=1), sparse(), dense((0, 1, 0, 0), limit=1)]
    )
    texts = [[chunk.text for chunk in chunks_of(index, hits)] for hits in answers]
    assert texts == [["Text of b"], ["Text of a"], [], ["Text of b"]]
    assert index.search([]) == []


def test_a_term_that_no_chunk_holds_finds_nothing(index: VectorIndex) -> None:
    publish(index, embedded(entry()))
    assert index.search([sparse(99)]) == [[]]


@pytest.mark.parametrize(
    ("leg", "said"),
    [
        (dense([1.0, 0.0]), "2 dimensions .* 4 .*'counting'"),
        (DenseLeg("title", np.ones(4, dtype=np.float32), 3, 3), "'title'.* text;"),
        (SparseLeg("splade", SparseVector.of({1: 1.0}), 3), "'splade'.* bm25;"),
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
    [hits] = index.search([dense()], where=DocumentFilter(authors=(text[:30],)))
    assert chunks_of(index, hits) == [of.chunk]


@pytest.mark.parametrize("missing", ["language", "published_at"])
def test_a_document_without_a_language_or_date_comes_back_without(
    index: VectorIndex, missing: str
) -> None:
    without: dict[str, Any] = {missing: None}
    of = entry("a", **without)
    publish(index, embedded(of))
    [chunk] = chunks_of(index, index.search([dense()])[0])
    assert chunk.document == document("a", **without)


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
    """Each version holds chunks of its own, and weighs the term by a population of its own."""
    reader, writer = open_index(), open_index()
    of_version = {
        SentenceId(entry(f"v{number}.{each}").chunk.id, 0): number
        for number in range(6)
        for each in range(number + 1)
    }

    def version(number: int) -> str:
        build = writer.build(MANIFEST, fresh=True)
        build.put([embedded(entry(f"v{number}.{each}")) for each in range(number + 1)])
        return build.publish()

    def search_until(done: Event) -> list[int]:
        seen = []
        while not done.is_set():
            by_cosine, by_term = reader.search([dense(), sparse(7)])
            [number] = {of_version[key] for key in ids(by_cosine)}
            assert ids(by_term) == ids(by_cosine)
            assert len(by_term) == number + 1
            weight = np.log1p(0.5 / (number + 1.5))
            assert [hit.score for hit in by_term] == pytest.approx([weight] * (number + 1))
            seen.append(number)
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
        seen = [number for search in searches for number in search.result()]
    assert seen
    assert {of_version[key] for key in ids(reader.search([dense()])[0])} == {5}


def test_closing_twice_is_fine(index: VectorIndex) -> None:
    index.close()
    index.close()
