"""What a Qdrant point carries beside its vectors, whichever Qdrant keeps it.

The payload is the entry itself, so that filters read it where it stands, plus one keyword that
says whether the point may be ranked: the engine answers "is this field empty" far more slowly.

Does not know: either client's classes.
"""

from collections.abc import Mapping
from typing import Any

from llm_engineering.domain.chunks import Chunk, IndexEntry
from llm_engineering.domain.documents import DocumentFilter

STATE = "state"
RANKED, DUPLICATE = "ranked", "duplicate"
CHUNK = "chunk"

AUTHOR = "chunk.document.author"
KIND = "chunk.document.kind"
SOURCE = "chunk.document.source"
LANGUAGE = "chunk.document.language"
TAGS = "chunk.document.tags"
PUBLISHED_AT = "chunk.document.published_at"

KEYWORDS = (STATE, AUTHOR, KIND, SOURCE, LANGUAGE, TAGS)
"""Payload fields compared whole."""

SPARE = 16
"""Hits asked for beyond a leg's limit, so that ties at its end can be put in order."""


def payload_of(entry: IndexEntry) -> dict[str, Any]:
    state = RANKED if entry.duplicate_of is None else DUPLICATE
    return {**entry.model_dump(mode="json"), STATE: state}


def entry_of(payload: Mapping[str, Any]) -> IndexEntry:
    return IndexEntry.model_validate({k: v for k, v in payload.items() if k != STATE})


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    return Chunk.model_validate(payload[CHUNK])


def keyword_conditions(where: DocumentFilter) -> dict[str, list[str]]:
    """Payload field -> the values of which it must hold one; duplicates are shut out."""
    wanted = {
        AUTHOR: where.authors,
        KIND: tuple(kind.value for kind in where.kinds),
        SOURCE: where.sources,
        LANGUAGE: where.languages,
        TAGS: where.tags,
    }
    return {STATE: [RANKED]} | {field: list(values) for field, values in wanted.items() if values}


def published_range(where: DocumentFilter) -> dict[str, str]:
    """Bounds of the date condition (`gte`, `lt`) in ISO 8601; empty when there is none."""
    bounds = {"gte": where.published_from, "lt": where.published_before}
    return {name: at.isoformat() for name, at in bounds.items() if at is not None}


def cuts_a_tie(scores: list[float], *, asked: int, limit: int) -> bool:
    """Whether `asked` hits, best first, may have left out one that ties with hit `limit`."""
    return 0 < limit < asked == len(scores) and scores[-1] == scores[limit - 1]
