"""What the tests of sources share: reading a source to its end, and time that does not pass."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from llm_engineering.domain.documents import Author, Document, DocumentHead
from llm_engineering.domain.reports import Failure
from llm_engineering.domain.sources import HttpConfig, WebConfig
from llm_engineering.infrastructure.sources.http.fetcher import HttpFetcher
from llm_engineering.infrastructure.sources.web import WebSource
from llm_engineering.ports.sources import Found, Source
from tests.integration.web_server import Route, WebServer, serving

T = TypeVar("T")

ADA = Author(name="Ada Lovelace")
NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
ONCE = HttpConfig(retries=0, max_bytes=100_000)


class StoppedTime:
    """A clock that only sleeping moves, and that notes every sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    def fetcher(self, config: HttpConfig) -> HttpFetcher:
        return HttpFetcher(
            config, sleep=self.sleep, jitter=lambda: 0.5, clock=self.clock, now=lambda: NOW
        )


async def read(source: Source, known: Mapping[str, DocumentHead] | None = None) -> list[Found]:
    return [found async for found in source.read(known or {})]


def documents(found: list[Found]) -> list[Document]:
    """All of `found`, which must hold nothing else."""
    wrong = [each for each in found if not isinstance(each, Document)]
    assert wrong == []
    return [each for each in found if isinstance(each, Document)]


def failures(found: list[Found]) -> list[Failure]:
    return [each for each in found if isinstance(each, Failure)]


def heads(found: list[Found]) -> dict[str, DocumentHead]:
    """What a store would know after `found`."""
    return {document.url: document.head() for document in documents(found)}


def now() -> datetime:
    return NOW


def run(work: Coroutine[None, None, T]) -> T:
    return asyncio.run(work)


def web(server: WebServer, *paths: str, http: HttpConfig, time: StoppedTime) -> WebSource:
    urls = tuple(path if "://" in path else server.base + path for path in paths)
    return WebSource(
        WebConfig(kind="web", urls=urls), author=ADA, http=http, open_fetcher=time.fetcher, now=now
    )


async def visit(
    routes: Mapping[str, Route],
    *paths: str,
    http: HttpConfig = ONCE,
    time: StoppedTime | None = None,
) -> tuple[list[Found], WebServer]:
    async with serving(routes) as server:
        found = await read(web(server, *paths, http=http, time=time or StoppedTime()))
        return found, server


def reason(routes: Mapping[str, Route], path: str, http: HttpConfig = ONCE) -> str:
    found, _ = run(visit(routes, path, http=http))
    (failure,) = failures(found)
    return failure.reason
