"""A server without keys: for its own machine, called by its own name, and closed for good once
there was a key."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_engineering.api import keyring
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.memory_keys import MemoryKeyStore
from llm_engineering.infrastructure.sqlite_keys import SqliteKeyStore
from tests.unit.serving import QUESTION, bearing, indexed_app, make_key, problem, serving

pytestmark = pytest.mark.anyio


async def asked(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/search", json={"query": QUESTION}, headers=headers)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8080"),
        ("127.0.0.1", "LocalHost:8080"),
        ("127.0.0.1", "localhost."),
        ("127.0.0.1", "127.0.0.5"),
        ("::1", "[::1]:8080"),
        ("127.0.0.1", "twin.test:8080"),
    ],
)
async def test_this_machine_needs_no_key_while_there_is_none(address: str, host: str) -> None:
    app = indexed_app(api={"hosts": "twin.test,other.test"})
    async with serving(app, address=address, host=host) as client:
        assert (await asked(client)).status_code == 200
        assert (await asked(client, authorization="Bearer anything")).status_code == 200


@pytest.mark.parametrize("address", ["203.0.113.9", "10.0.0.4", "2001:db8::1", "not an address"])
async def test_other_machines_are_refused_while_there_is_no_key(address: str) -> None:
    async with serving(indexed_app(), address=address) as client:
        body = problem(await asked(client), status=401, kind="invalid-api-key")

    assert "'twin keys create NAME'" in body["detail"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "0.0.0.0:8080", "x"],
)
async def test_a_name_that_was_resolved_to_this_machine_is_refused(host: str) -> None:
    async with serving(indexed_app(), host=host) as client:
        body = problem(await asked(client), status=421, kind="host-not-allowed")

    assert "TWIN_API__HOSTS" in body["detail"]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
async def test_who_comes_through_a_proxy_on_this_machine_is_not_on_it(header: str) -> None:
    app = indexed_app()
    async with serving(app) as client:
        problem(await asked(client, **{header: "127.0.0.1"}), status=401, kind="invalid-api-key")


async def test_keys_may_be_required_before_there_is_one() -> None:
    async with serving(indexed_app(api={"auth": "required"})) as client:
        problem(await asked(client), status=401, kind="invalid-api-key")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are looked up for every request."""
    monkeypatch.setattr(keyring, "FRESH_S", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_lost_its_keys_stays_closed(tmp_path: Path) -> None:
    app = indexed_app(keys=SqliteKeyStore(tmp_path / "keys.db"))
    async with serving(app) as client:
        assert (await asked(client)).status_code == 200
        key = make_key(app)
        assert (await asked(client)).status_code == 401
        assert (await asked(client, **bearing(key))).status_code == 200
        for path in tmp_path.iterdir():
            path.unlink()
        assert (await asked(client)).status_code == 401
        assert (await asked(client, **bearing(key))).status_code == 401
        another = make_key(app)
        assert (await asked(client, **bearing(another))).status_code == 200
    app.close()


class BrokenKeyStore(MemoryKeyStore):
    """Cannot be read while `broken`."""

    broken = False

    def version(self) -> str:
        if self.broken:
            raise BackendUnavailable("keys.db: damaged; restore a backup")
        return super().version()


@pytest.mark.usefixtures("impatient")
async def test_keys_that_cannot_be_read_open_nothing_until_they_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: Any = BrokenKeyStore()
    app = indexed_app(keys=store)
    key = make_key(app)
    async with serving(app) as client:
        store.broken = True
        response = await asked(client, **bearing(key))
        health = await client.get("/health", headers=bearing(key))
        store.broken = False
        again = await asked(client, **bearing(key))

    assert "damaged" not in problem(response, status=503, kind="backend-unavailable")["title"]
    assert response.headers["retry-after"] == "1"
    assert (health.status_code, again.status_code) == (200, 200)
