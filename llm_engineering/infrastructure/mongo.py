"""Documents in MongoDB, for several machines.

`documents` holds the current revision of each document, `revisions` the past ones. MongoDB
changes one document at a time, so a put writes the past revision first and then moves the head
from exactly the revision it read: dying between the two, or losing a race, leaves nothing that
the next put does not mend. Dates are ISO strings, as BSON dates drop time zones and microseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from llm_engineering.domain.documents import EVERYTHING, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import (
    InvalidInput,
    MissingExtra,
)
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
from llm_engineering.infrastructure.mongo_connection import MongoConnection, Record
from llm_engineering.infrastructure.mongo_records import query_of, to_document, to_head, to_record

try:
    import bson
    from pymongo import UpdateOne
    from pymongo.database import Database
    from pymongo.errors import BulkWriteError
except ImportError:
    raise MissingExtra("pymongo", extra="mongo") from None

T = TypeVar("T")

_IDS_AT_ONCE = 1_000
_HEADS_AT_ONCE = 1_000
_TEXTS_AT_ONCE = 20
"""Whole documents held at once; each may have 16 MB."""
_MAX_BYTES = 16 * 1024 * 1024 - 16 * 1024
"""MongoDB takes 16 MiB; the rest is for what a past revision has beside its document."""
_DUPLICATE_KEY = 11000


class MongoDocumentStore:
    """A `DocumentStore` in `database` at `uri`; each document of a `put` is changed as a whole.

    Connects on the first call. Errors name hosts, never the user or password of `uri`.
    """

    def __init__(self, uri: str, *, database: str, timeout_s: float) -> None:
        self._connection = MongoConnection(uri, database=database, timeout_s=timeout_s)
        self._indexed = False

    def put(self, documents: Sequence[Document]) -> PutResult:
        pending = storable(documents)
        for document in pending.values():
            _require_fitting(document)
        outcomes: dict[str, Change] = dict.fromkeys(pending, Change.UNCHANGED)
        with self._connection.open() as database:
            self._make_indexes(database)
            # Whoever loses a race lost it to a writer that succeeded, so this ends.
            while pending:
                stored = _current(database, list(pending))
                by_change: dict[Change, list[Document]] = {change: [] for change in Change}
                for key, document in pending.items():
                    outcomes[key] = change_of(document, stored=stored.get(key))
                    by_change[outcomes[key]].append(document)
                _refresh(database, by_change[Change.UNCHANGED])
                lost = [
                    *_insert(database, by_change[Change.NEW]),
                    *_replace(database, by_change[Change.CHANGED]),
                ]
                pending = {key: pending[key] for key in lost}
        return put_result(outcomes)

    def get(self, document_id: str) -> Document:
        return found_document(document_id, self.get_many([document_id]))

    def find(self, where: DocumentFilter = EVERYTHING) -> Iterator[Document]:
        pages = self._pages(askable(where), {}, _TEXTS_AT_ONCE)
        return (to_document(record) for page in pages for record in page)

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        pages = self._pages(askable(where), {"text": 0}, _HEADS_AT_ONCE)
        return (to_head(record) for page in pages for record in page)

    def _pages(
        self, where: DocumentFilter, fields: Mapping[str, int], size: int
    ) -> Iterator[list[Record]]:
        """A query for each page: a cursor would time out while its reader works."""
        query = query_of(where)
        while True:
            with self._connection.open() as database:
                found = database["documents"].find(query, fields or None)
                page = list(found.sort("document_id", 1).limit(size))
            yield page
            if len(page) < size:
                return
            query |= {"document_id": {"$gt": page[-1]["document_id"]}}

    def get_many(self, document_ids: Sequence[str]) -> Mapping[str, Document]:
        with self._connection.open() as database:
            return {
                record["_id"]: to_document(record)
                for group in _groups(known_ids(document_ids), _IDS_AT_ONCE)
                for record in database["documents"].find(
                    {"_id": {"$in": group}, "deleted_at": None}
                )
            }

    def revisions(self, document_id: str) -> tuple[Document, ...]:
        ids = known_ids([document_id])
        with self._connection.open() as database:
            head = ids and database["documents"].find_one({"_id": document_id})
            if not head:
                return ()
            # A put that died may have written the current one here already.
            past = database["revisions"].find(
                {"document_id": document_id, "revision": {"$lt": head["revision"]}}
            )
            return tuple(map(to_document, [*past.sort("revision", 1), head]))

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        gone = moment(at, name="at").isoformat()
        with self._connection.open() as database:
            return sum(
                database["documents"]
                .update_many(
                    {"_id": {"$in": group}, "deleted_at": None}, {"$set": {"deleted_at": gone}}
                )
                .modified_count
                for group in _groups(known_ids(document_ids), _IDS_AT_ONCE)
            )

    def erase(self, document_ids: Sequence[str], *, at: datetime) -> int:
        """A put under way may have kept a past revision just after; it takes that back itself, and
        where it died before, erasing once more does."""
        alive = self.remove(document_ids, at=at)
        with self._connection.open() as database:
            for group in _groups(known_ids(document_ids), _IDS_AT_ONCE):
                database["documents"].update_many(
                    {"_id": {"$in": group}}, {"$set": {**ERASED, "tags": []}}
                )
                database["revisions"].delete_many({"document_id": {"$in": group}})
        return alive

    def close(self) -> None:
        self._connection.close()

    def _make_indexes(self, database: Database[Record]) -> None:
        if self._indexed:
            return
        past = [("document_id", 1), ("revision", 1)]
        database["revisions"].create_index(past, unique=True)
        database["documents"].create_index("document_id", unique=True)
        for name in ("author", "kind", "source", "language", "tags", "published_us"):
            database["documents"].create_index([(name, 1), ("document_id", 1)])
        self._indexed = True


def _require_fitting(document: Document) -> None:
    size = len(bson.encode(to_record(document)))
    if size > _MAX_BYTES:
        raise InvalidInput(
            f"document {document.id!r} ({document.url}) has {size:,} bytes, MongoDB takes"
            f" {_MAX_BYTES:,}; split it, or unset TWIN_DOCUMENTS__KIND"
        )


def _current(database: Database[Record], ids: Sequence[str]) -> dict[str, DocumentHead]:
    """Heads, tombstones included, of those `ids` that exist."""
    return {
        record["_id"]: to_head(record)
        for group in _groups(ids, _IDS_AT_ONCE)
        for record in database["documents"].find({"_id": {"$in": group}}, {"text": 0})
    }


def _refresh(database: Database[Record], documents: Sequence[Document]) -> None:
    """One that another writer has just changed or removed keeps what that one wrote."""
    changes = [
        UpdateOne(
            {"_id": document.id, "content_hash": document.content_hash, "deleted_at": None},
            {"$set": {name: to_record(document)[name] for name in REFRESHED}},
        )
        for document in documents
    ]
    if changes:
        database["documents"].bulk_write(changes, ordered=False)


def _insert(database: Database[Record], documents: Sequence[Document]) -> list[str]:
    """Ids that another writer was the first to insert."""
    records = [to_record(numbered(document, stored=None)) for document in documents]
    try:
        if records:
            database["documents"].insert_many(records, ordered=False)
    except BulkWriteError as error:
        return [records[index]["_id"] for index in _duplicates(error)]
    return []


def _replace(database: Database[Record], documents: Sequence[Document]) -> list[str]:
    """Ids whose head another writer moved meanwhile."""
    return [
        document.id
        for group in _groups(documents, _TEXTS_AT_ONCE)
        for document in _replace_group(database, group)
    ]


def _replace_group(database: Database[Record], documents: Sequence[Document]) -> Iterator[Document]:
    heads = database["documents"]
    stored = {r["_id"]: r for r in heads.find({"_id": {"$in": [d.id for d in documents]}})}
    try:
        database["revisions"].bulk_write([_keep(r) for r in stored.values()], ordered=False)
    except BulkWriteError as error:
        _duplicates(error)  # another writer kept the same revision
    for document in documents:
        record = stored.get(document.id)
        head = record and to_head(record)
        if not record or not head or change_of(document, stored=head) is not Change.CHANGED:
            yield document
            continue
        read = {name: record[name] for name in ("_id", "revision", "deleted_at", "content_hash")}
        changed = to_record(numbered(document, stored=head))
        del changed["_id"]
        if not heads.update_one(read, {"$set": changed}).matched_count:
            erased = heads.find_one({"_id": document.id, "content_hash": ERASED["content_hash"]})
            if erased:
                database["revisions"].delete_many({"document_id": document.id})
            yield document


def _keep(record: Record) -> UpdateOne:
    """Write a past revision; a mark of deletion, once written, stays whoever else writes it."""
    key = f"{record['_id']}/{record['revision']}"
    past = {name: value for name, value in record.items() if name != "_id"}
    names = REFRESHED if record["deleted_at"] is None else (*REFRESHED, "deleted_at")
    now = {name: past.pop(name) for name in names}
    return UpdateOne({"_id": key}, {"$set": now, "$setOnInsert": past}, upsert=True)


def _duplicates(error: BulkWriteError) -> list[int]:
    """Positions of the writes that found their key taken; any other failure is raised."""
    failures = error.details["writeErrors"]
    if any(failure["code"] != _DUPLICATE_KEY for failure in failures):
        raise error
    return [failure["index"] for failure in failures]


def _groups(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
