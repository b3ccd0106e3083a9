"""What only an index on a Qdrant server has to deal with."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from qdrant_client import models

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings
from llm_engineering.infrastructure.qdrant_cards import LEASE_S, Builder
from llm_engineering.infrastructure.qdrant_server import QdrantVectorIndex
from tests.contract.indexed_chunks import MANIFEST, dense, embedded, entry, found, publish

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
