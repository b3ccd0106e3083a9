"""Embedding: chunks to the vectors of their sentences, each in all of its windows.

Only sentences that a wanted chunk's windows reach are encoded: of a long document that changed in
one place, that place and its neighbourhood.

Does not know: which chunks are wanted, where the vectors go.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

import numpy as np

from llm_engineering.application.context import contexts
from llm_engineering.application.windows import (
    DENSE_WINDOWS,
    REACH,
    SPARSE_WINDOWS,
    Bounds,
    Rows,
    pooled,
    running,
    stacked,
    summed,
)
from llm_engineering.domain.chunks import Chunk, IndexEntry
from llm_engineering.domain.vectors import EmbeddedChunk, Floats, TermCounts
from llm_engineering.ports.models import Embedder, SparseEncoder


@dataclass(frozen=True, slots=True)
class Stretch:
    """Chunks of one document that follow each other, some of them wanted.

    Where it ends within a document, the sentences that the windows of the wanted ones reach are all
    in it.
    """

    chunks: tuple[Chunk, ...]
    wanted: tuple[IndexEntry, ...]


def fingerprints(chunks: Sequence[Chunk]) -> list[str]:
    """Of each chunk of one document, in order: equal as long as its vectors would be."""
    texts = [text for chunk in chunks for text in _texts(chunk)]
    paths = [chunk.heading_path for chunk in chunks for _ in chunk.sentences]
    ends = list(accumulate(len(chunk.sentences) for chunk in chunks))
    found = []
    for place, chunk in enumerate(chunks):
        begin = ends[place] - len(chunk.sentences)
        near = slice(max(begin - REACH, 0), ends[place] + REACH)
        parts = [
            chunk.document.title,
            chunk.document.language or "",
            str(min(begin, REACH)),
            repr(paths[near]),
            *texts[near],
        ]
        joined = "\0".join(parts).encode("utf-8", "surrogatepass")
        found.append(blake2b(joined, digest_size=12).hexdigest())
    return found


def stretches(
    wanted: Sequence[IndexEntry], *, documents: Mapping[str, Sequence[Chunk]], sentences: int
) -> Iterator[list[Stretch]]:
    """The wanted entries in batches of about so many sentences to encode.

    `wanted` is ordered by document and start; `documents` holds all chunks of each, in order.
    """
    batch: list[Stretch] = []
    size = 0
    for stretch in _stretches(wanted, documents, limit=sentences):
        batch.append(stretch)
        size += sum(len(chunk.sentences) for chunk in stretch.chunks)
        if size >= sentences:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A batch whose sentences and headings have vectors; its windows are still to be made."""

    layout: "_Layout"
    texts: tuple[str, ...]
    """All sentences of the batch."""
    lines: tuple[str, ...]
    """What stands above them, once for each language; '' for nothing."""
    above: tuple[int, ...]
    """Of each sentence, its place in `lines`."""
    vectors: Floats
    titles: Floats
    """Of `lines`; zero for nothing."""


def encoded(batch: Sequence[Stretch], *, embedder: Embedder, prefixed: bool) -> Encoded:
    """Everything about a batch that takes the embedder.

    `prefixed`: sentences are encoded below their headings.
    """
    layout = _Layout.of(batch)
    spoken = [
        (line, chunk.document.language)
        for line, chunk in zip(
            contexts(layout.chunks, token_spans=embedder.token_spans), layout.chunks, strict=True
        )
    ]
    distinct = {each: number for number, each in enumerate(dict.fromkeys(spoken))}
    above = tuple(
        distinct[each]
        for each, chunk in zip(spoken, layout.chunks, strict=True)
        for _ in chunk.sentences
    )
    lines = tuple(line for line, _ in distinct)
    texts = tuple(text for chunk in layout.chunks for text in _texts(chunk))
    read = [
        f"{lines[row]}\n{text}" if prefixed and lines[row] else text
        for text, row in zip(texts, above, strict=True)
    ]
    vectors = _encoded([*read, *lines], embedder)
    titles = vectors[len(read) :] * np.array([[bool(line)] for line in lines], np.float32)
    return Encoded(layout, texts, lines, above, vectors[: len(read)], titles)


def windowed(batch: Encoded, *, sparse: SparseEncoder) -> list[EmbeddedChunk]:
    """The wanted chunks with their vectors."""
    layout = batch.layout
    titles = batch.titles[np.asarray(batch.above, dtype=np.int64)[layout.rows]]
    sums = running(batch.vectors)
    dense = {
        name: pooled(sums, layout.bounds(reach), headings=titles)
        for name, reach in DENSE_WINDOWS.items()
    }
    terms = _terms(batch.texts, batch.lines, batch.above, layout=layout, sparse=sparse)
    return _chunks(layout, dense, terms, sparse=sparse)


