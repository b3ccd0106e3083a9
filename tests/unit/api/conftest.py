"""A client of an API whose index holds a few notes."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.unit.serving import (
    WaitingChat,
    indexed_app,
    serving,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def chat() -> WaitingChat:
    """One that waits for nobody."""
    waiting = WaitingChat()
    waiting.let_go.set()
    return waiting


@pytest.fixture
async def client(chat: WaitingChat) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with NOTES in its index."""
    async with serving(indexed_app(chat=chat)) as connected:
        yield connected
