"""Documents out to JSON Lines and in again."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from llm_engineering.application.documents import (
    LINES_AT_ONCE,
    export_documents,
    import_documents,
)
from llm_engineering.domain.documents import (
    Author,
    Document,
    DocumentFilter,
    DocumentKind,
    new_document,
)
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.reports import PutResult
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))


def _note(name: str = "a", **fields: Any) -> Document:
    given: dict[str, Any] = {
        "author": Author(name="Ada"),
        "url": f"https://example.org/{name}",
        "title": f"Title of {name}",
        "text": "# Ça ira\u2028\r\n\0 😀 “quoted”",
        "kind": DocumentKind.NOTE,
        "source": "files:notes",
        "fetched_at": NOW,
        "published_at": NOW,
        "tags": ("b", "a", "b"),
        "language": "fr",
        "etag": 'W/"1"',
        "last_modified": "Mon",
    }
    return new_document(**(given | fields))


def _store(documents: Sequence[Document] = ()) -> MemoryDocumentStore:
    store = MemoryDocumentStore()
    store.put(documents)
    return store


def _line(document: Document | None = None, **changes: Any) -> str:
    """A line with some fields changed; `...` leaves the field out."""
    fields = json.loads((document or _note()).model_dump_json()) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...})


def test_what_is_exported_comes_back_exactly() -> None:
    store = _store([_note("a"), _note("b", published_at=None, tags=(), language=None, etag=None)])
    copy = _store()
    result = import_documents(export_documents(store), store=copy)
    assert list(copy.find()) == list(store.find())
    assert set(result.new) == {_note("a").id, _note("b").id}
    assert list(export_documents(copy)) == list(export_documents(store))


def test_each_document_is_one_line_of_json_with_every_field() -> None:
    (line,) = export_documents(_store([_note()]))
    assert not {"\n", "\r"} & set(line)
    fields = json.loads(line)
    assert fields.keys() == Document.model_fields.keys()
    assert fields["text"] == _note().text
    assert "Ça ira" in line


def test_only_live_documents_that_match_are_exported_in_the_order_of_ids() -> None:
    store = _store([_note(str(n), tags=(("odd",) if n % 2 else ())) for n in range(10)])
    store.remove([_note("1", tags=("odd",)).id], at=NOW)
    ids = [
        json.loads(line)["id"] for line in export_documents(store, DocumentFilter(tags=("odd",)))
    ]
    assert ids == sorted(_note(str(n)).id for n in (3, 5, 7, 9))


def test_importing_again_changes_nothing() -> None:
    store = _store([_note()])
    assert import_documents(export_documents(store), store=store) == PutResult(
        unchanged=(_note().id,)
    )
    assert len(store.revisions(_note().id)) == 1


def test_revision_numbers_start_again_in_a_new_store() -> None:
    store = _store([_note(text="1")])
    store.put([_note(text="2")])
    copy = _store()
    import_documents(export_documents(store), store=copy)
    assert [(each.revision, each.text) for each in copy.revisions(_note().id)] == [(1, "2")]


def test_an_edited_line_is_a_change() -> None:
    store = _store([_note()])
    assert import_documents([_line(text="edited")], store=store) == PutResult(changed=(_note().id,))
    assert store.get(_note().id) == _note(text="edited").model_copy(update={"revision": 2})


def test_blank_lines_line_ends_and_a_byte_order_mark_are_skipped() -> None:
    lines = ["\ufeff" + _line(_note("a")) + "\r\n", "\n", "  \n", _line(_note("b")), "\ufeff"]
    store = _store()
    assert len(import_documents(lines, store=store).new) == 2


def test_nothing_comes_of_nothing() -> None:
    assert import_documents([], store=_store()) == PutResult()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (_line(title=...), "title: Field required"),
        (_line(title=3), "title: Input should be a valid string"),
        (_line(kind="poem"), "kind: Input should be 'article', "),
        (_line(tags=["a", 1]), "tags.1: Input should be a valid string"),
        (_line(heading="x"), "heading: Extra inputs are not permitted"),
        (_line(fetched_at="yesterday"), "fetched_at: Input should be a valid datetime"),
        (_line(fetched_at=1714979289), "fetched_at: Input should be a valid datetime"),
        (_line(published_at="2024-01-01T00:00:00"), "published_at has no time zone"),
        (_line(deleted_at="2024-01-01T00:00:00Z"), "deleted_at is set"),
        (_line(author="Bob"), "author_id is not that of author and url; write "),
        (_line(url="https://example.org/z"), "id is not that of author and url; write "),
        (_line(text="\ud83d"), "Invalid JSON: "),
        ("{", "Invalid JSON: EOF while parsing an object at column 1"),
        ("[]", "Input should be an object"),
        (_line() + _line(), "Invalid JSON: trailing characters"),
    ],
)
def test_a_bad_line_is_named_with_its_field(line: str, wanted: str) -> None:
    store = _store()
    with pytest.raises(InvalidInput) as caught:
        import_documents([_line(_note("good")), "", line, _line(_note("next"))], store=store)
    message = str(caught.value)
    assert message.startswith("line 3: ")
    assert wanted in message
    assert "\n" not in message
    assert message.endswith("(0 documents of earlier lines are kept)")
    assert not list(store.heads())


def test_batches_before_a_bad_line_are_kept_and_counted() -> None:
    lines = [_line(_note(str(n))) for n in range(LINES_AT_ONCE + 3)]
    store = _store()
    with pytest.raises(InvalidInput) as caught:
        import_documents([*lines, "bad"], store=store)
    assert f"line {LINES_AT_ONCE + 4}: Invalid JSON" in str(caught.value)
    assert f"({LINES_AT_ONCE} documents of earlier lines are kept)" in str(caught.value)
    assert len(list(store.heads())) == LINES_AT_ONCE
    result = import_documents(lines, store=store)
    assert (len(result.new), len(result.unchanged)) == (3, LINES_AT_ONCE)


def test_dates_may_be_written_with_any_offset() -> None:
    store = _store()
    import_documents([_line(fetched_at="2024-05-06T00:00:00+14:00")], store=store)
    assert store.get(_note().id).fetched_at == datetime(2024, 5, 5, 10, tzinfo=UTC)
