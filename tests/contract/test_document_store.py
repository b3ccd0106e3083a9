"""What every document store keeps: the port's docstrings, sentence by sentence."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.reports import PutResult
from llm_engineering.ports.stores import DocumentStore
from tests.contract.document_stores import (
    LATER,
    NOW,
    Opener,
    note,
    with_id,
)


def test_a_new_document_is_given_back_whole(store: DocumentStore) -> None:
    document = note(
        language="en", published_at=NOW, tags=("b", "a", "b"), etag='W/"1"', last_modified="Mon"
    )
    assert store.put([document]) == PutResult(new=(document.id,))
    assert store.get(document.id) == document


def test_the_store_numbers_revisions_itself(store: DocumentStore) -> None:
    store.put([note().model_copy(update={"revision": 7})])
    store.put([note(text="other").model_copy(update={"revision": 7})])
    assert [each.revision for each in store.revisions(note().id)] == [1, 2]


def test_putting_twice_keeps_one_document(store: DocumentStore) -> None:
    store.put([note()])
    assert store.put([note()]) == PutResult(unchanged=(note().id,))
    assert list(store.find()) == [note()]
    assert store.revisions(note().id) == (note(),)


@pytest.mark.parametrize("etag", ["new", None])
def test_an_unchanged_document_refreshes_only_what_fetching_tells(
    store: DocumentStore, etag: str | None
) -> None:
    fetched = {"etag": etag, "last_modified": "Tue", "fetched_at": LATER}
    store.put([note(etag="old", last_modified="Mon", tags=("t",))])
    store.put([note(tags=("t",)).model_copy(update={**fetched, "title": "T", "text": "other"})])
    assert store.get(note().id) == note(tags=("t",)).model_copy(update=fetched)


def test_a_changed_document_leaves_its_past_revision(store: DocumentStore) -> None:
    old = note(etag="1", tags=("x", "y"), published_at=NOW)
    new = note(text="other", title="New", tags=("y",), fetched_at=LATER)
    store.put([old])
    assert store.put([new]) == PutResult(changed=(old.id,))
    now = new.model_copy(update={"revision": 2})
    assert store.get(old.id) == now
    assert store.revisions(old.id) == (old, now)


def test_an_old_text_that_comes_back_is_a_further_revision(store: DocumentStore) -> None:
    for text in ("one", "two", "one"):
        store.put([note(text=text)])
    revisions = [(each.revision, each.text) for each in store.revisions(note().id)]
    assert revisions == [(1, "one"), (2, "two"), (3, "one")]


def test_a_put_tells_what_happened_to_each_in_the_order_given(store: DocumentStore) -> None:
    store.put([note("same"), note("old"), note("older")])
    given = [note("z"), note("old", text="!"), note("same"), note("b"), note("older", text="!")]
    assert store.put(given) == PutResult(
        new=(note("z").id, note("b").id),
        changed=(note("old").id, note("older").id),
        unchanged=(note("same").id,),
    )


def test_the_last_of_several_with_one_id_wins(store: DocumentStore) -> None:
    assert store.put([note(text="1"), note("b"), note(text="2")]) == PutResult(
        new=(note().id, note("b").id)
    )
    assert store.revisions(note().id) == (note(text="2"),)
    result = store.put([note(text="3"), note(text="2")])
    assert result == PutResult(unchanged=(note().id,))


def test_putting_nothing_does_nothing(store: DocumentStore) -> None:
    assert store.put([]) == PutResult()
    assert not list(store.heads())


@pytest.mark.parametrize("text", ["same", "other"])
def test_a_tombstone_comes_alive_as_a_change(store: DocumentStore, text: str) -> None:
    store.put([note(text="same", tags=("t",))])
    store.remove([note().id], at=LATER)
    assert store.put([note(text=text)]) == PutResult(changed=(note().id,))
    dead = note(text="same", tags=("t",)).model_copy(update={"deleted_at": LATER})
    alive = note(text=text).model_copy(update={"revision": 2})
    assert store.get(note().id) == alive
    assert store.revisions(note().id) == (dead, alive)
    assert store.put([note(text=text)]) == PutResult(unchanged=(note().id,))


def test_an_unknown_document_is_not_found(store: DocumentStore) -> None:
    for key in ("nobody", "", "nul\0", "lone \ud800"):
        with pytest.raises(NotFound) as caught:
            store.get(key)
        assert repr(key) in str(caught.value)
        assert store.get_many([key]) == {}
        assert store.revisions(key) == ()
        assert store.remove([key], at=NOW) == 0


def test_a_tombstone_is_found_by_nothing_but_its_revisions(store: DocumentStore) -> None:
    store.put([note(), note("b")])
    assert store.remove([note().id], at=LATER) == 1
    with pytest.raises(NotFound):
        store.get(note().id)
    assert list(store.find()) == [note("b")]
    assert list(store.heads()) == [note("b").head()]
    assert dict(store.get_many([note().id])) == {}
    assert store.revisions(note().id) == (note().model_copy(update={"deleted_at": LATER}),)


def test_removing_counts_what_was_alive_and_keeps_the_first_time(store: DocumentStore) -> None:
    store.put([note("a"), note("b"), note("c")])
    ids = [note(name).id for name in "ab"]
    assert store.remove([*ids, ids[0], "nobody"], at=NOW) == 2
    assert store.remove([*ids, note("c").id], at=LATER) == 1
    assert [store.revisions(key)[-1].deleted_at for key in ids] == [NOW, NOW]
    assert store.remove([], at=NOW) == 0


def test_of_an_erased_document_nothing_stays_that_was_written(store: DocumentStore) -> None:
    store.put([note("a", title="First", tags=("t",), etag="1"), note("b"), note("c")])
    store.put([note("a", text="second", title="Second", tags=("t",))])
    assert store.remove([note("b").id], at=NOW) == 1
    ids = [note(name).id for name in "ab"]
    assert store.erase([*ids, "nobody"], at=LATER) == 1
    for key, name, times, at in ((ids[0], "a", 2, LATER), (ids[1], "b", 1, NOW)):
        (tombstone,) = store.revisions(key)
        blank = {"title": "", "tags": (), "text": "", "content_hash": ""}
        assert tombstone == note(name).model_copy(
            update={**blank, "revision": times, "deleted_at": at}
        )
    assert list(store.find()) == [note("c")]
    assert store.erase(ids, at=LATER) == 0
    assert store.erase([], at=LATER) == 0


def test_an_erased_document_that_is_put_again_goes_on_counting(store: DocumentStore) -> None:
    store.put([note(text="1")])
    store.erase([note().id], at=NOW)
    store.put([note(text="2")])
    assert [(each.revision, each.text) for each in store.revisions(note().id)] == [
        (1, ""),
        (2, "2"),
    ]
    assert store.get(note().id).text == "2"


@pytest.mark.parametrize("again", [False, True])
def test_a_document_that_is_erased_while_others_are_read_is_passed_over(
    store: DocumentStore, again: bool
) -> None:
    documents = sorted((note(name) for name in "ab"), key=lambda each: each.id)
    store.put(documents)
    found = store.find()
    assert next(found) == documents[0]
    store.erase([documents[1].id], at=NOW)
    if again:
        store.put([documents[1]])
    assert all(each.text == documents[1].text for each in found)


def test_listings_are_ordered_by_id(store: DocumentStore) -> None:
    documents = [with_id(note(str(number)), key) for number, key in enumerate("bBaé~€Z_-😀�")]
    store.put(documents)
    wanted = sorted(documents, key=lambda each: each.id)
    assert list(store.find()) == wanted
    assert list(store.heads()) == [each.head() for each in wanted]


def test_many_are_got_by_id(store: DocumentStore) -> None:
    store.put([note("a"), note("b"), note("c")])
    ids = [note("c").id, "nobody", note("a").id, note("c").id]
    found = store.get_many(ids)
    assert dict(found) == {note("a").id: note("a"), note("c").id: note("c")}
    assert store.get_many([]) == {}


def test_a_thousand_documents_go_in_and_out_at_once(store: DocumentStore) -> None:
    documents = sorted((note(f"n{n}", tags=(f"t{n}",)) for n in range(1_000)), key=lambda d: d.id)
    ids = tuple(each.id for each in documents)
    assert store.put(documents) == PutResult(new=ids)
    assert list(store.find()) == documents
    assert list(store.heads()) == [each.head() for each in documents]
    assert list(store.get_many(ids).values()) == documents
    assert store.put(documents) == PutResult(unchanged=ids)
    changed = [note(f"n{n}", text="new") for n in range(1_000)]
    assert store.put(changed) == PutResult(changed=tuple(each.id for each in changed))
    assert {each.revision for each in store.heads()} == {2}
    assert store.remove(ids, at=LATER) == 1_000


def test_a_text_of_megabytes_comes_back(store: DocumentStore) -> None:
    document = note(text="Ünïcödé 😀\n" * 300_000)
    store.put([document, note("b")])
    store.put([note(text="short")])
    assert store.revisions(document.id)[0].text == document.text


def test_what_one_put_another_sees(open_store: Opener) -> None:
    first = open_store()
    first.put([note("a"), note("b")])
    second = open_store()
    assert sorted(each.url for each in second.heads()) == [note("a").url, note("b").url]
    second.remove([note("a").id], at=LATER)
    second.put([note("b", text="new")])
    assert [(each.url, each.revision) for each in first.find()] == [(note("b").url, 2)]


def test_closing_keeps_the_documents_and_may_be_done_twice(open_store: Opener) -> None:
    store = open_store()
    store.put([note()])
    store.close()
    store.close()
    assert list(open_store().find()) == [note()]
    assert store.get(note().id) == note()


def test_closing_before_the_first_use_is_fine(store: DocumentStore) -> None:
    store.close()


def test_an_iteration_survives_what_happens_meanwhile(store: DocumentStore) -> None:
    documents = [with_id(note(str(n)), f"{n:04}") for n in range(1_500)]
    store.put(documents)
    seen: list[Document] = []
    for document in store.find():
        if not seen:
            store.put([with_id(note(str(n), text="new"), f"{n:04}") for n in range(1_500)])
            store.remove(["1499"], at=LATER)
            store.close()
        seen.append(document)
    ids = [each.id for each in seen]
    assert ids[:1_499] == [f"{n:04}" for n in range(1_499)]
    assert all((each.text == "new") == (each.revision == 2) for each in seen)


def test_threads_that_put_different_documents_lose_none(store: DocumentStore) -> None:
    def put(worker: int) -> None:
        for turn in range(10):
            store.put([note(f"{worker}/{turn}/{n}") for n in range(5)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(8)))
    assert len(list(store.heads())) == 400


def test_threads_that_put_one_document_keep_every_revision(store: DocumentStore) -> None:
    def put(worker: int) -> int:
        results = [store.put([note(text=f"{worker} {turn}"), note("b")]) for turn in range(10)]
        return sum(len(each.new) + len(each.changed) for each in results)

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(put, range(8)))
    revisions = store.revisions(note().id)
    assert taken == len(revisions) + 1 == 81
    assert [each.revision for each in revisions] == list(range(1, 81))
    assert {each.text for each in revisions} == {f"{w} {t}" for w in range(8) for t in range(10)}


def test_threads_that_remove_one_document_count_it_once(store: DocumentStore) -> None:
    store.put([note(str(n)) for n in range(20)])
    ids = [note(str(n)).id for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        removed = pool.map(lambda _: sum(store.remove([key], at=LATER) for key in ids), range(8))
        assert sum(removed) == 20
