"""Identity, hashes, filters and the rules of revisions."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from llm_engineering.domain.documents import (
    Author,
    Document,
    DocumentFilter,
    DocumentHead,
    DocumentKind,
    DocumentRef,
    new_document,
)
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.revisions import (
    Change,
    change_of,
    known_ids,
    microseconds,
    moment,
    numbered,
    storable,
)

NOW = datetime(2024, 5, 6, tzinfo=UTC)
PARIS = timezone(timedelta(hours=2))


def _document(**fields: Any) -> Document:
    given: dict[str, Any] = {
        "author": Author(name="Ada Lovelace"),
        "url": "https://example.org/a",
        "title": "A",
        "text": "It weaves.",
        "kind": DocumentKind.NOTE,
        "source": "files:notes",
        "fetched_at": NOW,
    }
    return new_document(**(given | fields))


@pytest.mark.parametrize(
    "name", ["ada lovelace", "  Ada \t Lovelace\n", "ADA LOVELACE", "Ａｄａ Lovelace"]
)
def test_an_author_is_the_same_in_any_case_and_spacing(name: str) -> None:
    assert Author(name=name).id == Author(name="Ada Lovelace").id


def test_other_names_are_other_authors() -> None:
    assert len({Author(name=name).id for name in ("Ada", "Ada L", "AdaL", "Adá", "")}) == 5


def test_ids_and_hashes_stay_the_same_from_release_to_release() -> None:
    document = _document(language="en", published_at=NOW, tags=("x", "é"))
    assert document.author_id == "907f1cf5-2b30-500e-ad67-f1cff931371d"
    assert document.id == "1fff918c-7188-5452-ae02-ec3593381b9d"
    assert (
        document.content_hash == "b7a2a3feec12668e234c1067d0b33fc89566453e2c26d943da80c86efb9fbd20"
    )


def test_a_document_is_known_by_author_and_url_alone() -> None:
    same = _document(title="B", text="other", kind=DocumentKind.POST, source="web:x", tags=("t",))
    assert same.id == _document().id
    assert _document(url="https://example.org/b").id != same.id
    assert _document(author=Author(name="Bob")).id != same.id
    assert _document(author=Author(name="ada lovelace")).id == same.id


@pytest.mark.parametrize(
    "change",
    [
        {"author": Author(name="ada lovelace")},
        {"url": "https://example.org/b"},
        {"title": "B"},
        {"text": "It weaves"},
        {"kind": DocumentKind.POST},
        {"source": "web:x"},
        {"language": "en"},
        {"published_at": NOW},
        {"tags": ("t",)},
    ],
)
def test_any_change_of_content_or_metadata_changes_the_hash(change: dict[str, Any]) -> None:
    assert _document(**change).content_hash != _document().content_hash


def test_what_fetching_tells_does_not_change_the_hash() -> None:
    again = _document(fetched_at=NOW + timedelta(days=1), etag="e", last_modified="m")
    assert again.content_hash == _document().content_hash


def test_a_new_document_is_alive_at_revision_one() -> None:
    assert (_document().revision, _document().deleted_at) == (1, None)


def test_ref_and_head_are_parts_of_their_document() -> None:
    document = _document(tags=("t",), published_at=NOW, etag="e")
    whole = document.model_dump()
    ref, head = document.ref(), document.head()
    assert (type(ref), type(head)) == (DocumentRef, DocumentHead)
    assert ref.model_dump().items() <= whole.items()
    assert head.model_dump() == {name: whole[name] for name in whole if name != "text"}


def test_documents_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        _document().title = "B"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Document.model_validate({**_document().model_dump(), "extra": 1})


MATCHING = _document(
    tags=("x", "y"), language="en", published_at=datetime(2024, 1, 1, 1, tzinfo=PARIS)
)


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({}, True),
        ({"authors": ("Ada Lovelace", "Bob")}, True),
        ({"authors": ("ada lovelace",)}, False),
        ({"kinds": ("post", "note")}, True),
        ({"kinds": ("post",)}, False),
        ({"sources": ("files:notes",)}, True),
        ({"sources": ("files",)}, False),
        ({"languages": ("fr", "en")}, True),
        ({"languages": ("fr",)}, False),
        ({"tags": ("z", "y")}, True),
        ({"tags": ("z",)}, False),
        ({"tags": ("y",), "sources": ("web:x",)}, False),
        ({"published_from": "2023-12-31T23:00:00Z"}, True),
        ({"published_from": "2023-12-31T23:00:00.000001Z"}, False),
        ({"published_before": "2023-12-31T23:00:00Z"}, False),
        ({"published_before": "2023-12-31T23:00:00.000001Z"}, True),
        (
            {"published_from": "2023-01-01T00:00:00Z", "published_before": "2023-02-01T00:00Z"},
            False,
        ),
    ],
)
def test_a_filter_matches_when_every_given_field_does(where: dict[str, Any], wanted: bool) -> None:
    assert DocumentFilter.model_validate(where).matches(MATCHING) is wanted


def test_what_a_document_does_not_say_matches_nothing() -> None:
    plain = _document()
    assert DocumentFilter().matches(plain)
    assert not DocumentFilter(languages=("en",)).matches(plain)
    assert not DocumentFilter(tags=("x",)).matches(plain)
    assert not DocumentFilter(published_from=datetime.min.replace(tzinfo=UTC)).matches(plain)
    assert not DocumentFilter(published_before=datetime.max.replace(tzinfo=UTC)).matches(plain)


def test_equal_hash_and_alive_is_unchanged() -> None:
    head = _document().head()
    assert change_of(_document(), stored=None) is Change.NEW
    assert change_of(_document(etag="e"), stored=head) is Change.UNCHANGED
    assert change_of(_document(text="other"), stored=head) is Change.CHANGED
    dead = head.model_copy(update={"deleted_at": NOW})
    assert change_of(_document(), stored=dead) is Change.CHANGED


def test_revisions_count_on_from_the_stored_one() -> None:
    given = _document().model_copy(update={"revision": 9})
    stored = _document().model_copy(update={"revision": 4}).head()
    assert numbered(given, stored=None).revision == 1
    assert numbered(given, stored=stored).revision == 5


def test_the_last_of_one_id_is_storable() -> None:
    other = _document(url="https://example.org/b")
    given = [_document(text="1"), other, _document(text="2")]
    assert list(storable(given).values()) == [_document(text="2"), other]


def test_every_one_of_an_id_is_checked() -> None:
    bad = _document(text="\udc80")
    with pytest.raises(InvalidInput, match=f"'{bad.id}': text holds a lone surrogate"):
        storable([bad, _document()])


def test_ids_that_no_store_can_hold_are_left_out() -> None:
    assert known_ids(["b", "a", "\ud800", "b", "\0", "😀"]) == ["b", "a", "\0", "😀"]


def test_moments_keep_offsets_of_whole_minutes() -> None:
    at = datetime(2024, 1, 1, 5, 30, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert moment(at, name="at").isoformat() == at.isoformat()
    odd = datetime(1890, 1, 1, tzinfo=timezone(timedelta(seconds=561)))
    assert moment(odd, name="at").isoformat() == "1889-12-31T23:50:39+00:00"
    with pytest.raises(InvalidInput, match="at has no time zone"):
        moment(datetime(2024, 1, 1), name="at")


def test_microseconds_order_moments_of_all_zones() -> None:
    assert microseconds(datetime(1970, 1, 1, 2, tzinfo=PARIS)) == 0
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert microseconds(datetime.max.replace(tzinfo=UTC)) == 253_402_300_799_999_999
