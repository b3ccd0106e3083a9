"""The half of `make bench` that asks: an index filled up to a size, then timed queries.

`fill HOME CHUNKS QUERIES` fills the index at HOME up with shuffles: texts made of words of real
chunks, with vectors near those of real chunks, so that both rankings have the lengths and clusters
of real writing. `ask HOME`, in a process of its own, times the questions and prints JSON.
"""

import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from llm_engineering.application.features import DENSE, SPARSE
from llm_engineering.application.rag.retrieve import RetrievalConfig, search
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.chunks import Chunk, EmbeddedChunk, IndexEntry, chunk_id
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.settings import Settings

BATCH = 500
WARM_UP = 20
ASKED = "bench-questions.json"


class Asked(BaseModel):
    """What is asked of the filled index."""

    questions: tuple[str, ...]
    where: DocumentFilter


def main() -> None:
    match sys.argv[1:]:
        case ["fill", home, chunks, queries]:
            with open_app(Settings(home=Path(home), progress="off")) as app:
                fill(app, size=int(chunks), queries=int(queries))
        case ["ask", home]:
            with open_app(Settings(home=Path(home), progress="off")) as app:
                print(json.dumps(ask(app)))


def fill(app: App, *, size: int, queries: int) -> None:
    """Bring the index up to `size` chunks, and write questions about the real ones."""
    rng = random.Random(1)
    noise = np.random.default_rng(1)
    build = app.index.build(app.index.manifest())
    entries = [entry for entry in build.entries() if entry.duplicate_of is None]
    real = [entry.chunk for entry in entries]
    vectors = app.embedder.embed([chunk.text for chunk in real[:2_000]])
    words = [chunk.text.split() for chunk in real]
    for first in range(len(real), size, BATCH):
        made = [
            shuffled(entries[number % len(entries)], words, number, rng)
            for number in range(first, min(first + BATCH, size))
        ]
        near = vectors[noise.integers(len(vectors), size=len(made))]
        near = near + noise.normal(0, 0.02, near.shape).astype(np.float32)
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        texts = [entry.chunk.text for entry in made]
        sparse = app.sparse.documents(texts, languages=["en"] * len(texts))
        build.put(
            [
                EmbeddedChunk(entry, {DENSE: vector.tolist()}, {SPARSE: terms})
                for entry, vector, terms in zip(made, near, sparse, strict=True)
            ]
        )
    build.publish()
    asked = Asked(
        questions=tuple(question(rng.choice(real), rng) for _ in range(queries)),
        where=DocumentFilter(tags=(tag(0),)),
    )
    (app.home / ASKED).write_text(asked.model_dump_json())


def shuffled(
    like: IndexEntry, words: Sequence[Sequence[str]], number: int, rng: random.Random
) -> IndexEntry:
    length = len(like.chunk.text.split())
    text = " ".join(rng.choice(words[rng.randrange(len(words))] or ["word"]) for _ in range(length))
    start = 10_000_000 + number
    key = chunk_id(like.chunk.document.id, start, start + len(text), text)
    chunk = like.chunk.model_copy(
        update={
            "id": key,
            "document": like.chunk.document.model_copy(update={"tags": (tag(number),)}),
            "text": text,
            "start": start,
            "end": start + len(text),
            "sentences": (),
        }
    )
    return like.model_copy(update={"chunk": chunk})


def tag(number: int) -> str:
    """One of a hundred: a filter on it finds about one per cent."""
    return f"part-{number % 100}"


def ask(app: App) -> dict[str, Any]:
    """Latencies of the questions, encoding included, with and without a filter."""
    asked = Asked.model_validate_json((app.home / ASKED).read_text())
    for text in asked.questions[:WARM_UP]:
        latency(app, text, EVERYTHING)
    figures: dict[str, Any] = {"chunks": app.index.count()}
    for name, where in (("plain", EVERYTHING), ("filtered", asked.where)):
        times = [latency(app, text, where) for text in asked.questions]
        percentiles = np.percentile(times, [50, 95, 99])
        figures[name] = dict(zip(("p50_ms", "p95_ms", "p99_ms"), percentiles.tolist(), strict=True))
    figures["rss_mb"] = resident_mb()
    return figures


def question(chunk: Chunk, rng: random.Random) -> str:
    words = chunk.text.split()
    at = rng.randrange(max(len(words) - 8, 1))
    return "How do I use " + " ".join(words[at : at + 8])


def latency(app: App, text: str, where: DocumentFilter) -> float:
    started = time.perf_counter()
    search(
        text,
        config=RetrievalConfig(),
        index=app.index,
        embedder=app.embedder,
        sparse=app.sparse,
        where=where,
    )
    return (time.perf_counter() - started) * 1e3


def resident_mb() -> float:
    """Now, from /proc; where there is none, the peak."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
