"""A stream ends with whoever reads it, and with whoever does not."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest

from llm_engineering.api.event_stream import EventStream

STALLED_S = 0.2


class Client:
    """One that never leaves, and takes `pace_s` to read each part; None: it never does."""

    def __init__(self, *, pace_s: float | None) -> None:
        self._pace_s = pace_s
        self.read: list[Any] = []

    async def receive(self) -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, part: MutableMapping[str, Any]) -> None:
        if self._pace_s is None and self.read:
            await asyncio.Event().wait()
        await asyncio.sleep(self._pace_s or 0)
        self.read.append(part)


class Events:
    """So many, at a pace."""

    def __init__(self, count: int, *, pace_s: float = 0.0) -> None:
        self._count = count
        self._pace_s = pace_s
        self.closed = False

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(self._count):
                await asyncio.sleep(self._pace_s)
                yield f"data: {number}\n\n".encode()
        finally:
            self.closed = True


async def streamed(events: Events, client: Client) -> None:
    stream = EventStream(events(), stalled_s=STALLED_S)
    async with asyncio.timeout(10):
        await stream({"type": "http"}, client.receive, client.send)
    assert events.closed


@pytest.mark.anyio
async def test_who_stays_and_reads_nothing_is_left() -> None:
    events, client = Events(3), Client(pace_s=None)

    await streamed(events, client)

    assert [part["type"] for part in client.read] == ["http.response.start"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("events", "client"),
    [
        (Events(9), Client(pace_s=STALLED_S / 4)),
        (Events(3, pace_s=STALLED_S * 2), Client(pace_s=0)),
    ],
    ids=["who reads slowly", "an engine that speaks slowly"],
)
async def test_what_is_slow_goes_on_to_its_end(events: Events, client: Client) -> None:
    await streamed(events, client)

    assert client.read[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
