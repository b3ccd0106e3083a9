"""After 500 random inserts, changes and deletions the index answers exactly as one built afresh."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.application.rag.passages import Found, select
from llm_engineering.application.rag.retrieve import RetrievalConfig, rank
from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter
from llm_engineering.domain.reports import FeatureReport
from llm_engineering.domain.vectors import FusedHit
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.rich_progress import Silent
from llm_engineering.ports.stores import VectorIndex
from tests.contract.vector_indexes import edge_indexes, memory_index, qdrant_in_memory
from tests.unit.writing import NOW, document

CHANGES, PER_BUILD, NOTES = 500, 25, 60
COMPARED_AFTER = (175, 350, 500)
QUERIES = 20
CONFIG = FeaturesConfig(chunk=ChunkRule(max_tokens=48, min_tokens=8))
RETRIEVAL = RetrievalConfig(candidates=40, pool=2_000)
"""The pool holds every sentence: of those that tie at its end, an engine chooses."""
FILTERS = (EVERYTHING, DocumentFilter(tags=("math",)))
EMBEDDER = HashEmbedder(dimension=32)
SPARSE = Bm25Encoder()

VOCABULARY = """
    oven bread flour water stone river harbour garden sundial pointer database index query
    kernel thread lock letter window mirror candle winter summer copper silver wheel engine
    compiler parser token cursor branch meadow forest bridge ladder anchor lantern basket
"""
WORDS = VOCABULARY.split()


class History:
    """Notes that change at random, and how often each kind of change was made."""

    def __init__(self, seed: int) -> None:
        self.store = MemoryDocumentStore()
        self.rng = np.random.default_rng(seed)
        self.texts: dict[int, list[str]] = {}
        self.titles: dict[int, str] = {}
        self.made = dict.fromkeys(("insert", "change", "retitle", "copy", "delete"), 0)

    def step(self) -> None:
        """One random change of one note."""
        number = int(self.rng.integers(NOTES))
        if number not in self.texts:
            self.made["insert"] += 1
            size = int(self.rng.integers(1, 25 if number % 20 == 0 else 5))
            self.texts[number] = [self.part() for _ in range(size)]
            self.titles[number] = self.words(3)
        else:
            self.alter(number)
        if number in self.texts:
            self.store.put([self.note(number)])

    def alter(self, number: int) -> None:
        parts = self.texts[number]
        match self.rng.integers(10):
            case 0:
                self.made["delete"] += 1
                self.store.remove([self.note(number).id], at=NOW)
                del self.texts[number]
            case 1:
                self.made["retitle"] += 1
                self.titles[number] = self.words(3)
            case 2:
                self.made["copy"] += 1
                other = list(self.texts.values())[self.rng.integers(len(self.texts))]
                at = int(self.rng.integers(len(other)))
                parts[self.place(parts) : 0] = other[at : at + 2]
            case 3 | 4 | 5 if len(parts) > 1:
                self.made["delete"] += 1
                del parts[self.place(parts)]
            case 6 | 7:
                self.made["change"] += 1
                parts[self.place(parts)] = self.part()
            case _:
                self.made["insert"] += 1
                parts.insert(int(self.rng.integers(len(parts) + 1)), self.part())

    def note(self, number: int) -> Document:
        return document(
            "\n\n".join(self.texts[number]),
            url=f"https://ada.example/{number}",
            title=self.titles[number],
            tags=("math",) if number % 3 == 0 else (),
            language=("en", "de", None)[number % 7 % 3],
        )

    def part(self) -> str:
        """A heading, a list, some code, or a paragraph."""
        match self.rng.integers(8):
            case 0 | 1:
                return f"{'#' * int(self.rng.integers(1, 4))} {self.words(2)}"
            case 2:
                lines = [f"{self.words(1)} = {self.words(1)}({n})" for n in range(8)]
                return "\n".join(["```", *lines[: int(self.rng.integers(1, 9))], "```"])
            case 3:
                return "\n".join(f"- {self.words(4)}" for _ in range(2))
            case _:
                return " ".join(self.sentence() for _ in range(int(self.rng.integers(1, 4))))

    def sentence(self) -> str:
        return f"{self.words(int(self.rng.integers(4, 12))).capitalize()}."

    def words(self, count: int) -> str:
        return " ".join(self.rng.choice(WORDS, count).tolist())

    def place(self, parts: Sequence[str]) -> int:
        return int(self.rng.integers(len(parts)))


def build(store: MemoryDocumentStore, index: VectorIndex) -> FeatureReport:
    return build_features(
        CONFIG, store=store, index=index, embedder=EMBEDDER, sparse=SPARSE, progress=Silent()
    )


def found(
    index: VectorIndex, query: str, where: DocumentFilter
) -> tuple[tuple[FusedHit, ...], tuple[Found, ...]]:
    hits = rank(
        query, config=RETRIEVAL, index=index, embedder=EMBEDDER, sparse=SPARSE, where=where
    ).hits
    chunks = index.chunks(list({hit.sentence.chunk for hit in hits}))
    passages = select(hits, chunks, budget_tokens=300, count_tokens=lambda text: len(text.split()))
    return hits, passages


def check_same_answers(one: VectorIndex, other: VectorIndex, queries: Sequence[str]) -> None:
    assert one.count() == other.count() > 0
    for query in queries:
        for where in FILTERS:
            hits, passages = found(one, query, where)
            wanted, afresh = found(other, query, where)
            assert [hit.sentence for hit in hits] == [hit.sentence for hit in wanted] != []
            scores = [hit.score for hit in wanted]
            assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-5)
            assert [each.passage.text for each in passages] == [e.passage.text for e in afresh]
            assert [each.best for each in passages] == [each.best for each in afresh]


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[VectorIndex]:
    match kind:
        case "memory":
            yield memory_index()()
        case "edge":
            with edge_indexes(folder) as opener:
                yield opener()
        case _:
            with qdrant_in_memory() as opener:
                yield opener()


@pytest.mark.parametrize("kind", ["memory", "edge", "qdrant-memory"])
def test_after_many_changes_the_index_answers_as_one_built_afresh(
    kind: str, tmp_path: Path
) -> None:
    history = History(seed=7)
    embedded = 0
    with opened(kind, tmp_path / "grown") as grown:
        for number in range(1, CHANGES + 1):
            history.step()
            if number % PER_BUILD == 0:
                report = build(history.store, grown)
                embedded += report.embedded
            if number in COMPARED_AFTER:
                with opened(kind, tmp_path / f"fresh-{number}") as fresh:
                    afresh = build(history.store, fresh)
                    queries = [history.words(3) for _ in range(QUERIES)]
                    check_same_answers(grown, fresh, queries)
    assert min(history.made.values()) > 20
    assert report.sentences == afresh.sentences > 300
    assert report.duplicates == afresh.duplicates > 0
    assert embedded > afresh.embedded > report.embedded > 0
