"""Every page that a sitemap lists (sitemaps.org protocol 0.9).

Its <lastmod> is not believed: generators set it to the time of the build as often as to the time
of the change. Conditional requests ask the page itself.
"""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from lxml import etree

from llm_engineering.domain.documents import Author, DocumentHead
from llm_engineering.domain.errors import InvalidConfig, InvalidInput, SourceFailed
from llm_engineering.domain.reports import Failure
from llm_engineering.domain.sources import HttpConfig, SitemapConfig
from llm_engineering.infrastructure.sources.http.body import BodyRefused, gunzip
from llm_engineering.infrastructure.sources.http.fetcher import Body, HttpFetcher, utc_now
from llm_engineering.infrastructure.sources.http.urls import canonical_url
from llm_engineering.infrastructure.sources.pages import (
    Listed,
    Origin,
    in_order,
    read_page,
    same_kind,
)
from llm_engineering.ports.sources import Found, Gone, Unchanged

_MOST_SITEMAPS = 1_000
_DEEPEST = 3
"""Indexes within indexes; the protocol allows one."""


@dataclass(slots=True)
class _Listing:
    """What has been read of the sitemap so far."""

    pages: dict[str, None] = field(default_factory=dict)
    """Canonical addresses in order."""
    failures: list[Failure] = field(default_factory=list)
    sitemaps: set[str] = field(default_factory=set)


class SitemapSource:
    """The pages of one sitemap or sitemap index."""

    def __init__(
        self,
        config: SitemapConfig,
        *,
        author: Author,
        http: HttpConfig,
        open_fetcher: Callable[[HttpConfig], HttpFetcher] = HttpFetcher,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Raises InvalidConfig when `include` is no regular expression."""
        self._config = config
        self._http = http
        self._open_fetcher = open_fetcher
        self._origin = Origin(author, self.id, config.document_kind, now)
        self._complete = False
        try:
            self._include = re.compile(config.include or "")
        except re.error as error:
            raise InvalidConfig(
                f"include {config.include!r} is not a regular expression: {error}"
            ) from None

    @property
    def id(self) -> str:
        return f"sitemap:{re.sub(r'^https?://', '', self._config.url, flags=re.IGNORECASE)}"

    @property
    def lists_everything(self) -> bool:
        """False while a part of the sitemap could not be read, or was cut by the limit."""
        return self._complete

    async def read(self, known: Mapping[str, DocumentHead]) -> AsyncGenerator[Found]:
        self._complete = False
        known = same_kind(known, self._origin.kind)
        async with self._open_fetcher(self._http) as fetcher:
            listing = _Listing()
            await self._list(self._config.url, listing, fetcher, depth=0)
            if not listing.pages and not listing.failures:
                raise SourceFailed(self._nothing_listed())
            pages = list(listing.pages)[: self._config.limit]
            if len(pages) < len(listing.pages):
                reason = f"lists more than {self._config.limit:,} pages; raise its limit"
                listing.failures.append(Failure(subject=self._config.url, reason=reason))
            for failure in listing.failures:
                yield failure
            self._complete = not listing.failures
            read = partial(read_page, origin=self._origin, fetcher=fetcher, known=known)
            calls = (partial(read, Listed(url)) for url in pages)
            async with aclosing(in_order(calls)) as found_pages:
                async for found in found_pages:
                    yield found

    def _nothing_listed(self) -> str:
        if self._config.include is None:
            return f"sitemap {self._config.url} lists no pages"
        return f"sitemap {self._config.url} lists no page that matches {self._config.include!r}"

    async def _list(self, url: str, listing: _Listing, fetcher: HttpFetcher, *, depth: int) -> None:
        """Add what the sitemap at `url` lists; raises SourceFailed only for the outermost one."""
        try:
            kind, addresses = await self._entries(url, fetcher)
        except SourceFailed as error:
            if depth == 0:
                raise
            listing.failures.append(Failure(subject=url, reason=str(error)))
            return
        for address in addresses:
            try:
                canonical = canonical_url(address, base=url)
            except InvalidInput as error:
                listing.failures.append(Failure(subject=address, reason=str(error)))
                continue
            if kind == "urlset":
                self._add_page(canonical, listing)
            elif canonical not in listing.sitemaps:
                listing.sitemaps.add(canonical)
                await self._list_child(canonical, listing, fetcher, depth=depth + 1)

    async def _list_child(
        self, url: str, listing: _Listing, fetcher: HttpFetcher, *, depth: int
    ) -> None:
        if depth > _DEEPEST or len(listing.sitemaps) > _MOST_SITEMAPS:
            reason = f"sitemaps nest deeper than {_DEEPEST} or are more than {_MOST_SITEMAPS:,}"
            listing.failures.append(Failure(subject=url, reason=reason))
        elif len(listing.pages) <= self._config.limit:
            await self._list(url, listing, fetcher, depth=depth)

    def _add_page(self, url: str, listing: _Listing) -> None:
        if self._include.search(url) and len(listing.pages) <= self._config.limit:
            listing.pages[url] = None

    async def _entries(self, url: str, fetcher: HttpFetcher) -> tuple[str, list[str]]:
        match await fetcher.fetch(url, media_types=None):
            case Body() as body:
                return parse_sitemap(body.content, limit=self._http.max_bytes)
            case Failure(reason=reason):
                raise SourceFailed(f"sitemap {url}: {reason}")
            case Gone() | Unchanged():
                raise SourceFailed(f"sitemap {url}: HTTP 410")


def parse_sitemap(content: bytes, *, limit: int) -> tuple[str, list[str]]:
    """'urlset' or 'sitemapindex' with the addresses in it, as written.

    Gzip is undone up to `limit` bytes. Entities are never expanded and nothing is fetched. Raises
    SourceFailed for anything else.
    """
    try:
        xml = gunzip(content, limit=limit) if content.startswith(b"\x1f\x8b") else content
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        root = etree.fromstring(xml, parser)
    except (BodyRefused, etree.XMLSyntaxError) as error:
        raise SourceFailed(f"not a sitemap: {error}") from None
    kind = etree.QName(root).localname
    if kind not in {"urlset", "sitemapindex"}:
        raise SourceFailed(f"not a sitemap: its root element is <{kind}>")
    return kind, list(_locations(root))


def _locations(root: etree._Element) -> Iterator[str]:
    for entry in root.iterchildren("{*}url", "{*}sitemap"):
        for location in entry.iterchildren("{*}loc"):
            if location.text and location.text.strip():
                yield location.text.strip()
