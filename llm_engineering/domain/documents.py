"""What a person wrote: authors, documents, their revisions and tombstones.

Does not know: where documents are kept, how they were fetched, what a chunk is.
"""

import hashlib
import json
import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

NAMESPACE = UUID("6f7b5b0e-2f0d-5c3a-9d0e-0c5f3a1e7a11")
"""Root of every content-derived id (uuid5, RFC 9562 §5.5)."""


class DocumentKind(StrEnum):
    """What form the writing has. Kinds are data: nothing branches on them."""

    ARTICLE = "article"
    POST = "post"
    NOTE = "note"
    PAGE = "page"
    MESSAGE = "message"
    REPOSITORY = "repository"


class Author(BaseModel):
    """The person whose writing this is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str

    @property
    def id(self) -> str:
        """uuid5 of the name, case and spacing folded: 'Ada  Lovelace' is 'ada lovelace'."""
        folded = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", self.name)).strip().casefold()
        return str(uuid5(NAMESPACE, f"author:{folded}"))


class DocumentRef(BaseModel):
    """What a citation needs to know of a document; travels with every chunk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    author_id: str
    author: str
    url: str
    title: str
    kind: DocumentKind
    source: str
    """Id of the source it came from, e.g. `files:notes` or `web:example.org`."""
    language: str | None = None
    """ISO 639-1 code."""
    published_at: datetime | None = None
    """Timezone-aware."""
    tags: tuple[str, ...] = ()


class DocumentHead(DocumentRef):
    """A document without its text: what listings, conditional requests and diffs need."""

    content_hash: str
    """sha256 over text and metadata; equal hashes mean nothing to do."""
    etag: str | None = None
    last_modified: str | None = None
    fetched_at: datetime
    revision: int = 1
    """Starts at 1 and grows by one each time the content hash changes."""
    deleted_at: datetime | None = None
    """Set on a tombstone: the source no longer has it."""


class Document(DocumentHead):
    """One piece of writing as its source gave it: raw Markdown, metadata, revision."""

    text: str

    def ref(self) -> DocumentRef:
        """The part that travels with chunks."""
        return DocumentRef(**{name: getattr(self, name) for name in DocumentRef.model_fields})

    def head(self) -> DocumentHead:
        """Everything but the text."""
        return DocumentHead(**{name: getattr(self, name) for name in DocumentHead.model_fields})


def new_document(
    *,
    author: Author,
    url: str,
    title: str,
    text: str,
    kind: DocumentKind,
    source: str,
    fetched_at: datetime,
    language: str | None = None,
    published_at: datetime | None = None,
    tags: tuple[str, ...] = (),
    etag: str | None = None,
    last_modified: str | None = None,
) -> Document:
    """Make revision 1 of a document: the only place where ids and hashes are computed.

    `url` must be canonical already. The id depends on author and url alone, so a later crawl
    of the same address updates instead of adding.
    """
    hashed = {
        "author": author.name,
        "kind": kind.value,
        "language": language,
        "published_at": published_at.isoformat() if published_at else None,
        "source": source,
        "tags": list(tags),
        "text": text,
        "title": title,
        "url": url,
    }
    encoded = json.dumps(hashed, sort_keys=True, ensure_ascii=True).encode()
    return Document(
        id=str(uuid5(NAMESPACE, f"document:{author.id}:{url}")),
        author_id=author.id,
        author=author.name,
        url=url,
        title=title,
        text=text,
        kind=kind,
        source=source,
        language=language,
        published_at=published_at,
        tags=tags,
        etag=etag,
        last_modified=last_modified,
        fetched_at=fetched_at,
        content_hash=hashlib.sha256(encoded).hexdigest(),
    )


class DocumentFilter(BaseModel):
    """Which documents (or chunks of which documents); every given field must match.

    Within one field any value matches. Dates compare with `published_at`; a document without
    a date matches no date range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    authors: tuple[str, ...] = ()
    """Author names, compared exactly."""
    kinds: tuple[DocumentKind, ...] = ()
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    published_from: datetime | None = None
    """Inclusive."""
    published_before: datetime | None = None
    """Exclusive."""

    def matches(self, document: DocumentRef) -> bool:
        """The reference meaning of the filter; every backend must agree with it."""
        wanted = (
            (self.authors, {document.author}),
            (self.kinds, {document.kind}),
            (self.sources, {document.source}),
            (self.languages, {document.language}),
            (self.tags, set(document.tags)),
        )
        if any(values and not have.intersection(values) for values, have in wanted):
            return False
        at = document.published_at
        if self.published_from is not None and (at is None or at < self.published_from):
            return False
        return not (
            self.published_before is not None and (at is None or at >= self.published_before)
        )


EVERYTHING = DocumentFilter()
