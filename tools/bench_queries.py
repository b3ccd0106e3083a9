"""The half of `make bench` that asks: an index filled up to a size, then timed queries.

`fill HOME SENTENCES QUERIES` adds shuffles to the documents at HOME until its index holds so many
sentences: real notes with every word replaced by another word of theirs, and vectors near those of
real sentences, so that both kinds of ranking have the lengths and clusters of real writing. `random
HOME SENTENCES QUERIES` fills an index with random vectors and terms. `ask HOME`, in a process of
its own, times the questions and prints JSON.
"""

import json
import random
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from llm_engineering.application.features import FeaturesConfig, manifest_of
from llm_engineering.application.rag.find import find
from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.application.windows import DENSE_WINDOWS, SPARSE_WINDOWS
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.chunks import Chunk, IndexEntry, chunk_id
from llm_engineering.domain.documents import (
    EVERYTHING,
    Author,
    Document,
    DocumentFilter,
    DocumentKind,
    DocumentRef,
    new_document,
)
from llm_engineering.domain.reports import FeatureReport
from llm_engineering.domain.vectors import EmbeddedChunk, SparseVector
from llm_engineering.ports.models import Embedder
from llm_engineering.settings import Settings
from tools.corpus_index import index_documents

WARM_UP = 20
ASKED = "bench-questions.json"
_PUT = 500
_SAMPLE = 2_000
"""Real sentences whose vectors stand in for others."""
_RANDOM_TERMS, _TERMS_EACH = 50_000, 40
"""Of the index of random vectors, drawn by Zipf's law."""
_WORD = re.compile(r"[^\W\d_]{3,}")


class Asked(BaseModel):
    """What is asked of the filled index."""

    questions: tuple[str, ...]
    where: DocumentFilter
    sentences_added: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    """What indexing those took by stage; encoding them took nothing."""


def main() -> None:
    match sys.argv[1:]:
        case ["fill" | "random" as how, home, sentences, queries]:
            with open_app(Settings(home=Path(home), progress="off")) as app:
                if how == "fill":
                    fill(app, size=int(sentences), queries=int(queries))
                else:
                    fill_with_noise(app, size=int(sentences), queries=int(queries))
        case ["ask", home]:
            with open_app(Settings(home=Path(home), progress="off")) as app:
                print(json.dumps(ask(app)))


class StandIn:
    """Embedder port: real tokens, but vectors near those of random real sentences, at no cost."""

    def __init__(self, real: Embedder, sentences: Sequence[str]) -> None:
        self._real = real
        self._vectors = real.embed(sentences)
        self._noise = np.random.default_rng(1)

    @property
    def name(self) -> str:
        return self._real.name

    @property
    def dimension(self) -> int:
        return self._real.dimension

    @property
    def window(self) -> int:
        return self._real.window

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return self._real.token_spans(texts)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        near = self._vectors[self._noise.integers(len(self._vectors), size=len(texts))]
        near = near + self._noise.normal(0, 0.02, near.shape).astype(np.float32)
        return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), dtype=np.float32)


def fill(app: App, *, size: int, queries: int) -> None:
    """Bring the index up to about `size` sentences, and write questions about the real ones."""
    rng = random.Random(1)
    notes = list(app.documents.find())
    texts = sentences_of(app)
    app.documents.put(list(shuffles(notes, size=size - app.index.count(), app=app, rng=rng)))
    stand_in = StandIn(app.embedder, rng.sample(texts, min(_SAMPLE, len(texts))))
    before = app.index.count()
    report = index_documents(app, embedder=stand_in)
    write_questions(app, texts, queries=queries, rng=rng, before=before, report=report)


