"""Single pages from the web."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial

from llm_engineering.domain.documents import Author, DocumentHead
from llm_engineering.domain.sources import HttpConfig, WebConfig
from llm_engineering.infrastructure.sources.http.fetcher import HttpFetcher, utc_now
from llm_engineering.infrastructure.sources.pages import (
    Listed,
    Origin,
    host_of,
    in_order,
    read_page,
    same_kind,
)
from llm_engineering.ports.sources import Found


class WebSource:
    """The pages that the configuration names."""

    lists_everything = False
    """A page taken out of the configuration still exists."""

    def __init__(
        self,
        config: WebConfig,
        *,
        author: Author,
        http: HttpConfig,
        open_fetcher: Callable[[HttpConfig], HttpFetcher] = HttpFetcher,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._urls = tuple(dict.fromkeys(config.urls))
        self._http = http
        self._open_fetcher = open_fetcher
        self._origin = Origin(author, self.id, config.document_kind, now)

    @property
    def id(self) -> str:
        return f"web:{host_of(self._urls[0])}"

    async def read(self, known: Mapping[str, DocumentHead]) -> AsyncGenerator[Found]:
        known = same_kind(known, self._origin.kind)
        async with self._open_fetcher(self._http) as fetcher:
            read = partial(read_page, origin=self._origin, fetcher=fetcher, known=known)
            calls = (partial(read, Listed(url)) for url in self._urls)
            async with aclosing(in_order(calls)) as pages:
                async for found in pages:
                    yield found
