"""What only an index on a Qdrant server has to deal with."""

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from llm_engineering.domain.errors import BackendUnavailable, IndexMismatch, InvalidSettings
from llm_engineering.domain.vectors import DenseLeg, EmbeddedChunk, SparseVector
from llm_engineering.infrastructure import qdrant_server_build
from llm_engineering.infrastructure.qdrant_cards import LEASE_S, Builder
from llm_engineering.infrastructure.qdrant_server import QdrantVectorIndex
from tests.contract.indexed_chunks import (
    MANIFEST,
    dense,
    embedded,
    entry,
    found,
    publish,
    sparse,
    units,
)

KEY = "secret-key"
A, B, C = (embedded(entry(name)) for name in "abc")


@pytest.fixture
def index() -> Iterator[QdrantVectorIndex]:
    index = QdrantVectorIndex(":memory:", api_key=None, collection="twin", timeout_s=5)
    yield index
    index.close()


def at(url: str, *, api_key: str | None = None) -> QdrantVectorIndex:
    return QdrantVectorIndex(url, api_key=api_key, collection="twin", timeout_s=2)


def names(index: QdrantVectorIndex) -> set[str]:
    return {each.name for each in index._collections.client.get_collections().collections}


def left_by(index: QdrantVectorIndex, builder: Builder | None) -> None:
    """A build with C in it, whose builder is not this process."""
    build = index.build(MANIFEST)
    build.put([C])
    index._collections.write(build._card.model_copy(update={"builder": builder}))
    index._build = None


def somebody(**fields: object) -> Builder:
    return Builder.here().model_copy(update={"token": "another", **fields})


def test_versions_are_numbered_collections_of_which_two_are_kept(index: QdrantVectorIndex) -> None:
    assert [publish(index, each) for each in (A, B, C)] == ["twin-1", "twin-2", "twin-3"]
    assert names(index) == {"twin-2", "twin-3"}


@pytest.mark.parametrize(
    "builder",
    [None, somebody(pid=2**22 + 1), somebody(host="elsewhere", seen=0.0)],
    ids=["released", "dead here", "silent elsewhere"],
)
def test_what_a_dead_builder_left_is_continued(
    index: QdrantVectorIndex, builder: Builder | None
) -> None:
    publish(index, A)
    left_by(index, builder)
    build = index.build(MANIFEST)
    assert build.dirty()
    assert {each.chunk.text for each in build.entries()} == {"Text of a", "Text of c"}


@pytest.mark.parametrize(
    "builder", [somebody(pid=1), somebody(host="elsewhere")], ids=["here", "elsewhere"]
)
def test_what_a_live_builder_works_on_is_let_alone(
    index: QdrantVectorIndex, builder: Builder
) -> None:
    left_by(index, builder)
    with pytest.raises(BackendUnavailable, match=f"process {builder.pid} on {builder.host} is"):
        index.build(MANIFEST)
    assert names(index) == {"twin-1"}


def test_a_builder_elsewhere_lives_for_its_lease() -> None:
    seen = Builder.here().seen
    assert somebody(host="elsewhere", seen=seen - LEASE_S + 60).lives()
    assert not somebody(host="elsewhere", seen=seen - LEASE_S - 1).lives()


