"""Building features does the difference, only the difference, and can be killed anywhere."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.domain.chunks import IndexEntry, SparseLeg
from llm_engineering.domain.documents import Document, DocumentFilter
from llm_engineering.domain.errors import IndexMismatch, InvalidConfig
from llm_engineering.domain.reports import FeatureReport
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


def note(number: int, text: str | None = None, **changes: object) -> Document:
    body = text or (
        f"# Note {number}\n\nThis is what note number {number} says about thing{number}.\n\n"
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
    assert report.embedded == report.chunks == world.index.count() == len(world.entries())
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
    assert second.chunks == first.chunks


def test_a_changed_document_re_embeds_only_its_changed_chunks(world: World) -> None:
    world.run()
    before = world.entries()
    old = note(3)
    world.store.put([note(3, old.text + "\n\n## Later\n\nOne more section was added afterwards.")])
    report = world.run()
    assert (report.changed, report.new, report.unchanged) == (1, 0, 19)
    after = world.entries()
    new = after.keys() - before.keys()
    assert report.embedded == len(new) > 0
    assert {after[key].chunk.document.id for key in new} == {old.id}


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
    clean = World()
    clean.store.put(list(world.store.find()))
    clean.run()
    legs = [SparseLeg("bm25", Bm25Encoder().query("sundials"), 3)]
    assert world.index.search(legs) == clean.index.search(legs) != [[]]


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
    assert world.index.count() == len(world.entries()) - 1


def test_a_copy_in_another_source_can_be_found_by_that_source(world: World) -> None:
    text = "The very same words were posted twice, here and there, by the same hand on two days."
    world.store.put([note(90, text), note(91, text, source="feed:ada.example")])
    assert world.run().duplicates == 0
    legs = [SparseLeg("bm25", Bm25Encoder().query("same words posted twice"), 5)]
    for source in ("files:notes", "feed:ada.example"):
        (hits,) = world.index.search(legs, where=DocumentFilter(sources=(source,)))
        assert hits[0].chunk.text == text


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
    clean = World()
    clean.store.put(list(world.store.find()))
    clean.run()
    assert world.entries() == clean.entries()
    assert world.index.count() == clean.index.count()


def test_an_empty_document_is_counted_and_indexes_nothing(world: World) -> None:
    world.store.put([note(50, " \n\n ")])
    assert world.run().empty == 1
    again = world.run()
    assert (again.empty, again.new, again.embedded) == (1, 0, 0)


@pytest.mark.parametrize("survives", [0, 1, 7, 25])
def test_an_interrupted_run_then_again_gives_the_index_of_one_clean_run(
    world: World, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_engineering.application.features._EMBED_BATCH", 3)
    clean = World()
    clean.store.put(list(world.store.find()))
    clean.run()
    world.embedder.fail_after = survives
    with pytest.raises(InterruptedError):
        world.run()
    assert world.index.version() == ""
    done = min(survives // 3 * 3, survives)
    world.embedder.fail_after = 10**9
    report = world.run()
    assert report.embedded <= len(clean.entries()) - done
    assert world.entries() == clean.entries()


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


def test_chunks_that_would_not_fit_the_window_are_refused() -> None:
    world = World()
    too_long = FeaturesConfig(chunk=ChunkRule(max_tokens=world.embedder.window))
    with pytest.raises(InvalidConfig, match="does not fit"):
        world.run(too_long)


def test_no_text_goes_to_the_embedder_longer_than_its_window(world: World) -> None:
    seen: list[str] = []

    class Watching(CountingEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            seen.extend(texts)
            return super().embed(texts)

    world.embedder = Watching(dimension=32)
    long_title = "A title with far too many words in it, " * 30
    world.store.put([document("word " * 3000, url="https://ada.example/long", title=long_title)])
    world.run(FeaturesConfig())
    assert max(len(spans) for spans in world.embedder.token_spans(seen)) <= world.embedder.window
