"""What Qdrant's points carry beside their vectors, whichever Qdrant keeps them.

    a sentence    id: `SentenceId.uuid()`; all vectors; the fields that filters compare
    a chunk       id: the chunk's; no vectors; its entry and how many sentences it has

    statistics    on a server: one point for the whole collection; see `qdrant_statistics`

`state` tells them apart: the engine answers "is this field empty" far more slowly.

Does not know: either client's classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llm_engineering.domain.chunks import IndexEntry, SentenceId
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.vectors import Hit

STATE = "state"
RANKED, DUPLICATE, CHUNK, STATISTICS = "ranked", "duplicate", "chunk", "statistics"
ENTRY, SENTENCES = "entry", "sentences"
PUBLISHED_AT = "published_at"

KEYWORDS = (STATE, "author", "kind", "source", "language", "tags")
"""Payload fields compared whole."""

SPARE = 17
"""Hits asked for beyond a leg's limit, so that ties at its end can be put in order. Windows that
reach 16 sentences to both sides are equal throughout a document of 17, and so are their scores."""

EFFORT = 600
"""Candidates that a search of the graph keeps: of 109,000 sentences it finds .99 of the pool."""


@dataclass(frozen=True, slots=True)
class HeldChunk:
    """A chunk that is there, and how many sentences of it are."""

    entry: IndexEntry
    sentences: int

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "HeldChunk":
        return cls(entry_of(payload), payload[SENTENCES])

    @property
    def ranked(self) -> bool:
        return self.entry.duplicate_of is None

    def sentence_ids(self) -> list[str]:
        return sentence_ids(self.entry.chunk.id, self.sentences)


def sentence_ids(chunk_id: str, count: int) -> list[str]:
    return [SentenceId(chunk_id, number).uuid() for number in range(count)]


def chunk_payload(entry: IndexEntry, *, sentences: int) -> dict[str, Any]:
    return {STATE: CHUNK, ENTRY: entry.model_dump_json(), SENTENCES: sentences}


def sentence_payload(entry: IndexEntry) -> dict[str, Any]:
    """Of every sentence of the chunk: what filters and facets read."""
    document = entry.chunk.document
    fields = {
        "author": document.author,
        "kind": document.kind.value,
        "source": document.source,
        "language": document.language,
        "tags": list(document.tags) or None,
        PUBLISHED_AT: document.published_at and document.published_at.isoformat(),
    }
    state = RANKED if entry.duplicate_of is None else DUPLICATE
    return {STATE: state} | {name: value for name, value in fields.items() if value is not None}


def entry_of(payload: Mapping[str, Any]) -> IndexEntry:
    return IndexEntry.model_validate_json(payload[ENTRY])


def keyword_conditions(where: DocumentFilter) -> dict[str, list[str]]:
    """Payload field -> the values of which it must hold one; duplicates are shut out."""
    wanted = {
        "author": where.authors,
        "kind": tuple(kind.value for kind in where.kinds),
        "source": where.sources,
        "language": where.languages,
        "tags": where.tags,
    }
    return {STATE: [RANKED]} | {field: list(values) for field, values in wanted.items() if values}


def published_range(where: DocumentFilter) -> dict[str, str]:
    """Bounds of the date condition (`gte`, `lt`) in ISO 8601; empty when there is none."""
    bounds = {"gte": where.published_from, "lt": where.published_before}
    return {name: at.isoformat() for name, at in bounds.items() if at is not None}


Scored = tuple[float, int]
"""Score and id, as a number, of a point."""


@lru_cache(maxsize=1 << 14)
def sentence_of(point: int) -> SentenceId:
    """Of a point's id as a number. A search asks a thousand times, and its legs agree a lot."""
    digits = f"{point:032x}"
    chunk = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:28]}0000"
    return SentenceId(chunk, int(digits[28:], 16) - 1)


def in_order(points: Sequence[Scored], *, limit: int) -> list[Scored]:
    """The `limit` best; ties by id."""
    return sorted(points, key=lambda each: (-each[0], each[1]))[:limit]


def hits_in_order(points: Sequence[Scored]) -> list[Hit]:
    return [Hit(sentence_of(point), score) for score, point in points]


def cuts_a_tie(scores: Sequence[float], *, asked: int, limit: int) -> bool:
    """Whether `asked` hits, best first, may have left out one that ties with hit `limit`."""
    return 0 < limit < asked == len(scores) and scores[-1] == scores[limit - 1]