def shuffles(
    notes: Sequence[Document], *, size: int, app: App, rng: random.Random
) -> Iterator[Document]:
    """Shuffled notes with about `size` sentences in all, each with one of a hundred tags."""
    words = [word for note in notes for word in _WORD.findall(note.text)]
    each = max(app.index.count() // max(len(notes), 1), 1)
    for number in range(max(size, 0) // each):
        like = notes[number % len(notes)]
        yield new_document(
            author=Author(name=like.author),
            url=f"https://bench.example/{number}",
            title=f"{rng.choice(words)} {rng.choice(words)}",
            text=_WORD.sub(lambda _: rng.choice(words), like.text),
            kind=like.kind,
            source="files:bench",
            fetched_at=like.fetched_at,
            language=like.language,
            tags=(tag(number),),
        )


def fill_with_noise(app: App, *, size: int, queries: int) -> None:
    """An index of `size` sentences with random vectors and terms: no clusters, the worst case."""
    noise = np.random.default_rng(1)
    build = app.index.build(
        manifest_of(FeaturesConfig(), embedder=app.embedder, sparse=app.sparse), fresh=True
    )
    entries = (noisy_entry(number) for number in range(size // 10))
    while batch := list(islice(entries, _PUT)):
        build.put([noisy_chunk(entry, app.embedder.dimension, noise) for entry in batch])
    build.publish()
    rng = random.Random(1)
    words = [f"word{number}" for number in range(_RANDOM_TERMS)]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(queries)]
    write_questions(app, texts, queries=queries, rng=rng)


def noisy_entry(number: int) -> IndexEntry:
    """A chunk of ten sentences of one letter."""
    key = chunk_id("noise", str(number))
    document = DocumentRef(
        id=key,
        author_id="noise",
        author="Noise",
        url=f"https://bench.example/{number}",
        title="Noise",
        kind=DocumentKind.NOTE,
        source="files:bench",
        tags=(tag(number),),
    )
    spans = tuple((at, at + 1) for at in range(10))
    chunk = Chunk(id=key, document=document, start=0, end=10, text="x" * 10, sentences=spans)
    return IndexEntry(chunk=chunk, content_hash="noise", signature="")


def noisy_chunk(entry: IndexEntry, dimension: int, noise: np.random.Generator) -> EmbeddedChunk:
    number = len(entry.chunk.sentences)
    dense = {}
    for name in DENSE_WINDOWS:
        rows = noise.normal(size=(number, dimension)).astype(np.float32)
        dense[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    sparse = {}
    for name in SPARSE_WINDOWS:
        drawn = [
            np.unique(noise.zipf(1.2, _TERMS_EACH).clip(max=_RANDOM_TERMS)) for _ in range(number)
        ]
        sparse[name] = [
            SparseVector(terms.astype(np.uint32), np.ones(len(terms), dtype=np.float32))
            for terms in drawn
        ]
    return EmbeddedChunk(entry, dense=dense, sparse=sparse)


def sentences_of(app: App) -> list[str]:
    """Texts of all ranked sentences."""
    build = app.index.build(app.index.manifest())
    chunks = [entry.chunk for entry in build.entries() if entry.duplicate_of is None]
    build.discard()
    return [
        chunk.text[start - chunk.start : end - chunk.start]
        for chunk in chunks
        for start, end in chunk.sentences
    ]


def write_questions(
    app: App,
    texts: Sequence[str],
    *,
    queries: int,
    rng: random.Random,
    before: int = 0,
    report: FeatureReport | None = None,
) -> None:
    asked = Asked(
        questions=tuple(question(rng.choice(texts), rng) for _ in range(queries)),
        where=DocumentFilter(tags=(tag(0),)),
        sentences_added=app.index.count() - before,
        seconds=report.seconds if report else {},
    )
    (app.home / ASKED).write_text(asked.model_dump_json())


def tag(number: int) -> str:
    """One of a hundred: a filter on it finds about one per cent."""
    return f"part-{number % 100}"


def ask(app: App) -> dict[str, Any]:
    """Latencies of the questions, encoding included, with and without a filter."""
    asked = Asked.model_validate_json((app.home / ASKED).read_text())
    for text in asked.questions[:WARM_UP]:
        latency(app, text, EVERYTHING)
    figures: dict[str, Any] = {"sentences": app.index.count()}
    for name, where in (("plain", EVERYTHING), ("filtered", asked.where)):
        stages = [latency(app, text, where) for text in asked.questions]
        percentiles = np.percentile([each["total"] for each in stages], [50, 95, 99])
        figures[name] = dict(zip(("p50_ms", "p95_ms", "p99_ms"), percentiles.tolist(), strict=True))
        figures[name]["engine_p50_ms"] = float(np.median([each["search"] for each in stages]))
    figures["added"] = {"sentences": asked.sentences_added, "seconds": asked.seconds}
    figures["rss_mb"] = resident_mb()
    figures["disk_mb"] = disk_mb(app.home / "index")
    return figures


def question(text: str, rng: random.Random) -> str:
    words = text.split()
    at = rng.randrange(max(len(words) - 8, 1))
    return "How do I use " + " ".join(words[at : at + 8])


def latency(app: App, text: str, where: DocumentFilter) -> dict[str, float]:
    """Milliseconds by stage of finding the passages; no query is remembered."""
    ports = replace(app.search_ports, cache=QueryCache(size=0))
    started = time.perf_counter()
    findings = find(
        text,
        retrieval=RetrievalConfig(),
        stages=StagesConfig(),
        ports=ports,
        where=where,
    )
    return {**findings.timings_ms, "total": (time.perf_counter() - started) * 1e3}


def disk_mb(folder: Path) -> float:
    """What the files below take, holes not counted."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6


def resident_mb() -> float:
    """Now, from /proc; where there is none, the peak."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
