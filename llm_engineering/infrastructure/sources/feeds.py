"""Entries of RSS (0.9x, 1.0, 2.0) and Atom feeds.

A feed's full content is used where it has it; where an entry holds only a summary its page is
read. A feed that is not well-formed gives what can still be parsed.
"""

import asyncio
import re
from calendar import timegm
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import feedparser

from llm_engineering.domain.documents import Author, DocumentHead, new_document
from llm_engineering.domain.errors import InvalidInput, SourceFailed
from llm_engineering.domain.reports import Failure
from llm_engineering.domain.sources import FeedConfig, HttpConfig
from llm_engineering.infrastructure.sources.http.fetcher import Body, HttpFetcher, utc_now
from llm_engineering.infrastructure.sources.http.urls import canonical_url
from llm_engineering.infrastructure.sources.pages import (
    Listed,
    Origin,
    in_order,
    read_page,
    same_kind,
    title_of,
)
from llm_engineering.infrastructure.sources.reading.extraction import tidy, tidy_tags
from llm_engineering.infrastructure.sources.reading.html_markdown import (
    fragment_to_markdown,
    parse_html,
)
from llm_engineering.infrastructure.sources.reading.language import detect_language, language_code
from llm_engineering.ports.sources import Found, Gone, Unchanged

_WORD = re.compile(r"[^\W_]")

Entry = Mapping[str, Any]
"""feedparser's own dictionary, whatever the feed's dialect."""


class FeedSource:
    """What one feed shows now."""

    lists_everything = False
    """Older entries leave a feed, and stay published."""

    def __init__(
        self,
        config: FeedConfig,
        *,
        author: Author,
        http: HttpConfig,
        open_fetcher: Callable[[HttpConfig], HttpFetcher] = HttpFetcher,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._url = config.url
        self._http = http
        self._open_fetcher = open_fetcher
        self._origin = Origin(author, self.id, config.document_kind, now)

    @property
    def id(self) -> str:
        return f"feed:{re.sub(r'^https?://', '', self._url, flags=re.IGNORECASE)}"

    async def read(self, known: Mapping[str, DocumentHead]) -> AsyncGenerator[Found]:
        known = same_kind(known, self._origin.kind)
        async with self._open_fetcher(self._http) as fetcher:
            body = await self._fetched(fetcher)
            feed = await asyncio.to_thread(parse_feed, body)
            language = language_code(feed.feed.get("language"))
            read = partial(self._entry, base=body.url, language=language)
            calls = (partial(read, entry, fetcher=fetcher, known=known) for entry in feed.entries)
            async with aclosing(in_order(calls)) as entries:
                async for found in entries:
                    yield found

    async def _fetched(self, fetcher: HttpFetcher) -> Body:
        match await fetcher.fetch(self._url, media_types=None):
            case Body() as body:
                return body
            case Failure(reason=reason):
                raise SourceFailed(f"feed {self._url}: {reason}")
            case Gone() | Unchanged():
                raise SourceFailed(f"feed {self._url}: HTTP 410")

    async def _entry(
        self,
        entry: Entry,
        *,
        base: str,
        language: str | None,
        fetcher: HttpFetcher,
        known: Mapping[str, DocumentHead],
    ) -> Found:
        try:
            listed = _listed(entry, base)
            html = _content(entry)
            if html is None:
                return await read_page(listed, origin=self._origin, fetcher=fetcher, known=known)
            return await asyncio.to_thread(self._document, listed, html, language)
        except InvalidInput as error:
            return Failure(subject=str(entry.get("link") or base), reason=str(error))
        except SourceFailed as error:
            return Failure(subject=listed.url, reason=str(error))

    def _document(self, listed: Listed, html: str, language: str | None) -> Found:
        text = fragment_to_markdown(html, url=listed.url)
        if not _WORD.search(text):
            raise SourceFailed("empty entry: there is no text in it")
        return new_document(
            author=self._origin.author,
            url=listed.url,
            title=listed.title or title_of(listed.url),
            text=text,
            kind=self._origin.kind,
            source=self._origin.source,
            fetched_at=self._origin.now(),
            language=language or detect_language(text),
            published_at=listed.published_at,
            tags=listed.tags,
        )


def parse_feed(body: Body) -> Any:
    """feedparser's reading of `body`; raises SourceFailed when there is no feed in it."""
    headers = {"content-location": body.url}
    if body.media_type:
        charset = f"; charset={body.charset}" if body.charset else ""
        headers["content-type"] = body.media_type + charset
    feed = feedparser.parse(body.content, response_headers=headers)
    if not feed.entries and (feed.bozo or not feed.version):
        problem = " ".join(str(feed.get("bozo_exception", "")).split())
        raise SourceFailed(f"not a feed{f': {problem}' if problem else ''}")
    return feed


def _listed(entry: Entry, base: str) -> Listed:
    """Raises InvalidInput for an entry without a usable address."""
    link = entry.get("link") or entry.get("id")
    if not link:
        raise InvalidInput(f"entry {str(entry.get('title', ''))!r} has no address")
    at = entry.get("published_parsed") or entry.get("updated_parsed")
    return Listed(
        url=canonical_url(str(link), base=base),
        title=_title(entry),
        published_at=datetime.fromtimestamp(timegm(at), UTC) if at else None,
        tags=tidy_tags(str(tag.get("term") or "") for tag in entry.get("tags", ())),
    )


def _title(entry: Entry) -> str | None:
    title = str(entry.get("title", ""))
    markup = "html" in str(entry.get("title_detail", {}).get("type", "")) and "<" in title
    return tidy(parse_html(title).get_text() if markup else title)


def _content(entry: Entry) -> str | None:
    """The longest full content, sanitised by feedparser; None when there is only a summary."""
    contents = [str(each.get("value", "")) for each in entry.get("content", ())]
    longest = max(contents, key=len, default="")
    return longest if longest.strip() else None
