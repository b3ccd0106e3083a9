"""Chunks, the vectors they carry into an index, and the hits that come back.

Does not know: how text is cut, which model embeds it, which engine ranks it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid5

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.documents import NAMESPACE, DocumentRef


class Chunk(BaseModel):
    """An exact span of a cleaned document: `clean(document).text[start:end] == text`.

    The chunks of a document touch: joined in order they are its cleaned text, so a chunk keeps
    the white space that follows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    document: DocumentRef
    start: int
    """Offset of the first character, in code points."""
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    """Headings above the span, outermost first."""
    sentences: tuple[tuple[int, int], ...] = ()
    """Spans, in the document, of the author's statements that can be quoted."""
    tokens: int = 0
    """Length in the embedder's tokens, special tokens not counted."""


def chunk_id(document_id: str, start: int, end: int, text: str) -> str:
    """Content-derived: the same span of the same document always has the same id."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return str(uuid5(NAMESPACE, f"chunk:{document_id}:{start}:{end}:{digest}"))


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Weights of the terms present; `indices` ascending, both of the same length."""

    indices: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk with its named vectors, ready to be indexed."""

    entry: "IndexEntry"
    dense: Mapping[str, Sequence[float]]
    sparse: Mapping[str, SparseVector]


class IndexEntry(BaseModel):
    """What an index keeps of one chunk beside its vectors.

    A near-duplicate of another chunk has `duplicate_of` set and no vectors: it is linked, it is
    never ranked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk: Chunk
    content_hash: str
    """Of the document revision it was cut from."""
    siblings: int = 1
    """Chunks that this revision was cut into: fewer in the index means an interrupted run."""
    signature: str
    """MinHash signature, base64."""
    duplicate_of: str | None = None
    """Id of the chunk that stands for it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that one ranked list returned, with that list's own raw score."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class DenseLeg:
    """Rank by cosine with the dense vector `name`; `limit` best."""

    name: str
    vector: Sequence[float]
    limit: int


@dataclass(frozen=True, slots=True)
class SparseLeg:
    """Rank by dot product with the sparse vector `name`, times IDF kept by the index."""

    name: str
    vector: SparseVector
    limit: int


Leg = DenseLeg | SparseLeg


@dataclass(frozen=True, slots=True)
class LegRank:
    """Where one leg placed a chunk."""

    leg: str
    rank: int
    """1 is best."""
    score: float
    """The leg's own raw score."""


@dataclass(frozen=True, slots=True)
class FusedHit:
    """A chunk with its fused score and where each leg placed it."""

    chunk: Chunk
    score: float
    ranks: tuple[LegRank, ...]


class IndexManifest(BaseModel):
    """What made an index; reading it with anything else is an error that names both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    dimension: int
    chunking: str
    """Fingerprint of everything that decides which chunks and vectors a document yields."""
    terms: str = ""
    """Name of the sparse encoder."""
    dense: tuple[str, ...] = ("text",)
    """Names of the dense vectors of each point, all of `dimension`, compared by cosine."""
    sparse: tuple[str, ...] = ("bm25",)
