"""The keys that a running server knows: fresh, read once for all, and told nothing by time."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException

from llm_engineering.api.keyring import FRESH_S, Keyring, Keys
from llm_engineering.api.middleware import limited
from llm_engineering.application.keys import create_key, revoke_key
from llm_engineering.domain.access import ApiKey, Scope
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.memory_keys import MemoryAuditLog, MemoryKeyStore

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)


class CountedStore(MemoryKeyStore):
    """Counts what is asked of it; `full` cannot be written."""

    asked = 0
    written: list[Mapping[str, datetime]]
    full = False

    def version(self) -> str:
        self.asked += 1
        time.sleep(0.02)
        return super().version()

    def used(self, moments: Mapping[str, datetime]) -> None:
        if self.full:
            raise BackendUnavailable("keys.db: disk is full; free some space")
        self.written = [*getattr(self, "written", []), moments]
        super().used(moments)


def add(store: MemoryKeyStore, name: str = "laptop", **of: Any) -> tuple[bytes, ApiKey]:
    secret, key = create_key(
        name, scopes=(Scope.ASK,), store=store, audit=MemoryAuditLog(), now=NOW, **of
    )
    return secret.encode(), key


async def test_many_that_ask_at_once_are_answered_from_one_reading_for_half_a_second() -> None:
    store, clock = CountedStore(), SimpleNamespace(now=0.0)
    secret, key = add(store)
    ring = Keyring(lambda: store, clock=lambda: clock.now)

    first = await asyncio.gather(*(ring.keys() for _ in range(50)))
    clock.now = FRESH_S - 0.01
    await ring.keys()
    assert store.asked == 1
    assert [keys.find(secret) for keys in first] == [key] * 50

    revoke_key("laptop", store=store, audit=MemoryAuditLog(), now=NOW)
    clock.now = FRESH_S + 0.01
    found = (await ring.keys()).find(secret)
    assert store.asked == 2
    assert found is not None
    assert found.state(NOW) == "revoked"
    ring.close()


async def test_a_request_that_leaves_while_keys_are_read_takes_nobody_with_it() -> None:
    store = CountedStore()
    secret, key = add(store)
    ring = Keyring(lambda: store)
    leaving, staying = (asyncio.ensure_future(ring.keys()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()

    assert (await staying).find(secret) == key
    ring.close()


async def test_the_use_of_a_key_is_written_once_a_minute_and_a_full_disk_only_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, clock = CountedStore(), SimpleNamespace(now=NOW)
    _, key = add(store)
    ring = Keyring(lambda: store, now=lambda: clock.now)
    for second in range(0, 150, 5):
        clock.now = NOW + timedelta(seconds=second)
        ring.use(key)
    ring._thread.submit(lambda: None).result()  # what was handed to it before is done
    store.full = True
    clock.now = NOW + timedelta(hours=1)
    ring.use(key)
    ring.close()

    seconds = [(moments[key.id] - NOW).seconds for moments in store.written]
    assert seconds == [0, 60, 120]
    assert "disk is full" in caplog.text


def test_how_long_a_refusal_takes_tells_nothing_of_the_key() -> None:
    """A right beginning, a wrong one, and the key itself take the same look-up."""
    store = MemoryKeyStore()
    made = [add(store, f"key {number}")[0] for number in range(200)]
    keys = Keys("1", {key.digest: key for key in store.all()})
    right = made[100]
    presented = {
        "right": right,
        "last differs": right[:-1] + (b"A" if right[-1:] != b"A" else b"B"),
        "first differs": b"twin-" + bytes(reversed(right[5:])),
    }
    took: dict[str, list[float]] = {name: [] for name in presented}
    for _ in range(3_000):
        for name, secret in presented.items():
            started = time.perf_counter()
            keys.find(secret)
            took[name].append(time.perf_counter() - started)

    medians = {name: statistics.median(each) for name, each in took.items()}
    assert max(medians.values()) < 2 * min(medians.values()), medians


async def test_a_body_that_trickles_in_is_not_waited_for() -> None:
    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    receive = limited({"headers": []}, trickle, 1_000, within_s=0.1)
    with pytest.raises(HTTPException) as refused:
        [await receive() for _ in range(1_000)]

    assert refused.value.status_code == 408


async def test_once_the_body_is_whole_nothing_hurries_the_answer() -> None:
    messages = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    taken = limited({"headers": []}, receive, 1_000, within_s=0.05)
    await taken()

    assert (await taken())["type"] == "http.disconnect"
