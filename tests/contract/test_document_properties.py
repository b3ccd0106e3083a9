"""Whatever is put, removed and asked, in whatever order: every embedded store agrees."""

import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_engineering.domain.documents import Document, DocumentFilter, DocumentKind
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from tests.contract.document_stores import LATER, note, sqlite_stores

NAMES = ("a", "b", "c", "é", "")
WORDS = ("x", "y", "%", "", "a\0b", "😀")

offsets = st.integers(-12 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(datetime(2023, 12, 31), datetime(2024, 1, 2), timezones=offsets)
words = st.sampled_from(WORDS)
tags = st.lists(words, max_size=3).map(tuple)
documents = st.builds(
    note,
    st.sampled_from(NAMES),
    author=st.sampled_from(("Ada", "ada", "Bob")),
    kind=st.sampled_from(DocumentKind),
    source=words,
    language=st.none() | words,
    tags=tags,
    published_at=st.none() | moments,
    text=st.sampled_from(("", "one", "two")),
    etag=st.none() | words,
    fetched_at=moments,
)
filters = st.builds(
    DocumentFilter,
    authors=st.lists(st.sampled_from(("Ada", "ada", "Bob")), max_size=2).map(tuple),
    kinds=st.lists(st.sampled_from(DocumentKind), max_size=3).map(tuple),
    sources=tags,
    languages=tags,
    tags=tags,
    published_from=st.none() | moments,
    published_before=st.none() | moments,
)
ids = documents.map(lambda each: each.id)
calls = st.one_of(
    st.tuples(st.just("put"), st.lists(documents, max_size=6)),
    st.tuples(st.just("remove"), st.lists(ids, max_size=4)),
    st.tuples(st.just("erase"), st.lists(ids, max_size=2)),
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(history=st.lists(calls, max_size=8), asked=st.lists(filters, max_size=6))
def test_stores_agree_after_any_history(
    history: list[tuple[str, list[Document] | list[str]]], asked: list[DocumentFilter]
) -> None:
    with tempfile.TemporaryDirectory() as folder, sqlite_stores(Path(folder)) as open_sqlite:
        memory, sqlite = MemoryDocumentStore(), open_sqlite()
        seen: set[str] = set()
        for what, items in history:
            if what == "put":
                given_now = [each for each in items if isinstance(each, Document)]
                seen |= {each.id for each in given_now}
                assert sqlite.put(given_now) == memory.put(given_now)
            else:
                keys = [each for each in items if isinstance(each, str)]
                gone = [getattr(store, what)(keys, at=LATER) for store in (sqlite, memory)]
                assert gone[0] == gone[1]
        everything = list(memory.find())
        assert list(sqlite.find()) == everything
        for key in seen:
            assert sqlite.revisions(key) == memory.revisions(key)
        for where in asked:
            wanted = [each for each in everything if where.matches(each)]
            assert list(sqlite.find(where)) == list(memory.find(where)) == wanted
            assert list(sqlite.heads(where)) == [each.head() for each in wanted]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(text=st.text(st.characters()), title=st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_or_is_refused_whole(text: str, title: str) -> None:
    document = note(text=text, title=title, tags=(title,))
    surrogates = any("\ud800" <= character <= "\udfff" for character in text)
    with tempfile.TemporaryDirectory() as folder, sqlite_stores(Path(folder)) as open_sqlite:
        for store in (MemoryDocumentStore(), open_sqlite()):
            try:
                store.put([document])
            except InvalidInput:
                assert surrogates
                assert not list(store.heads())
            else:
                assert not surrogates
                assert list(store.find(DocumentFilter(tags=(title,)))) == [document]
