"""Sources made of lists, and a crawl over them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llm_engineering.application.crawl import CrawlConfig, WebConfig, crawl
from llm_engineering.domain.documents import Author, Document, DocumentHead, new_document
from llm_engineering.domain.documents import DocumentKind as Kind
from llm_engineering.domain.errors import SourceFailed
from llm_engineering.domain.reports import CrawlReport
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.ports.progress import Advance
from llm_engineering.ports.sources import Found, Source

ADA = Author(name="Ada Lovelace")
NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def document(
    url: str,
    text: str = "Some text.",
    *,
    source: str = "web:x",
    published: datetime | None = None,
    kind: Kind = Kind.NOTE,
    author: Author = ADA,
) -> Document:
    return new_document(
        author=author,
        url=url,
        title=url,
        text=text,
        kind=kind,
        source=source,
        fetched_at=NOW,
        published_at=published,
    )


@dataclass
class ListSource:
    """Yields what it was given, then raises what it was given."""

    found: Sequence[Found]
    id: str = "web:x"
    lists_everything: bool = False
    error: SourceFailed | None = None
    hangs: bool = False
    known: list[Mapping[str, DocumentHead]] = field(default_factory=list)

    async def read(self, known: Mapping[str, DocumentHead]) -> AsyncGenerator[Found]:
        self.known.append(known)
        for found in self.found:
            yield found
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


@dataclass
class CountingProgress:
    stages: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, *, total: int | None = None) -> Iterator[Advance]:
        self.stages[name] = 0

        def advance(count: int) -> None:
            self.stages[name] += count

        yield advance


def config(*, refetch: bool = False, max_failed_share: float = 0.2) -> CrawlConfig:
    return CrawlConfig(
        author=ADA,
        sources=(WebConfig(kind="web", urls=("https://x.example/",)),),
        refetch=refetch,
        max_failed_share=max_failed_share,
    )


def running(
    *sources: Source,
    store: MemoryDocumentStore,
    refetch: bool = False,
    progress: CountingProgress | None = None,
    now: Callable[[], datetime] = lambda: NOW,
) -> Coroutine[None, None, CrawlReport]:
    return crawl(
        config(refetch=refetch),
        sources=sources,
        store=store,
        progress=progress or CountingProgress(),
        now=now,
    )


def crawled(
    *sources: Source, store: MemoryDocumentStore | None = None, refetch: bool = False
) -> CrawlReport:
    return asyncio.run(running(*sources, store=store or MemoryDocumentStore(), refetch=refetch))


def urls(store: MemoryDocumentStore) -> set[str]:
    return {head.url for head in store.heads()}
