"""Where documents, vectors, samples, feedback, keys and the audit log are kept."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.access import ApiKey
from llm_engineering.domain.audit import AuditEntry
from llm_engineering.domain.chunks import Chunk, IndexEntry, IndexManifest
from llm_engineering.domain.conversations import Conversation
from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.reports import PutResult
from llm_engineering.domain.samples import SampleSet, SampleSetManifest
from llm_engineering.domain.vectors import EmbeddedChunk, Held, Hit, Leg

Facet = Literal["author", "kind", "source", "language", "tags"]
"""Fields of a document that a filter compares whole."""


class DocumentStore(Protocol):
    """Documents by id, with their past revisions and tombstones. Safe to use from threads."""

    def put(self, documents: Sequence[Document]) -> PutResult:
        """Upsert by id.

        Equal `content_hash` and alive: unchanged; only etag, last_modified and fetched_at are
        refreshed.
        Other hash: the stored one becomes a past revision, the new one gets its number + 1.
        On a tombstone: as a change (it is alive again), even with an equal hash.
        """
        ...

    def get(self, document_id: str) -> Document:
        """Live document; raises NotFound for an unknown id or a tombstone."""
        ...

    def find(self, where: DocumentFilter = EVERYTHING) -> Iterator[Document]:
        """Live documents ordered by id."""
        ...

    def get_many(self, document_ids: Sequence[str]) -> Mapping[str, Document]:
        """Live documents among `document_ids`, by id; unknown ids are left out."""
        ...

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        """Live documents without their texts, ordered by id."""
        ...

    def revisions(self, document_id: str) -> tuple[Document, ...]:
        """All revisions, oldest first, the current one (or its tombstone) last; () when unknown."""
        ...

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        """Turn live documents into tombstones; returns how many were alive."""
        ...

    def erase(self, document_ids: Sequence[str], *, at: datetime) -> int:
        """As `remove`, and nothing stays of what was written: no past revision, no text, title,
        tag or hash, of these documents, alive or not. Returns how many were alive."""
        ...

    def close(self) -> None:
        """Release files and connections; closing twice is fine."""
        ...


class IndexBuild(Protocol):
    """A private copy of the published index, to be changed and then published as a whole.

    Starts as the published one (or empty). Nobody reads it before `publish`. A build that was
    interrupted may be continued: what `put` returned from is kept or redone, never half seen.
    """

    def entries(self) -> Iterator[IndexEntry]:
        """Everything in the build, any order."""
        ...

    def put(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Upsert by chunk id, entry and vectors; an entry with `duplicate_of` has no vectors."""
        ...

    def relabel(self, entries: Sequence[IndexEntry]) -> None:
        """Replace the entries of points that exist; their vectors stay."""
        ...

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Delete points; unknown ids are ignored."""
        ...

    def dirty(self) -> bool:
        """Whether it may differ from the published index: fresh, continued after an
        interruption, or changed since it was started."""
        ...

    def publish(self, *, forget: bool = False) -> str:
        """Make it durable and current in one atomic step; returns the new version's name.

        With `forget`, what was ever removed is not kept on the disk, and no version before this
        one is; a server may take its time over the former.
        """
        ...

    def release(self) -> None:
        """Stop without publishing: the lock is given back, the work is kept for the next build.
        After publish or discard it does nothing."""
        ...

    def discard(self) -> None:
        """Drop it; the published index is untouched. After publish it does nothing."""
        ...


class VectorIndex(Protocol):
    """Named dense and sparse vectors per sentence, ranked by several legs at once.

    Readers follow the published version: a process that holds the index open answers from the
    new one after another process published it. Safe to search from threads.
    """

    def manifest(self) -> IndexManifest:
        """Of the published version; raises IndexEmpty when nothing was published yet."""
        ...

    def version(self) -> str:
        """Name of the published version; '' when nothing was published yet."""
        ...

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        """One ranked list per leg, best first, ties by sentence id; duplicates never appear.

        All legs are answered from one version, in one request. Dense scores are cosines, sparse
        scores BM25 with the IDF of all rankable sentences, whatever the filter. A leg without a
        term ranks nothing.
        Raises IndexEmpty when nothing was published yet, IndexMismatch for a leg whose name or
        dimension the published vectors do not have.
        """
        ...

    def chunks(self, chunk_ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Chunks of the published version by id; ids that it does not hold are left out."""
        ...

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        """Rankable sentences (near-duplicates not counted); 0 when nothing was published."""
        ...

    def held(self, name: str, terms: NDArray[np.uint32]) -> Held:
        """How many rankable sentences hold each term in their sparse vector `name`.

        Raises IndexEmpty when nothing was published yet, IndexMismatch for an unknown name.
        """
        ...

    def values(self, field: Facet) -> Mapping[str, int]:
        """What `field` holds in rankable sentences and in how many; {} when nothing was published.

        The 10,000 most frequent ones.
        """
        ...

    def build(self, manifest: IndexManifest, *, fresh: bool = False) -> IndexBuild:
        """Start (or continue) a build from the published version, or from nothing when `fresh`.

        Raises IndexMismatch when not fresh and the published manifest differs.
        Raises BackendUnavailable when another live process is building.
        """
        ...

    def interrupted(self) -> IndexBuild | None:
        """Continue whatever build was interrupted, or None; what cannot be continued is deleted.
        Raises BackendUnavailable when another live process is building."""
        ...

    def close(self) -> None:
        """Release files and connections; closing twice is fine."""
        ...


