"""What documents and filters may hold, the same in every document store."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from llm_engineering.domain.documents import Document, DocumentFilter, DocumentKind
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.ports.stores import DocumentStore
from tests.contract.document_stores import (
    LATER,
    NOW,
    note,
    with_id,
)

UNICODE = (
    *("", "\0", "a\0b", "😀 e\u0301 \u202e", "\r\n\r\n\t", "\u2028\u0085"),
    *("'\"\\{}$.%?", "$set", "\uffff", "7", "null", "507f1f77bcf86cd799439011"),
)


@pytest.mark.parametrize("text", UNICODE)
def test_any_unicode_comes_back_as_it_was(store: DocumentStore, text: str) -> None:
    fields = dict.fromkeys(("title", "text", "source", "language", "etag"), text)
    before = note(title="before", tags=("before",))
    document = note(author=f"Ada {text}", tags=(text, "t"), **fields)
    document = with_id(document, before.id)
    store.put([before])
    store.put([document])
    stored = document.model_copy(update={"revision": 2})
    assert store.get(document.id) == stored
    assert list(store.find(DocumentFilter(tags=(text,), authors=(document.author,)))) == [stored]
    assert list(store.heads(DocumentFilter(sources=(text,), languages=(text,)))) == [stored.head()]
    store.put([note(title="after")])
    assert store.revisions(document.id)[:2] == (before, stored)


@pytest.mark.parametrize("field", ["id", "url", "title", "text", "source", "etag", "tags"])
def test_a_lone_surrogate_is_refused_with_its_whole_batch(store: DocumentStore, field: str) -> None:
    value: object = ("t", "bad \ud83d") if field == "tags" else "bad \ud83d"
    with pytest.raises(InvalidInput, match=f"{field} holds a lone surrogate"):
        store.put([note("good"), note().model_copy(update={field: value})])
    assert not list(store.heads())


def test_a_filter_with_a_lone_surrogate_is_refused(store: DocumentStore) -> None:
    with pytest.raises(InvalidInput, match="tags holds a lone surrogate"):
        store.find(DocumentFilter(tags=("\udfff",)))
    with pytest.raises(InvalidInput, match="authors holds a lone surrogate"):
        store.heads(DocumentFilter(authors=("\udfff",)))


@pytest.mark.parametrize("field", ["published_at", "fetched_at"])
def test_a_date_without_a_time_zone_is_refused(store: DocumentStore, field: str) -> None:
    naive = note().model_copy(update={field: datetime(2024, 1, 1)})
    with pytest.raises(InvalidInput, match=f"{field} has no time zone"):
        store.put([note("good"), naive])
    assert not list(store.heads())


def test_a_question_without_a_time_zone_is_refused(store: DocumentStore) -> None:
    naive = datetime(2024, 1, 1)
    with pytest.raises(InvalidInput, match="published_from has no time zone"):
        store.find(DocumentFilter(published_from=naive))
    with pytest.raises(InvalidInput, match="published_before has no time zone"):
        store.heads(DocumentFilter(published_before=naive))
    store.put([note()])
    with pytest.raises(InvalidInput, match="at has no time zone"):
        store.remove([note().id], at=naive)
    assert list(store.find()) == [note()]


def test_a_tombstone_cannot_be_put(store: DocumentStore) -> None:
    with pytest.raises(InvalidInput, match="deleted_at is set"):
        store.put([note("good"), note().model_copy(update={"deleted_at": NOW})])
    assert not list(store.heads())


@pytest.mark.parametrize(
    "at",
    [
        datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(-timedelta(hours=12))),
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
    ],
)
def test_dates_keep_their_offset_and_microseconds(store: DocumentStore, at: datetime) -> None:
    store.put([note(published_at=at, fetched_at=at)])
    found = store.get(note().id)
    assert found.published_at is not None
    assert found.published_at.isoformat() == found.fetched_at.isoformat() == at.isoformat()
    day = timedelta(microseconds=1)
    assert list(store.heads(DocumentFilter(published_from=found.fetched_at)))
    assert not list(store.heads(DocumentFilter(published_before=found.fetched_at)))
    if at.year not in (1, 9999):
        assert list(store.heads(DocumentFilter(published_before=found.fetched_at + day)))
        assert not list(store.heads(DocumentFilter(published_from=found.fetched_at + day)))


def test_an_offset_with_seconds_keeps_its_moment(store: DocumentStore) -> None:
    at = datetime(1890, 1, 1, 12, 0, tzinfo=timezone(timedelta(minutes=9, seconds=21)))
    store.put([note(published_at=at)])
    found = store.get(note().id).published_at
    assert found == at
    assert found is not None
    assert found.isoformat() == "1890-01-01T11:50:39+00:00"


def _corpus() -> list[Document]:
    dates = (None, datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
    tags = ((), ("x",), ("x", "y"), ("z",))
    cases = product(("Ada", "ada"), ("note", "post"), ("s:1", "s:2"), (None, "en"), tags, dates)
    return [
        note(
            f"{n}",
            author=author,
            kind=DocumentKind(kind),
            source=source,
            language=language,
            tags=tags,
            published_at=at,
        )
        for n, (author, kind, source, language, tags, at) in enumerate(cases)
    ]


def test_every_combination_of_filters_means_what_it_says(store: DocumentStore) -> None:
    documents = sorted(_corpus(), key=lambda each: each.id)
    store.put(documents)
    store.put(dead := [note(f"dead{n}", tags=("x",)) for n in range(5)])
    store.remove([each.id for each in dead], at=LATER)
    choices: dict[str, tuple[object, ...]] = {
        "authors": ((), ("Ada", "Bob")),
        "kinds": ((), (DocumentKind.POST,)),
        "sources": ((), ("s:1",)),
        "languages": ((), ("en", "fr")),
        "tags": ((), ("y", "z")),
        "published_from": (None, datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        "published_before": (None, datetime(2024, 1, 1, tzinfo=UTC)),
    }
    for values in product(*choices.values()):
        where = DocumentFilter.model_validate(dict(zip(choices, values, strict=True)))
        wanted = [each.head() for each in documents if where.matches(each)]
        assert list(store.heads(where)) == wanted, where
    where = DocumentFilter(tags=("x",), kinds=(DocumentKind.NOTE, DocumentKind.POST))
    assert list(store.find(where)) == [each for each in documents if where.matches(each)]


def test_a_filter_may_name_thousands_of_values(store: DocumentStore) -> None:
    store.put([note("a"), note("b", author="Bob"), note("c", tags=("t",))])
    many = tuple(f"nobody {n}" for n in range(9_000))
    where = DocumentFilter(authors=(*many, "Bob"), sources=(*many, "files:notes"))
    assert list(store.heads(where)) == [note("b", author="Bob").head()]
    assert not list(store.find(DocumentFilter(tags=many, authors=many, languages=many)))
