"""Chunks and their sentences, what an index keeps of them, and what it says it was built from.

The *chunk* is the passage: context for a model, unit of change. The *sentence* is what is ranked,
in several windows of its neighbours at once.

Does not know: how text is cut, which model embeds it, which engine ranks it.
"""

import hashlib
from typing import NamedTuple
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.documents import NAMESPACE, DocumentRef

Span = tuple[int, int]
"""Characters [start, end) of a cleaned document, in code points."""

MAX_SENTENCES = 0xFFFF
"""Most sentences of one chunk: their numbers fit the bits that a chunk's id leaves free."""


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
    sentences: tuple[Span, ...] = ()
    """Spans, in the document, of the units that are ranked: sentences of prose, a few lines of code
    or of a table. They touch, and together they are the chunk."""
    statements: tuple[Span, ...] = ()
    """Spans, in the document, of the author's statements that can be quoted."""
    tokens: int = 0
    """Length in the embedder's tokens, special tokens not counted."""


def chunk_id(document_id: str, text: str, occurrence: int = 0) -> str:
    """Content-derived: the same text in the same document always has the same id.

    `occurrence` counts the chunks of that text above it. The offset does not count: what follows
    an insertion keeps its id. The last 16 bits are zero; see `sentence_id`.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    key = uuid5(NAMESPACE, f"chunk:{document_id}:{digest}:{occurrence}")
    return str(UUID(int=key.int & ~MAX_SENTENCES))


class SentenceId(NamedTuple):
    """Sentence `number`, counted from 0, of a chunk."""

    chunk: str
    number: int

    def uuid(self) -> str:
        """The chunk's id with the number, counted from 1, in its last 16 bits."""
        return str(UUID(int=UUID(self.chunk).int | (self.number + 1)))

    @classmethod
    def of(cls, uuid: str) -> "SentenceId":
        """The inverse of `uuid`."""
        value = UUID(uuid).int
        return cls(str(UUID(int=value & ~MAX_SENTENCES)), (value & MAX_SENTENCES) - 1)


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
    fingerprint: str = ""
    """Of everything its vectors were made from, its surroundings included: while it is equal, they
    are."""
    duplicate_of: str | None = None
    """Id of the chunk that stands for it."""


class IndexManifest(BaseModel):
    """What made an index; reading it with anything else is an error that names both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    dimension: int
    chunking: str
    """Fingerprint of everything that decides which chunks and vectors a document yields."""
    terms: str = ""
    """Name of the sparse encoder."""
    dense: tuple[str, ...]
    """Names of the dense vectors of each sentence, all of `dimension`, of unit length, kept in half
    precision."""
    gate: str
    """The dense vector that is searched through the whole index; the others rank what it finds."""
    sparse: tuple[str, ...]
    """Names of the sparse vectors of each sentence."""
