"""What the MongoDB store promises beyond the port: its errors, its secrets, dying midway."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, InvalidSettings
from llm_engineering.domain.reports import PutResult
from llm_engineering.infrastructure import mongo
from llm_engineering.infrastructure.mongo import MongoDocumentStore
from llm_engineering.infrastructure.mongo_connection import Record, _hosts
from tests.contract.document_stores import LATER, NOW, Opener, mongo_stores, note
from tests.contract.mongo_server import free_port, refusing_mongo

SECRET = "s3cr%2Ft"


@pytest.fixture
def open_store(local_mongo: str) -> Iterator[Opener]:
    with mongo_stores(local_mongo) as opener:
        yield opener


Connect = Callable[[str], MongoDocumentStore]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def opener(uri: str) -> MongoDocumentStore:
            store = MongoDocumentStore(uri, database="twin", timeout_s=0.2)
            stack.callback(store.close)
            return store

        yield opener


def _one_line(error: BaseException) -> str:
    message = str(error)
    assert "\n" not in message
    assert "s3cr" not in message
    assert "ada" not in message
    return message


CALLS: dict[str, Callable[[MongoDocumentStore], object]] = {
    "put": lambda store: store.put([note()]),
    "get": lambda store: store.get("a"),
    "get_many": lambda store: store.get_many(["a"]),
    "find": lambda store: list(store.find()),
    "heads": lambda store: list(store.heads()),
    "revisions": lambda store: store.revisions("a"),
    "remove": lambda store: store.remove(["a"], at=NOW),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_down_is_named_without_its_password(connect: Connect, call: str) -> None:
    port = free_port()
    store = connect(f"mongodb://ada:{SECRET}@127.0.0.1:{port}/?appName=x@y")
    with pytest.raises(BackendUnavailable) as caught:
        CALLS[call](store)
    message = _one_line(caught.value)
    assert message.startswith(f"MongoDB at 127.0.0.1:{port} does not answer; ")
    assert "start it with 'make up', or unset TWIN_DOCUMENTS__KIND" in message


def test_a_server_that_never_answers_is_down(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = connect(f"mongodb://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BackendUnavailable, match="does not answer"):
            list(store.heads())


def test_a_name_that_does_not_resolve_is_told(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(BackendUnavailable) as caught:
        list(connect(f"mongodb://ada:{SECRET}@mongo.example.org").heads())
    assert "at mongo.example.org:27017 does not answer" in _one_line(caught.value)


def test_every_host_is_named_with_the_port_it_has_by_default() -> None:
    one = f"mongodb+srv://ada:{SECRET}@twin.example.org/x?a=b@c"
    assert _hosts(one) == "twin.example.org"
    assert _hosts(f"mongodb://ada:{SECRET}@a,[::1]:1?x=y") == "a:27017, [::1]:1"


@pytest.mark.parametrize("call", ["put", "heads"])
def test_a_refused_login_names_the_setting(connect: Connect, call: str) -> None:
    with refusing_mongo(18, "Authentication failed.") as port:
        store = connect(f"mongodb://ada:{SECRET}@127.0.0.1:{port}")
        with pytest.raises(BackendUnavailable) as caught:
            CALLS[call](store)
        assert f"127.0.0.1:{port} refuses the login" in _one_line(caught.value)
        assert "user and password in TWIN_DOCUMENTS__URI" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text", "wanted"),
    [
        (13, "not authorized on twin", "give the user of TWIN_DOCUMENTS__URI readWrite"),
        (8000, "space quota\nexceeded", "refuses this: space quota exceeded"),
    ],
)
def test_what_the_server_refuses_is_told_in_one_line(
    connect: Connect, code: int, text: str, wanted: str
) -> None:
    with refusing_mongo(code, text) as port:
        store = connect(f"mongodb://127.0.0.1:{port}")
        for call in CALLS.values():
            with pytest.raises(BackendUnavailable) as caught:
                call(store)
            assert wanted in _one_line(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mongodb://",
        "http://ada:s3cr@127.0.0.1",
        "mongodb://ada:s3cr@t@127.0.0.1",
        "mongodb://ada:s3cr/t@127.0.0.1",
        "mongodb://ada:s3cr?t@127.0.0.1",
        "mongodb+srv://ada:s3cr/t@127.0.0.1",
        "mongodb://127.0.0.1:99999",
        "mongodb://127.0.0.1/?s3cr=1",
        "mongodb://127.0.0.1/?tls=maybe",
        "mongodb://127.0.0.1/?tls=true&tlsCAFile=/no/such/file",
    ],
)
def test_an_invalid_uri_is_told_without_any_of_it(connect: Connect, uri: str) -> None:
    store = connect(uri)
    with pytest.raises(InvalidSettings) as caught:
        list(store.heads())
    message = _one_line(caught.value)
    assert "TWIN_DOCUMENTS__URI is no valid connection string" in message
    assert caught.value.__suppress_context__


def test_an_invalid_database_name_is_told() -> None:
    store = MongoDocumentStore("mongodb://127.0.0.1", database="my twin", timeout_s=0.2)
    with pytest.raises(InvalidSettings, match="TWIN_DOCUMENTS__DATABASE='my twin'"):
        list(store.heads())
    store.close()


def test_a_document_too_big_for_mongodb_keeps_its_whole_batch_out(open_store: Opener) -> None:
    store = open_store()
    big = note("big", text="x" * (16 * 1024 * 1024))
    with pytest.raises(InvalidInput, match=rf"{big.id}.*{big.url}.*MongoDB takes"):
        store.put([note("a"), big])
    assert not list(store.heads())


def test_the_biggest_document_can_still_become_a_past_revision(open_store: Opener) -> None:
    store = open_store()
    document = note(text="x" * (mongo._MAX_BYTES - 1_000))
    store.put([document])
    store.put([note(text="short")])
    assert [len(each.text) for each in store.revisions(note().id)] == [len(document.text), 5]


def test_a_record_of_something_else_is_told(open_store: Opener, local_mongo: str) -> None:
    store = open_store()
    store.put([note()])
    assert isinstance(store, MongoDocumentStore)
    with store._connection.open() as database:
        database["documents"].insert_one({"_id": "zz", "document_id": "zz", "deleted_at": None})
    with pytest.raises(BackendUnavailable, match="holds 'zz' among the documents"):
        list(store.heads())


def _die_before_the_head_moves(store: Any, document: Document, patch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise AutoReconnect("died")

    with patch.context() as patched:
        patched.setattr(Collection, "update_one", dies)
        with pytest.raises(BackendUnavailable):
            store.put([document])


def test_dying_between_revision_and_head_is_not_seen_and_mended(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.put([note(text="1")])
    _die_before_the_head_moves(store, note(text="2"), monkeypatch)
    assert store.revisions(note().id) == (note(text="1"),)
    assert store.put([note(text="2")]) == PutResult(changed=(note().id,))
    assert [each.text for each in store.revisions(note().id)] == ["1", "2"]


def test_what_became_of_the_head_after_dying_is_in_its_revision(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.put([note(text="1", etag="old")])
    _die_before_the_head_moves(store, note(text="2"), monkeypatch)
    store.put([note(text="1", etag="new")])
    store.remove([note().id], at=LATER)
    store.put([note(text="1")])
    first, second = store.revisions(note().id)
    assert first == note(text="1", etag="new").model_copy(update={"deleted_at": LATER})
    assert second == note(text="1").model_copy(update={"revision": 2})


@pytest.mark.parametrize("before", [[], [note(text="0")]])
@pytest.mark.parametrize("theirs", ["theirs", "ours"])
def test_losing_a_race_puts_again_on_what_the_winner_left(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch, before: list[Document], theirs: str
) -> None:
    ours, other = open_store(), open_store()
    ours.put(before)
    read = mongo._current

    def overtaken(*arguments: Any) -> object:
        stored = read(*arguments)
        monkeypatch.setattr(mongo, "_current", read)
        other.put([note(text=theirs)])
        return stored

    monkeypatch.setattr(mongo, "_current", overtaken)
    result = ours.put([note(text="ours")])
    wanted = [*(each.text for each in before), *dict.fromkeys([theirs, "ours"])]
    assert [each.text for each in ours.revisions(note().id)] == wanted
    changed = theirs != "ours"
    assert result == PutResult(**{"changed" if changed else "unchanged": (note().id,)})


def test_a_removal_during_a_put_stays_in_the_past_revision(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = open_store(), open_store()
    ours.put([note(text="1")])
    keep = mongo._keep

    def overtaken(record: Record) -> object:
        monkeypatch.setattr(mongo, "_keep", keep)
        other.remove([note().id], at=LATER)
        other.put([note(text="2")])
        return keep(record)

    monkeypatch.setattr(mongo, "_keep", overtaken)
    assert ours.put([note(text="3")]) == PutResult(changed=(note().id,))
    revisions = [(each.text, each.deleted_at) for each in ours.revisions(note().id)]
    assert revisions == [("1", LATER), ("2", None), ("3", None)]


def test_ids_are_unique_and_filters_have_indexes(open_store: Opener) -> None:
    store = open_store()
    store.put([note()])
    assert isinstance(store, MongoDocumentStore)
    with store._connection.open() as database:
        heads, past = (
            {
                tuple(name for name, _ in index["key"]): index.get("unique", False)
                for index in database[name].index_information().values()
            }
            for name in ("documents", "revisions")
        )
    assert heads["document_id",]
    assert past["document_id", "revision"]
    for name in ("author", "kind", "source", "language", "tags", "published_us"):
        assert (name, "document_id") in heads


def test_reading_makes_no_database(open_store: Opener, local_mongo: str) -> None:
    store = open_store()
    assert isinstance(store, MongoDocumentStore)
    assert not list(store.find())
    with store._connection.open() as database:
        assert not database.list_collection_names()


def test_without_pymongo_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['pymongo'] = None\n"
        "from llm_engineering.domain.errors import MissingExtra\n"
        "try: import llm_engineering.infrastructure.mongo\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "'pymongo' is not installed; pip install 'llm-twin[mongo]'\n"
