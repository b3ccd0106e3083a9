"""Crawl: read every source, keep what is new or changed, tombstone what is gone.

Does not know: how a page is fetched or extracted, where documents are kept.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, assert_never
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.documents import Author, Document, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import InvalidConfig, SourceFailed, TooManyFailures
from llm_engineering.domain.reports import CrawlReport, Failure, PutResult
from llm_engineering.domain.sources import (
    FeedConfig,
    FilesConfig,
    HttpConfig,
    SitemapConfig,
    SourceConfig,
    WebConfig,
)
from llm_engineering.ports.progress import Advance, Progress
from llm_engineering.ports.sources import Found, Gone, Source, Unchanged
from llm_engineering.ports.stores import DocumentStore

__all__ = [
    "CrawlConfig",
    "FeedConfig",
    "FilesConfig",
    "HttpConfig",
    "SitemapConfig",
    "SourceConfig",
    "WebConfig",
    "check_failures",
    "crawl",
]

T = TypeVar("T")

_BATCH = 64
"""Documents per write: enough to be fast, few enough that a killed run loses little."""
_SHOWN = 3
"""Failures that an error message quotes."""


class CrawlConfig(BaseModel):
    """What to crawl and for whom (configs/etl.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: Author
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    http: HttpConfig = HttpConfig()
    max_failed_share: float = Field(default=0.2, ge=0, le=1)
    """The run fails when more than this share of the addresses failed."""
    refetch: bool = False
    """Ignore what is known and fetch everything anew."""


@dataclass(slots=True)
class _Tally:
    """What has happened so far; addresses are canonical."""

    seen: set[str] = field(default_factory=set)
    gone: dict[str, str] = field(default_factory=dict)
    """Address -> document id of what its source no longer has."""
    failures: list[Failure] = field(default_factory=list)
    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def first_sight(self, url: str) -> bool:
        """Whether `url` was not seen before; now it was."""
        new = url not in self.seen
        self.seen.add(url)
        return new

    def count(self, result: PutResult) -> None:
        self.new += len(result.new)
        self.changed += len(result.changed)
        self.unchanged += len(result.unchanged)


async def crawl(
    config: CrawlConfig,
    *,
    sources: Sequence[Source],
    store: DocumentStore,
    progress: Progress,
    now: Callable[[], datetime],
) -> CrawlReport:
    """Read all sources into the store; what fails is in the report, see `check_failures`.

    Sources are read one after the other, so that of two that have the same address always the
    first one counts. A cancelled crawl keeps the batches written so far and removes nothing.
    Raises InvalidConfig when two sources have one name.
    """
    _check_names(sources)
    started = now()
    tally = _Tally()
    for source in sources:
        with progress.stage(f"crawl {source.id}") as advance:
            await _read_source(source, config, store, tally, advance)
    gone = [document_id for url, document_id in tally.gone.items() if url not in tally.seen]
    removed = await _in_thread(lambda: store.remove(gone, at=now()) if gone else 0)
    where = DocumentFilter(
        authors=(config.author.name,), sources=tuple(source.id for source in sources)
    )
    report = await _in_thread(lambda: _report(tally, store, where))
    seconds = (now() - started).total_seconds()
    return report.model_copy(update={"removed": removed, "seconds": seconds})


def check_failures(report: CrawlReport, config: CrawlConfig) -> None:
    """Raise TooManyFailures when nothing was read or more failed than `config` allows.

    Apart from `crawl`, so that the report of a failed run can still be shown.
    """
    failed = len(report.failed)
    total = report.seen + failed
    if report.seen and failed <= config.max_failed_share * total:
        return
    quoted = "; ".join(f"{each.subject}: {each.reason}" for each in report.failed[:_SHOWN])
    more = f"; and {failed - _SHOWN} more" if failed > _SHOWN else ""
    if not report.seen:
        fix = "fix the sources in the configuration"
        raise TooManyFailures(f"nothing could be read ({quoted or 'no documents'}{more}); {fix}")
    raise TooManyFailures(
        f"{failed} of {total} addresses failed, more than {config.max_failed_share:.0%} "
        f"({quoted}{more}); what was read is kept; fix them or raise max_failed_share"
    )


def _check_names(sources: Sequence[Source]) -> None:
    (name, count), *_ = Counter(source.id for source in sources).most_common(1)
    if count > 1:
        raise InvalidConfig(
            f"two sources are called {name!r}; give one another 'name', or make them one"
        )


async def _read_source(
    source: Source, config: CrawlConfig, store: DocumentStore, tally: _Tally, advance: Advance
) -> None:
    """Put everything that `source` holds into `store`, and what happened into `tally`."""
    where = DocumentFilter(authors=(config.author.name,), sources=(source.id,))
    known = await _in_thread(lambda: {head.url: head for head in store.heads(where)})
    failures: list[Failure] = []
    batch: list[Document] = []
    complete = False
    stream = source.read({} if config.refetch else known)
    try:
        async for found in stream:
            _take(found, known, tally, batch, failures)
            if len(batch) >= _BATCH:
                await _put(batch, store, tally)
            advance(1)
        complete = source.lists_everything
    except SourceFailed as error:
        failures.append(Failure(subject=source.id, reason=str(error)))
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
    await _put(batch, store, tally)
    if complete:
        tally.gone |= _absent(known, tally.seen, failures)
    tally.failures += failures


def _take(
    found: Found,
    known: Mapping[str, DocumentHead],
    tally: _Tally,
    batch: list[Document],
    failures: list[Failure],
) -> None:
    """Note one thing that a source yielded; an address counts where it is seen first."""
    match found:
        case Document():
            if tally.first_sight(found.url):
                batch.append(found)
        case Unchanged():
            if tally.first_sight(found.url):
                tally.unchanged += 1
        case Gone():
            if found.url in known:
                tally.gone[found.url] = known[found.url].id
        case Failure():
            failures.append(found)
        case unreachable:
            assert_never(unreachable)


async def _put(batch: list[Document], store: DocumentStore, tally: _Tally) -> None:
    """Write and empty `batch`."""
    if batch:
        documents = tuple(batch)
        batch.clear()
        tally.count(await _in_thread(lambda: store.put(documents)))


def _absent(
    known: Mapping[str, DocumentHead], seen: set[str], failures: Iterable[Failure]
) -> dict[str, str]:
    """What a complete listing does not have; an address that merely failed is not absent."""
    spared = {_loose(failure.subject) for failure in failures}
    return {
        url: head.id for url, head in known.items() if url not in seen and _loose(url) not in spared
    }


def _loose(url: str) -> str:
    """Equal for addresses that servers redirect to one another.

    The listed http://www.example.org/a that fails today may be https://example.org/a/ of yesterday.
    """
    parts = urlsplit(url)
    path = re.sub(r"/(?:index\.\w+)?$", "", parts.path)
    return f"{parts.netloc.removeprefix('www.')}{path}?{parts.query}".casefold()


def _report(tally: _Tally, store: DocumentStore, where: DocumentFilter) -> CrawlReport:
    kinds: Counter[str] = Counter()
    months: Counter[str] = Counter()
    for head in store.heads():
        kinds[head.kind.value] += 1
        months[f"{head.published_at:%Y-%m}" if head.published_at else "undated"] += 1
    return CrawlReport(
        sources=where.sources,
        seen=tally.new + tally.changed + tally.unchanged,
        new=tally.new,
        changed=tally.changed,
        unchanged=tally.unchanged,
        failed=tuple(tally.failures),
        by_kind=dict(sorted(kinds.items())),
        by_month=dict(sorted(months.items())),
        characters=tuple(len(document.text) for document in store.find(where)),
    )


async def _in_thread(work: Callable[[], T]) -> T:
    """`work` off the event loop. Cancelled, it first lets a write end: its store may close next."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
