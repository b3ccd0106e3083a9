"""Building features does the difference, only the difference, and can be killed anywhere."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.clean import clean
from llm_engineering.application.context import CONTEXT_TOKENS
from llm_engineering.application.features import FeaturesConfig, build_features, manifest_of
from llm_engineering.application.units import MAX_TOKENS
from llm_engineering.application.windows import DENSE_WINDOWS, REACH, SPARSE_WINDOWS
from llm_engineering.domain.chunks import IndexEntry
from llm_engineering.domain.documents import Document, DocumentFilter
from llm_engineering.domain.errors import IndexMismatch, InvalidConfig
from llm_engineering.domain.reports import FeatureReport
from llm_engineering.domain.vectors import Hit, Leg, SparseLeg
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.rich_progress import Silent
from tests.unit.writing import NOW, document

CONFIG = FeaturesConfig(chunk=ChunkRule(max_tokens=32, min_tokens=4))


class CountingEmbedder(HashEmbedder):
    """Counts the texts that it embeds, and can be made to fail."""

    embedded = 0
    fail_after = 10**9

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        if self.embedded > self.fail_after:
            raise InterruptedError("pulled the plug")
        return super().embed(texts)


class World:
    """A store, an index and the run that joins them."""

    def __init__(self) -> None:
        self.store = MemoryDocumentStore()
        self.index = MemoryVectorIndex()
        self.embedder = CountingEmbedder(dimension=32)

    def run(self, config: FeaturesConfig = CONFIG) -> FeatureReport:
        return build_features(
            config,
            store=self.store,
            index=self.index,
            embedder=self.embedder,
            sparse=Bm25Encoder(),
            progress=Silent(),
        )

    def entries(self) -> dict[str, IndexEntry]:
        build = self.index.build(self.index.manifest())
        try:
            return {entry.chunk.id: entry for entry in build.entries()}
        finally:
            build.discard()

    def held(self, config: FeaturesConfig = CONFIG) -> int:
        """Entries of the build that an interrupted run left behind."""
        manifest = manifest_of(config, embedder=self.embedder, sparse=Bm25Encoder())
        build = self.index.build(manifest)
        try:
            return sum(1 for _ in build.entries())
        finally:
            build.release()

    def passages(self, hits: Sequence[Hit]) -> list[str]:
        """Text of each hit's chunk."""
        chunks = self.index.chunks([hit.sentence.chunk for hit in hits])
        return [chunks[hit.sentence.chunk].text for hit in hits]


def asked(query: str, *, limit: int = 5) -> list[Leg]:
    terms = Bm25Encoder().query(query)
    return [SparseLeg(name, terms, limit) for name in SPARSE_WINDOWS]


def note(number: int, text: str | None = None, **changes: object) -> Document:
    body = text or (
        f"# Note {number}\n\n"
        f"This is what note number {number} says about thing{number}. It says it twice.\n\n"
        f"## More\n\nAnd here is more of {number * 7}, {number * 11} and {number * 13}, at length."
    )
    make = partial(document, url=f"https://ada.example/{number}", title=f"Note {number}")
    return make(body, **changes)  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    world = World()
    world.store.put([note(n) for n in range(20)])
    return world


def test_a_first_run_indexes_every_chunk_of_every_document(world: World) -> None:
    report = world.run()
    assert (report.documents, report.new, report.changed, report.removed) == (20, 20, 0, 0)
    assert report.embedded == report.chunks == len(world.entries()) > 20
    sentences = sum(len(entry.chunk.sentences) for entry in world.entries().values())
    assert report.sentences == world.index.count() == sentences > report.chunks
    assert {e.chunk.document.id for e in world.entries().values()} == {
        head.id for head in world.store.heads()
    }


def test_an_unchanged_second_run_embeds_nothing_and_publishes_nothing(world: World) -> None:
    first = world.run()
    embedded = world.embedder.embedded
    second = world.run()
    assert second.embedded == 0
    assert world.embedder.embedded == embedded
    assert (second.unchanged, second.new, second.changed) == (20, 0, 0)
    assert second.version == first.version
    assert (second.chunks, second.sentences) == (first.chunks, first.sentences)


def test_a_changed_document_re_embeds_nothing_of_the_others(world: World) -> None:
    world.run()
    before = world.entries()
    old = note(3)
    world.store.put([note(3, old.text + "\n\n## Later\n\nOne more section was added afterwards.")])
    report = world.run()
    assert (report.changed, report.new, report.unchanged) == (1, 0, 19)
    after = world.entries()
    touched = {key for key in after if before.get(key) != after[key]}
    assert report.embedded == len(touched) > 0
    assert {after[key].chunk.document.id for key in touched} == {old.id}


def long_note(*parts: int, **changes: object) -> Document:
    text = "".join(
        f"## Part {n}\n\nPart {n} says this of thing{n}. It says that of place{n * 7} as well.\n\n"
        for n in parts
    )
    return note(60, text, **changes)