def test_an_unfinished_copy_is_made_again(
    index: QdrantVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(index, A, B)
    build = index.build(MANIFEST)
    monkeypatch.setattr(build, "_update_card", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build.put([C])
    again = index.build(MANIFEST)
    assert not again.dirty()
    assert {each.chunk.text for each in again.entries()} == {"Text of a", "Text of b"}
    again.remove([A.entry.chunk.id])
    again.publish()
    assert found(index) == {"Text of b"}


def test_a_put_that_was_killed_half_way_is_not_seen(
    index: QdrantVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(index, embedded(entry("a", text="abc", sentences=3)), B)
    build = index.build(MANIFEST)
    build.put([C])
    with monkeypatch.context() as patched:
        patched.setattr(qdrant_server_build, "chunk_point", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build.put([embedded(entry("a", text="abc", sentences=2))])
    again = index.build(MANIFEST)
    assert {each.chunk.text for each in again.entries()} == {"Text of b", "Text of c"}
    again.publish()
    assert index.count() == 2
    assert index.statistics()["bm25"].population == 2
    assert found(index) == found(index, sparse(7)) == {"Text of b", "Text of c"}


def test_a_reader_asks_once_for_each_search_of_a_version(
    index: QdrantVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(index, A)
    index.search([dense(), sparse(7)])
    client, asked = index._collections.client, list[str]()
    for name in ("retrieve", "query_batch_points", "get_collection", "scroll"):
        monkeypatch.setattr(client, name, counting(getattr(client, name), name, asked))
    index.search([dense(), sparse(7)])
    assert asked == ["query_batch_points"]
    publish(index, B)
    asked.clear()
    [[first, second]] = index.search([sparse(7)])
    assert asked == ["query_batch_points", "retrieve", "query_batch_points"]
    assert first.score == second.score == pytest.approx(np.log1p(0.5 / 2.5), rel=1e-5)


def counting(original: Callable[..., Any], name: str, asked: list[str]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(name)
        return original(*args, **kwargs)

    return counted


def test_a_reader_follows_a_version_with_other_vectors(index: QdrantVectorIndex) -> None:
    publish(index, A)
    assert found(index) == {"Text of a"}
    other = MANIFEST.model_copy(update={"dimension": 2, "dense": ("half",), "gate": "half"})
    writer = at(":memory:")
    writer._collections.close()
    writer._collections = index._collections
    build = writer.build(other, fresh=True)
    of = entry("b")
    build.put([EmbeddedChunk(of, {"half": units([[0, 1]])}, {"bm25": [SparseVector.of({})]})])
    build.publish()
    leg = DenseLeg("half", np.array([0, 1], dtype=np.float32), 5, 5)
    assert found(index, leg) == {"Text of b"}
    with pytest.raises(IndexMismatch, match=r"'text'.* half;"):
        index.search([dense()])


def test_a_card_of_another_version_of_this_program_is_not_ours(index: QdrantVectorIndex) -> None:
    publish(index, A)
    old = {"llm_twin": {"name": "twin-1", "manifest": {"embedder": "old"}}}
    index._collections.client.update_collection("twin-1", metadata=old)
    with pytest.raises(BackendUnavailable, match="TWIN_VECTORS__COLLECTION"):
        index.build(MANIFEST)


def test_a_build_that_was_taken_over_on_the_server_is_not_published(
    index: QdrantVectorIndex,
) -> None:
    build = index.build(MANIFEST)
    build.put([A])
    index._collections.write(build._card.model_copy(update={"builder": somebody()}))
    with pytest.raises(BackendUnavailable, match="another process builds 'twin-1'"):
        build.publish()
    build.discard()
    assert names(index) == {"twin-1"}


def test_collections_of_others_are_neither_read_nor_deleted(index: QdrantVectorIndex) -> None:
    client = index._collections.client
    params = models.VectorParams(size=4, distance=models.Distance.COSINE)
    client.create_collection("twin-1", vectors_config=params)
    for each in (A, B, C):
        publish(index, each)
    assert names(index) == {"twin-1", "twin-3", "twin-4"}

    taken = at(":memory:")
    taken._collections.client.create_collection("twin", vectors_config=params)
    for attempt in (taken.manifest, taken.version, lambda: taken.build(MANIFEST)):
        with pytest.raises(BackendUnavailable, match="TWIN_VECTORS__COLLECTION"):
            attempt()
    taken.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_no_server_is_one_line_that_names_host_and_fix_but_not_the_key() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    index = at(f"http://user:{KEY}@127.0.0.1:{port}", api_key=KEY)
    for attempt in (
        index.manifest,
        index.version,
        index.count,
        lambda: index.search([dense()]),
        lambda: index.build(MANIFEST),
    ):
        with pytest.raises(BackendUnavailable) as raised:
            attempt()
        said = str(raised.value)
        assert f"127.0.0.1:{port}" in said
        assert "make up" in said
        assert "TWIN_VECTORS__KIND" in said
        assert KEY not in said
        assert "\n" not in said
    index.close()


@pytest.mark.parametrize(
    ("status", "said"), [(401, "TWIN_VECTORS__API_KEY"), (403, "refuses the key"), (500, "500")]
)
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_server_that_refuses_is_one_line_without_the_key(status: int, said: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"no")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        index = at(f"http://127.0.0.1:{server.server_port}", api_key=KEY)
        with pytest.raises(BackendUnavailable, match=said) as raised:
            index.version()
        index.close()
        server.shutdown()
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("url", ["", "127.0.0.1:6333", "ftp://a", "http://", "http://a:b"])
def test_an_address_that_is_none_is_an_invalid_setting(url: str) -> None:
    with pytest.raises(InvalidSettings, match="TWIN_VECTORS__URL"):
        at(url)
