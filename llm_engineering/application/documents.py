"""Documents as JSON Lines: one `Document` a line, every field in it, in UTF-8.

    {"id": "6e12b288-…", "author_id": "5ee2970c-…", "author": "Ada Lovelace",
     "url": "https://example.org/a", "title": "A", "kind": "article", "source": "web:example.org",
     "language": "en", "published_at": "2024-01-31T09:00:00Z", "tags": ["engines"],
     "content_hash": "abf707f8…", "etag": null, "last_modified": null,
     "fetched_at": "2024-02-01T00:00:00Z", "revision": 1, "deleted_at": null, "text": "# A\\n…"}

Dates carry a time zone. Only live documents are exported, without their past revisions. On the
way back `id` and `author_id` must be those of author and url; `content_hash` is computed anew, so
that a line whose text was edited arrives as a change; `revision` is not read, because a store
numbers its own revisions: a document that it does not know starts at 1.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from pydantic import ValidationError

from llm_engineering.domain.documents import (
    EVERYTHING,
    Author,
    Document,
    DocumentFilter,
    new_document,
)
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.reports import PutResult
from llm_engineering.domain.revisions import storable
from llm_engineering.ports.stores import DocumentStore

LINES_AT_ONCE = 500
"""Documents that are put together; a bad line keeps all of its batch out."""
_CONTENT = {
    "url",
    "title",
    "text",
    "kind",
    "source",
    "fetched_at",
    "language",
    "published_at",
    "tags",
    "etag",
    "last_modified",
}
"""What makes a document besides its author."""


def export_documents(store: DocumentStore, where: DocumentFilter = EVERYTHING) -> Iterator[str]:
    """One JSON object per live document, ordered by id, without a line end."""
    return (document.model_dump_json() for document in store.find(where))


def import_documents(lines: Iterable[str], *, store: DocumentStore) -> PutResult:
    """Put what `export_documents` wrote; blank lines and a byte order mark are skipped.

    Raises InvalidInput, naming line and field, for the first bad line. Batches before it are
    kept, its own is not; importing the corrected lines again finishes the work.
    """
    kept = PutResult()
    numbered = (
        (number, text)
        for number, line in enumerate(lines, start=1)
        if (text := line.removeprefix("\ufeff").strip())
    )
    while batch := list(islice(numbered, LINES_AT_ONCE)):
        try:
            result = store.put([_parse(text, number=number) for number, text in batch])
        except InvalidInput as error:
            count = len(kept.new) + len(kept.changed) + len(kept.unchanged)
            raise InvalidInput(f"{error} ({count} documents of earlier lines are kept)") from None
        kept = PutResult(
            new=kept.new + result.new,
            changed=kept.changed + result.changed,
            unchanged=kept.unchanged + result.unchanged,
        )
    return kept


def _parse(line: str, *, number: int) -> Document:
    try:
        given = Document.model_validate_json(line, strict=True)
        storable([given])
    except ValidationError as error:
        raise InvalidInput(f"line {number}: {_first_problem(error)}") from None
    except InvalidInput as error:
        raise InvalidInput(f"line {number}: {error}") from None
    content = given.model_dump(include=_CONTENT)
    document = new_document(author=Author(name=given.author), **content)
    for name in ("author_id", "id"):
        if getattr(given, name) != (wanted := getattr(document, name)):
            raise InvalidInput(
                f"line {number}: {name} is not that of author and url; write {wanted!r}"
            )
    return document


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    message = problem["msg"].replace(" at line 1 column ", " at column ")
    field = ".".join(str(part) for part in problem["loc"])
    return f"{field}: {message}" if field else message