def test_an_insertion_at_the_top_re_embeds_what_is_near_and_relabels_the_rest() -> None:
    world = World()
    world.store.put([long_note(*range(60))])
    first = world.run()
    before = world.entries()
    world.store.put([long_note(99, *range(60))])
    world.embedder.embedded = 0
    report = world.run()
    after = world.entries()
    assert len(after.keys() - before.keys()) == 1
    assert before.keys() <= after.keys()
    near = {key for key in after if key not in before or fingerprint_changed(key, before, after)}
    assert report.embedded == len(near) <= 1 + REACH
    assert report.chunks_removed == 0
    assert world.embedder.embedded <= 4 * REACH + len(near) < first.sentences
    (cleaned,) = map(clean, world.store.find())
    for entry in after.values():
        piece = entry.chunk
        assert cleaned.text[piece.start : piece.end] == piece.text
        assert (piece.sentences[0][0], piece.sentences[-1][1]) == (piece.start, piece.end)
        assert entry.content_hash == cleaned.content_hash


def fingerprint_changed(
    key: str, before: Mapping[str, IndexEntry], after: Mapping[str, IndexEntry]
) -> bool:
    return before[key].fingerprint != after[key].fingerprint


def test_what_the_index_returns_after_an_insertion_stands_where_it_says() -> None:
    world = World()
    world.store.put([long_note(*range(60))])
    world.run()
    world.store.put([long_note(99, *range(60))])
    world.run()
    (hits, _) = world.index.search(asked("thing50"))
    piece = world.index.chunks([hits[0].sentence.chunk])[hits[0].sentence.chunk]
    start, end = piece.sentences[hits[0].sentence.number]
    (cleaned,) = map(clean, world.store.find())
    assert "thing50" in cleaned.text[piece.start : piece.end]
    assert cleaned.text[start:end] == piece.text[start - piece.start : end - piece.start]


def test_a_sentence_that_goes_takes_its_vectors_along() -> None:
    world = World()
    world.store.put([long_note(*range(20))])
    world.run()
    assert not any(world.index.search(asked("sundial")))
    text = long_note(*range(20)).text
    odd = "## Odd\n\nA sundial stands in the garden and tells the hours.\n\n"
    world.store.put([note(60, text.replace("## Part 10", odd + "## Part 10"))])
    world.run()
    assert all(world.index.search(asked("sundial")))
    world.store.put([note(60, text)])
    report = world.run()
    assert report.chunks_removed == 1
    assert report.sentences == world.index.count()
    assert not any(world.index.search(asked("sundial")))


def test_changed_metadata_reaches_the_index_without_embedding(world: World) -> None:
    world.run()
    retitled = note(3)
    dated = note(3, retitled.text, published_at=NOW)
    world.store.put([dated])
    report = world.run()
    assert (report.changed, report.embedded) == (1, 0)
    found = [e for e in world.entries().values() if e.chunk.document.id == dated.id]
    assert found
    assert all(entry.chunk.document.published_at == NOW for entry in found)


def test_a_new_title_is_encoded_into_the_vectors(world: World) -> None:
    text = "No heading here, so the title alone tells what these few words are about."
    world.store.put([note(40, text)])
    world.run()
    retitled = note(40, text).model_copy(update={"title": "Sundials", "content_hash": "changed"})
    world.store.put([retitled])
    assert world.run().embedded == 1
    fresh = World()
    fresh.store.put(list(world.store.find()))
    fresh.run()
    found = world.index.search(asked("sundials"))
    assert found == fresh.index.search(asked("sundials"))
    assert all(found)


def test_a_removed_document_leaves_no_chunk_behind(world: World) -> None:
    world.run()
    gone = note(5)
    world.store.remove([gone.id], at=NOW)
    report = world.run()
    assert (report.removed, report.embedded) == (1, 0)
    assert report.chunks_removed > 0
    assert gone.id not in {e.chunk.document.id for e in world.entries().values()}


def test_a_copy_is_linked_to_the_earliest_and_not_ranked(world: World) -> None:
    text = "The very same words were posted twice, here and there, by the same hand on two days."
    world.store.put(
        [
            note(90, text, published_at=NOW),
            note(91, text, published_at=NOW - timedelta(days=1)),
        ]
    )
    report = world.run()
    assert report.duplicates == 1
    linked = [e for e in world.entries().values() if e.duplicate_of]
    (entry,) = linked
    assert entry.chunk.document.id == note(90).id
    assert world.entries()[entry.duplicate_of or ""].chunk.document.id == note(91).id
    ranked = [e.chunk for e in world.entries().values() if not e.duplicate_of]
    assert world.index.count() == sum(len(chunk.sentences) for chunk in ranked)


def test_a_copy_in_another_source_can_be_found_by_that_source(world: World) -> None:
    text = "The very same words were posted twice, here and there, by the same hand on two days."
    world.store.put([note(90, text), note(91, text, source="feed:ada.example")])
    assert world.run().duplicates == 0
    for source in ("files:notes", "feed:ada.example"):
        where = DocumentFilter(sources=(source,))
        for hits in world.index.search(asked("same words posted twice"), where=where):
            assert world.passages(hits)[0] == text


