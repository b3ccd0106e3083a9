"""Documents as records of MongoDB, and filters as its queries.

Does not know: connections, revisions.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from llm_engineering.domain.documents import Document, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.revisions import MOMENTS, microseconds
from llm_engineering.infrastructure.mongo_connection import Record


def query_of(where: DocumentFilter) -> Record:
    query: Record = {"deleted_at": None}
    fields: tuple[tuple[str, Sequence[str]], ...] = (
        ("author", where.authors),
        ("kind", [kind.value for kind in where.kinds]),
        ("source", where.sources),
        ("language", where.languages),
        ("tags", where.tags),
    )
    query |= {name: {"$in": list(values)} for name, values in fields if values}
    limits = (("$gte", where.published_from), ("$lt", where.published_before))
    published = {key: microseconds(limit) for key, limit in limits if limit is not None}
    return query | ({"published_us": published} if published else {})


def to_record(document: Document) -> Record:
    record = {**dict(document), "kind": document.kind.value, "tags": list(document.tags)}
    for name in MOMENTS:
        record[name] = record[name] and record[name].isoformat()
    at = document.published_at
    record["published_us"] = None if at is None else microseconds(at)
    return {"_id": document.id, "document_id": record.pop("id"), **record}


def to_head(record: Record) -> DocumentHead:
    names = DocumentHead.model_fields.keys() - {"id"}
    try:
        return DocumentHead(id=record["document_id"], **{name: record[name] for name in names})
    except (KeyError, ValidationError):
        raise BackendUnavailable(
            f"MongoDB holds {record['_id']!r} among the documents, which is none; remove it, or"
            " choose another TWIN_DOCUMENTS__DATABASE"
        ) from None


def to_document(record: Record) -> Document:
    return Document(**dict(to_head(record)), text=record["text"])
