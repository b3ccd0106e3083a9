"""Documents in this process, gone with it. For tests; it keeps the same contract as the others."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from threading import Lock

from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.reports import PutResult
from llm_engineering.domain.revisions import (
    ERASED,
    REFRESHED,
    Change,
    askable,
    change_of,
    found_document,
    known_ids,
    moment,
    numbered,
    put_result,
    storable,
)


class MemoryDocumentStore:
    """A `DocumentStore` of dictionaries; `close` keeps what it holds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._revisions: dict[str, tuple[Document, ...]] = {}

    def put(self, documents: Sequence[Document]) -> PutResult:
        given = storable(documents)
        with self._lock:
            return put_result({key: self._put(document) for key, document in given.items()})

    def _put(self, document: Document) -> Change:
        past = self._revisions.get(document.id, ())
        stored = past[-1] if past else None
        change = change_of(document, stored=stored)
        if change is Change.UNCHANGED and stored is not None:
            refreshed = {name: getattr(document, name) for name in REFRESHED}
            self._revisions[document.id] = (*past[:-1], stored.model_copy(update=refreshed))
        else:
            self._revisions[document.id] = (*past, numbered(document, stored=stored))
        return change

    def get(self, document_id: str) -> Document:
        return found_document(document_id, self.get_many([document_id]))

    def find(self, where: DocumentFilter = EVERYTHING) -> Iterator[Document]:
        where = askable(where)
        with self._lock:
            current = [self._revisions[key][-1] for key in sorted(self._revisions)]
        return (each for each in current if each.deleted_at is None and where.matches(each))

    def get_many(self, document_ids: Sequence[str]) -> Mapping[str, Document]:
        with self._lock:
            return self._alive(document_ids)

    def _alive(self, document_ids: Sequence[str]) -> dict[str, Document]:
        current = [
            self._revisions[key][-1] for key in known_ids(document_ids) if key in self._revisions
        ]
        return {each.id: each for each in current if each.deleted_at is None}

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        return (document.head() for document in self.find(where))

    def revisions(self, document_id: str) -> tuple[Document, ...]:
        with self._lock:
            return self._revisions.get(document_id, ())

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        gone = {"deleted_at": moment(at, name="at")}
        with self._lock:
            alive = self._alive(document_ids)
            for key, document in alive.items():
                past = self._revisions[key][:-1]
                self._revisions[key] = (*past, document.model_copy(update=gone))
        return len(alive)

    def erase(self, document_ids: Sequence[str], *, at: datetime) -> int:
        alive = self.remove(document_ids, at=at)
        with self._lock:
            for key in known_ids(document_ids):
                if key in self._revisions:
                    tombstone = self._revisions[key][-1].model_copy(update=ERASED)
                    self._revisions[key] = (tombstone,)
        return alive

    def close(self) -> None:
        """Nothing to release."""