def test_when_the_original_goes_its_copy_is_indexed(world: World) -> None:
    text = "The very same words were posted twice, here and there, by the same hand on two days."
    first = note(91, text, published_at=NOW - timedelta(days=1))
    world.store.put([note(90, text, published_at=NOW), first])
    world.run()
    world.store.remove([first.id], at=NOW)
    report = world.run()
    assert (report.embedded, report.duplicates) == (1, 0)
    assert all(entry.duplicate_of is None for entry in world.entries().values())


def test_an_older_copy_that_arrives_later_takes_the_place(world: World) -> None:
    text = "The very same words were posted twice, here and there, by the same hand on two days."
    world.store.put([note(90, text, published_at=NOW)])
    world.run()
    world.store.put([note(91, text, published_at=NOW - timedelta(days=1))])
    world.run()
    fresh = World()
    fresh.store.put(list(world.store.find()))
    fresh.run()
    assert world.entries() == fresh.entries()
    assert world.index.count() == fresh.index.count()


def test_an_empty_document_is_counted_and_indexes_nothing(world: World) -> None:
    world.store.put([note(50, " \n\n ")])
    assert world.run().empty == 1
    again = world.run()
    assert (again.empty, again.new, again.embedded) == (1, 0, 0)


@pytest.mark.parametrize(("survives", "keeps"), [(0, False), (1, False), (40, True), (60, True)])
def test_an_interrupted_run_then_again_gives_the_index_of_one_clean_run(
    world: World, survives: int, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_engineering.application.features._EMBED_BATCH", 3)
    fresh = World()
    fresh.store.put(list(world.store.find()))
    fresh.run()
    world.embedder.fail_after = survives
    with pytest.raises(InterruptedError):
        world.run()
    assert world.index.version() == ""
    held = world.held()
    assert (held > 0) is keeps
    world.embedder.fail_after = 10**9
    report = world.run()
    assert report.embedded == len(fresh.entries()) - held > 0
    assert world.entries() == fresh.entries()
    assert world.index.count() == fresh.index.count()


def test_a_document_of_which_only_a_part_was_indexed_is_completed(world: World) -> None:
    world.run()
    build = world.index.build(world.index.manifest())
    victim = note(4).id
    parts = [e.chunk.id for e in build.entries() if e.chunk.document.id == victim]
    build.remove(parts[:1])
    build.publish()
    report = world.run()
    assert report.embedded == 1
    assert {e.chunk.id for e in world.entries().values()} >= set(parts)


def test_rebuilding_embeds_everything_again(world: World) -> None:
    first = world.run()
    assert world.run(CONFIG.model_copy(update={"rebuild": True})).embedded == first.embedded


def test_another_embedder_is_refused_unless_rebuilding(world: World) -> None:
    world.run()
    world.embedder = CountingEmbedder(dimension=16)
    with pytest.raises(IndexMismatch, match="hash"):
        world.run()
    world.run(CONFIG.model_copy(update={"rebuild": True}))
    assert world.index.manifest().dimension == 16


def test_prefixes_make_another_index(world: World) -> None:
    world.run()
    prefixed = CONFIG.model_copy(update={"prefix": True})
    with pytest.raises(IndexMismatch, match="prefixed"):
        world.run(prefixed)
    plain = world.index.manifest()
    report = world.run(prefixed.model_copy(update={"rebuild": True}))
    assert report.embedded == report.chunks
    assert world.index.manifest() != plain
    assert world.run(prefixed).embedded == 0
    with pytest.raises(IndexMismatch, match="prefixed"):
        world.run()


def test_the_manifest_names_every_vector_of_a_sentence(world: World) -> None:
    world.run()
    manifest = world.index.manifest()
    assert (manifest.dense, manifest.sparse) == (tuple(DENSE_WINDOWS), tuple(SPARSE_WINDOWS))
    assert manifest.gate in manifest.dense
    assert manifest.terms == Bm25Encoder().name


@pytest.mark.parametrize(
    ("window", "prefix", "fits"),
    [(59, False, False), (60, False, True), (107, True, False), (108, True, True)],
)
def test_sentences_that_would_not_fit_the_window_are_refused(
    window: int, prefix: bool, fits: bool, world: World
) -> None:
    class Narrow(CountingEmbedder):
        @property
        def window(self) -> int:
            return window

    world.embedder = Narrow(dimension=32)
    config = CONFIG.model_copy(update={"prefix": prefix})
    if fits:
        assert world.run(config).embedded > 0
    else:
        with pytest.raises(InvalidConfig, match=f"is {window} tokens; sentences need"):
            world.run(config)


@pytest.mark.parametrize("prefix", [False, True])
def test_no_text_goes_to_the_embedder_longer_than_its_window(world: World, prefix: bool) -> None:
    seen: list[str] = []

    class Watching(CountingEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            seen.extend(texts)
            return super().embed(texts)

    world.embedder = Watching(dimension=32)
    long_title = "A title with far too many words in it, " * 30
    world.store.put([document("word " * 3000, url="https://ada.example/long", title=long_title)])
    world.run(FeaturesConfig(prefix=prefix))
    longest = max(len(spans) for spans in world.embedder.token_spans(seen))
    assert longest <= MAX_TOKENS + CONTEXT_TOKENS <= world.embedder.window