class SampleStore(Protocol):
    """Sample sets by version; a version never changes."""

    def put(self, samples: SampleSet) -> str:
        """Keep a set whole; returns its version. Putting one again changes nothing."""
        ...

    def get(self, version: str) -> SampleSet:
        """Raises NotFound, naming the versions there are."""
        ...

    def manifests(self) -> tuple[SampleSetManifest, ...]:
        """Of all sets, newest first."""
        ...


class FeedbackStore(Protocol):
    """What readers said of answers. Safe to use from threads."""

    def put(self, feedback: Sequence[Feedback]) -> None:
        """Upsert by id: a reader may change their mind."""
        ...

    def find(self) -> Iterator[Feedback]:
        """All of it, oldest first."""
        ...

    def remove(self, ids: Collection[str]) -> int:
        """Delete those, unknown ones passed over; returns how many there were."""
        ...

    def close(self) -> None:
        """Release files and connections; closing twice is fine."""
        ...


class ConversationStore(Protocol):
    """Conversations that readers asked to be kept. Safe to use from threads and processes."""

    def add(self, conversation: Conversation) -> None:
        """Keep a new one."""
        ...

    def get(self, conversation_id: str, *, owner: str) -> Conversation:
        """Raises NotFound for an unknown id and for somebody else's."""
        ...

    def of(self, owner: str) -> tuple[Conversation, ...]:
        """All of one owner's, those used last first."""
        ...

    def all(self) -> Iterator[Conversation]:
        """Everybody's, ordered by id."""
        ...

    def replace(self, conversation: Conversation, *, seen: Conversation) -> None:
        """Put it in the place of `seen`, whole or not at all.

        Raises Conflict when it is no longer as it was seen, NotFound when it was removed.
        """
        ...

    def remove(self, conversation_id: str, *, owner: str) -> None:
        """Raises NotFound for an unknown id and for somebody else's."""
        ...

    def close(self) -> None:
        """Release files and connections; closing twice is fine."""
        ...


class KeyStore(Protocol):
    """Keys to the API, by id; a key that was revoked stays. Safe to use from threads."""

    def add(self, key: ApiKey) -> None:
        """Raises InvalidInput when a key that is not revoked has its name."""
        ...

    def all(self) -> tuple[ApiKey, ...]:
        """Every key that was ever added, oldest first."""
        ...

    def revoke(self, key_id: str, *, at: datetime) -> ApiKey:
        """The key as it is now; one that was revoked before keeps its moment.

        Raises NotFound for an unknown id.
        """
        ...

    def used(self, moments: Mapping[str, datetime]) -> None:
        """Keep when keys, by id, were last used; an earlier moment and an unknown id are
        passed over."""
        ...

    def version(self) -> str:
        """Another one after every `add` and `revoke`, by whichever process, and cheap to ask;
        '' before the first."""
        ...

    def close(self) -> None:
        """Release files and connections; closing twice is fine."""
        ...


class AuditLog(Protocol):
    """Who asked for what. Safe to use from threads and by several processes at once."""

    def note(self, entry: AuditEntry) -> None:
        """Keep `entry`; returns at once and never raises.

        What cannot be kept is counted, and the count is kept once that is possible again.
        """
        ...

    def close(self) -> None:
        """Wait until what was noted is kept; closing twice is fine."""
        ...
