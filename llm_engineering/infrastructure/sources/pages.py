"""Pages to documents: what web, sitemap and feed sources have in common."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from llm_engineering.domain.documents import (
    Author,
    Document,
    DocumentHead,
    DocumentKind,
    new_document,
)
from llm_engineering.domain.errors import SourceFailed
from llm_engineering.domain.reports import Failure
from llm_engineering.infrastructure.sources.http.fetcher import Body, HttpFetcher
from llm_engineering.infrastructure.sources.http.urls import page_url
from llm_engineering.infrastructure.sources.reading.encodings import decode
from llm_engineering.infrastructure.sources.reading.extraction import extract_page
from llm_engineering.infrastructure.sources.reading.markdown_files import parse_markdown
from llm_engineering.ports.sources import Found

T = TypeVar("T")

_AHEAD = 32
"""Addresses in work at once; how many requests that makes is the fetcher's business."""
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Origin:
    """What all documents of one source share."""

    author: Author
    source: str
    kind: DocumentKind
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Listed:
    """An address and what the place that lists it says about it."""

    url: str
    title: str | None = None
    published_at: datetime | None = None
    tags: tuple[str, ...] = ()


async def read_page(
    page: Listed, *, origin: Origin, fetcher: HttpFetcher, known: Mapping[str, DocumentHead]
) -> Found:
    """Fetch and extract one page; whatever fails is a Failure."""
    fetched = await fetcher.fetch(page.url, known=known)
    if not isinstance(fetched, Body):
        return fetched
    try:
        return await asyncio.to_thread(_document, fetched, page, origin)
    except SourceFailed as error:
        return Failure(subject=fetched.url, reason=str(error))


async def in_order(calls: Iterable[Callable[[], Coroutine[None, None, T]]]) -> AsyncGenerator[T]:
    """Results in the order of `calls`, several of which run at once.

    The order decides which of two pages with one canonical address counts, so it must not depend
    on which server is faster.
    """
    waiting = iter(calls)
    running = deque(asyncio.ensure_future(call()) for call in islice(waiting, _AHEAD))
    try:
        while running:
            yield await running[0]
            running.popleft()
            running.extend(asyncio.ensure_future(call()) for call in islice(waiting, 1))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def same_kind(known: Mapping[str, DocumentHead], kind: DocumentKind) -> Mapping[str, DocumentHead]:
    """Those that would come out the same: "not modified" must not hide a changed configuration."""
    return {url: head for url, head in known.items() if head.kind == kind}


def host_of(url: str) -> str:
    """For names of sources: the host, or what was written instead of an address."""
    return urlsplit(url).netloc.casefold() or url


def _document(body: Body, listed: Listed, origin: Origin) -> Document:
    if b"\0" in body.content[:1024] and not body.content.startswith(_WIDE_BOMS):
        raise SourceFailed("its body is binary, not text")
    text = decode(body.content, charset=body.charset, declared="html" in body.media_type)
    html = "html" in body.media_type or (not body.media_type and text.lstrip().startswith("<"))
    page = extract_page(text, url=body.url) if html else None
    found = page or parse_markdown(text)
    url = page_url(body.url, page.canonical) if page else body.url
    return new_document(
        author=origin.author,
        url=url,
        title=found.title or listed.title or title_of(url),
        text=found.text,
        kind=origin.kind,
        source=origin.source,
        fetched_at=origin.now(),
        language=found.language,
        published_at=listed.published_at or found.published_at,
        tags=listed.tags or found.tags,
        etag=body.etag,
        last_modified=body.last_modified,
    )


def title_of(url: str) -> str:
    """A title where nobody gave one: 'https://e.org/notes/on-parsing.html' is 'on parsing'."""
    parts = urlsplit(url)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    stem = re.sub(r"\.\w{1,8}$", "", last)
    return re.sub(r"[-_+\s]+", " ", stem).strip() or parts.netloc
