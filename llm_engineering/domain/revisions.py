"""How a stored document changes: the rules that every document store keeps.

Does not know: where documents are kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from llm_engineering.domain.documents import Document, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.domain.reports import PutResult

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = ("published_at", "fetched_at", "deleted_at")
"""Fields of a head that hold a moment or None."""
REFRESHED = ("etag", "last_modified", "fetched_at")
"""What an unchanged document brings up to date."""

ERASED: Mapping[str, object] = {
    "title": "",
    "tags": (),
    "text": "",
    "content_hash": "",
    "etag": None,
    "last_modified": None,
}
"""What is left in the fields of an erased document that its writing was in."""


class Change(StrEnum):
    """What putting a document does; the names are those of `PutResult`."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


def put_result(outcomes: Mapping[str, Change]) -> PutResult:
    """The ids of `outcomes` by what putting them did, in their order."""
    return PutResult(
        **{change: tuple(k for k, c in outcomes.items() if c is change) for change in Change}
    )


def found_document(document_id: str, found: Mapping[str, Document]) -> Document:
    """The one that was looked up; raises NotFound when it is not among `found`."""
    if document_id not in found:
        raise NotFound(f"no document {document_id!r}; 'twin documents list' shows all")
    return found[document_id]


def change_of(document: Document, *, stored: DocumentHead | None) -> Change:
    """What putting `document` does where `stored` is the current head of its id."""
    if stored is None:
        return Change.NEW
    if stored.deleted_at is None and stored.content_hash == document.content_hash:
        return Change.UNCHANGED
    return Change.CHANGED


def numbered(document: Document, *, stored: DocumentHead | None) -> Document:
    """A new or changed document with the number that follows `stored`, or 1.

    The number that a document brings with it says nothing here: a store counts its own revisions.
    """
    return document.model_copy(update={"revision": stored.revision + 1 if stored else 1})


def storable(documents: Sequence[Document]) -> dict[str, Document]:
    """By id, what of `documents` is to be put: of several with one id the last one counts.

    Raises InvalidInput for a tombstone, a date without a time zone, or text that is not Unicode
    (a lone surrogate), none of which every backend could give back as it came.
    """
    return {document.id: _storable(document) for document in documents}


def _storable(document: Document) -> Document:
    if document.deleted_at is not None:
        raise InvalidInput(
            f"document {document.id!r}: deleted_at is set; only live documents can be put"
        )
    for name, value in document:
        if not _encodable(value):
            raise InvalidInput(
                f"document {document.id!r}: {name} holds a lone surrogate, which is no Unicode"
                " text; decode the source with errors='replace'"
            )
    moments = {
        name: moment(value, name=f"document {document.id!r}: {name}")
        for name in MOMENTS
        if (value := getattr(document, name)) is not None
    }
    return document.model_copy(update=moments)


def askable(where: DocumentFilter) -> DocumentFilter:
    """`where` itself; raises InvalidInput for a filter that no document can be compared with."""
    for name, value in where:
        if isinstance(value, datetime):
            moment(value, name=name)
        elif not _encodable(value):
            raise InvalidInput(f"{name} holds a lone surrogate, which is no Unicode text")
    return where


def known_ids(document_ids: Iterable[str]) -> list[str]:
    """The distinct ids that a store could hold at all, in order."""
    return [each for each in dict.fromkeys(document_ids) if _encodable(each)]


def moment(value: datetime, *, name: str) -> datetime:
    """`value` with a fixed offset in whole minutes, as JSON can say it.

    Raises InvalidInput, calling the value `name`, when it has no time zone.
    """
    if value.tzinfo is UTC:
        return value
    offset = value.utcoffset()
    if offset is None:
        raise InvalidInput(f"{name} has no time zone; write 2024-01-31T09:00:00+00:00")
    if offset % timedelta(minutes=1):
        return value.astimezone(UTC)
    return datetime.fromisoformat(value.isoformat())


def microseconds(value: datetime) -> int:
    """Since 1970-01-01 UTC: orders moments of different time zones exactly."""
    return (value - EPOCH) // timedelta(microseconds=1)


def _encodable(value: object) -> bool:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
            return True
        case tuple():
            return all(_encodable(each) for each in value)
        case _:
            return True