def _encoded(texts: Sequence[str], embedder: Embedder) -> Floats:
    """What is said twice (a line of code, a heading) is encoded once."""
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    vectors = embedder.embed(list(distinct))
    return vectors[np.array([distinct[text] for text in texts], dtype=np.int64)]


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where the sentences of a batch stand among the rows that are encoded."""

    chunks: tuple[Chunk, ...]
    """All of them: their sentences are the rows, in this order."""
    entries: tuple[IndexEntry, ...]
    """The wanted ones."""
    rows: Rows
    """Of the sentences of the wanted ones."""
    begin: Rows
    end: Rows
    """Of each of `rows`, the rows of its stretch."""

    @classmethod
    def of(cls, batch: Sequence[Stretch]) -> "_Layout":
        rows: list[Rows] = []
        edges: list[tuple[int, int]] = []
        at = 0
        for stretch in batch:
            wanted = {entry.chunk.id for entry in stretch.wanted}
            size = sum(len(chunk.sentences) for chunk in stretch.chunks)
            begin = at
            for chunk in stretch.chunks:
                if chunk.id in wanted:
                    rows.append(np.arange(at, at + len(chunk.sentences)))
                    edges += [(begin, begin + size)] * len(chunk.sentences)
                at += len(chunk.sentences)
        bounds = np.array(edges, dtype=np.int64).reshape(-1, 2)
        return cls(
            tuple(chunk for stretch in batch for chunk in stretch.chunks),
            tuple(entry for stretch in batch for entry in stretch.wanted),
            np.concatenate([*rows, np.zeros(0, dtype=np.int64)]),
            bounds[:, 0],
            bounds[:, 1],
        )

    def bounds(self, reach: int) -> Bounds:
        return Bounds.around(self.rows, reach=reach, begin=self.begin, end=self.end)


def _terms(
    texts: Sequence[str],
    above: Sequence[str],
    headings: Sequence[int],
    *,
    layout: _Layout,
    sparse: SparseEncoder,
) -> dict[str, TermCounts]:
    """By name the terms of the windows, headings counted with each sentence."""
    spoken = [chunk.document.language for chunk in layout.chunks for _ in chunk.sentences]
    language = dict(zip(headings, spoken, strict=True))
    counts = stacked(
        sparse.count(above, languages=[language.get(row) for row in range(len(above))]),
        sparse.count(texts, languages=spoken),
        headings,
    )
    return {name: summed(counts, layout.bounds(reach)) for name, reach in SPARSE_WINDOWS.items()}


def _chunks(
    layout: _Layout,
    dense: Mapping[str, Floats],
    terms: Mapping[str, TermCounts],
    *,
    sparse: SparseEncoder,
) -> list[EmbeddedChunk]:
    weights = {
        name: sparse.weigh(counts, sentences=2 * SPARSE_WINDOWS[name] + 1)
        for name, counts in terms.items()
    }
    ends = list(accumulate((len(entry.chunk.sentences) for entry in layout.entries), initial=0))
    return [
        EmbeddedChunk(
            entry,
            dense={name: matrix[start:end] for name, matrix in dense.items()},
            sparse={name: vectors[start:end] for name, vectors in weights.items()},
        )
        for entry, start, end in zip(layout.entries, ends, ends[1:], strict=False)
    ]


def _stretches(
    wanted: Sequence[IndexEntry], documents: Mapping[str, Sequence[Chunk]], *, limit: int
) -> Iterator[Stretch]:
    """Runs of wanted chunks with their neighbours; a run ends where the next one's begins."""
    by_document: dict[str, list[IndexEntry]] = {}
    for entry in wanted:
        by_document.setdefault(entry.chunk.document.id, []).append(entry)
    for key, entries in by_document.items():
        chunks = documents[key]
        ends = list(accumulate(len(chunk.sentences) for chunk in chunks))
        place = {chunk.id: number for number, chunk in enumerate(chunks)}
        for run in _runs([place[entry.chunk.id] for entry in entries], ends, limit=limit):
            first, last = _reached(run, ends)
            inside = set(run)
            yield Stretch(
                tuple(chunks[first : last + 1]),
                tuple(entry for entry in entries if place[entry.chunk.id] in inside),
            )


def _runs(places: Sequence[int], ends: Sequence[int], *, limit: int) -> Iterator[list[int]]:
    """Places near each other together, as long as they hold at most `limit` sentences."""
    run: list[int] = []
    for place in places:
        begin = ends[place - 1] if place else 0
        if run and (begin > ends[run[-1]] + 2 * REACH or ends[place] - ends[run[0]] > limit):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def _reached(run: Sequence[int], ends: Sequence[int]) -> tuple[int, int]:
    """First and last chunk that the windows of a run reach."""
    first, last = run[0], run[-1]
    begin, end = (ends[first - 1] if first else 0) - REACH, ends[last] + REACH
    while first and ends[first - 1] > begin:
        first -= 1
    while last + 1 < len(ends) and ends[last] < end:
        last += 1
    return first, last


def _texts(chunk: Chunk) -> list[str]:
    return [chunk.text[start - chunk.start : end - chunk.start] for start, end in chunk.sentences]
