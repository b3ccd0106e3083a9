"""Manners towards one host: few requests at once, pauses it asked for, its robots.txt."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from urllib.parse import urlsplit

from protego import Protego

from llm_engineering.infrastructure.sources.http.trouble import Refused
from llm_engineering.infrastructure.sources.reading.encodings import decode


class HostGate:
    """Lets `width` requests through at a time, no sooner than the host wants them."""

    def __init__(
        self,
        width: int,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._places = asyncio.Semaphore(width)
        self._sleep = sleep
        self._clock = clock
        self._next = float("-inf")
        self.spacing_s = 0.0
        """Least time between the starts of two requests."""

    async def __aenter__(self) -> None:
        await self._places.acquire()
        try:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self.spacing_s
            if start > now:
                await self._sleep(start - now)
        except BaseException:
            self._places.release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._places.release()

    def pause(self, seconds: float) -> None:
        """No request starts within `seconds` from now."""
        self._next = max(self._next, self._clock() + seconds)


class Robots:
    """The rules of each site (RFC 9309), read once per site."""

    def __init__(self, read: Callable[[str], Awaitable[bytes]], *, product: str) -> None:
        """`read` gives a robots.txt by its address; what it raises holds for its whole site."""
        self._read = read
        self._product = product
        self._rules: dict[str, Protego | Refused] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def delay(self, url: str) -> float:
        """Seconds that the site of `url` wants between requests; raises Refused if not at all."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        async with self._locks.setdefault(site, asyncio.Lock()):
            if site not in self._rules:
                self._rules[site] = await self._fetched(f"{site}/robots.txt")
        rules = self._rules[site]
        if isinstance(rules, Refused):
            raise Refused(rules.reason, status=rules.status)
        if not rules.can_fetch(url, self._product):
            raise Refused("robots.txt disallows it")
        return rules.crawl_delay(self._product) or 0.0

    async def _fetched(self, url: str) -> Protego | Refused:
        try:
            return Protego.parse(decode(await self._read(url), declared=False))
        except Refused as refused:
            return refused
