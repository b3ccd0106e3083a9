"""Fetch one address politely: robots.txt, few requests per host, patience, limits.

Whatever happens to an address comes back as data; only cancellation is raised. Does not know:
what is in the body.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from llm_engineering.domain.documents import DocumentHead
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.reports import Failure
from llm_engineering.domain.sources import HttpConfig
from llm_engineering.infrastructure.sources.http.body import BodyRefused, read_body
from llm_engineering.infrastructure.sources.http.politeness import HostGate, Robots
from llm_engineering.infrastructure.sources.http.trouble import (
    Refused,
    Temporary,
    transport_trouble,
)
from llm_engineering.infrastructure.sources.http.urls import canonical_url, normal_url
from llm_engineering.ports.sources import Gone, Unchanged

Sleep = Callable[[float], Awaitable[None]]

PAGES = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "text/plain",
        "text/markdown",
        "text/x-markdown",
        "text/x-web-markdown",
    }
)
"""Media types of pages; a response that names none is looked at."""
NOTHING_KNOWN: Mapping[str, DocumentHead] = MappingProxyType({})

_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_ROBOTS_BYTES = 512_000
"""RFC 9309 §2.5: at least 500 KiB must be read."""


@dataclass(frozen=True, slots=True)
class Body:
    """What an address held."""

    url: str
    """Canonical address of the last redirect."""
    content: bytes
    media_type: str
    """Lower case, '' when not stated."""
    charset: str | None
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class _Moved:
    target: str
    status: int


Fetched = Body | Unchanged | Gone | Failure


def utc_now() -> datetime:
    return datetime.now(UTC)


class HttpFetcher:
    """Fetches within one event loop; use as an async context manager."""

    def __init__(
        self,
        config: HttpConfig,
        *,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`jitter` gives numbers in [0, 1), `clock` seconds from any origin."""
        self._config = config
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._now = now
        self._gates: dict[str, HostGate] = {}
        self._robots = Robots(self._robots_txt, product=re.split(r"[/\s]", config.user_agent)[0])
        self._client = httpx.AsyncClient(
            headers={"user-agent": config.user_agent, "accept-encoding": "gzip"},
            timeout=None,  # noqa: S113 (one deadline for the whole request, see _exchange)
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def fetch(
        self,
        url: str,
        *,
        media_types: frozenset[str] | None = PAGES,
        known: Mapping[str, DocumentHead] = NOTHING_KNOWN,
    ) -> Fetched:
        """Get `url`, following redirects; `media_types` None takes any.

        Where `known` (by canonical address) has validators for an address on the way, they are
        sent, and its "not modified" comes back as Unchanged.
        """
        try:
            address = canonical_url(url)
            return await self._patiently(address, media_types, known, self._config.max_bytes)
        except InvalidInput as error:
            return Failure(subject=url, reason=str(error))
        except Refused as refused:
            return Failure(subject=address, reason=refused.reason)

    async def _patiently(
        self,
        address: str,
        media_types: frozenset[str] | None,
        known: Mapping[str, DocumentHead],
        limit: int,
        *,
        ask_robots: bool = True,
    ) -> Body | Unchanged | Gone:
        """Try, and try again after what may pass; raises Refused."""
        tries = self._config.retries + 1
        for attempt in range(tries):
            try:
                return await self._follow(address, media_types, known, limit, ask_robots)
            except Temporary as trouble:
                last = trouble
            if attempt < tries - 1:
                await self._back_off(last, attempt)
        suffix = f", {tries} tries" if tries > 1 else ""
        raise Refused(last.reason + suffix, status=last.status)

    async def _back_off(self, trouble: Temporary, attempt: int) -> None:
        wait = trouble.retry_after_s
        if wait is None:
            backoff = min(_FIRST_BACKOFF_S * 2**attempt, _LONGEST_BACKOFF_S)
            await self._sleep(backoff * (0.5 + self._jitter()))
        elif wait > self._config.max_retry_after_s:
            longest = f"longer than {self._config.max_retry_after_s:g} s"
            raise Refused(f"{trouble.reason}, Retry-After {wait:g} s is {longest}", trouble.status)
        else:
            self._gate(trouble.url).pause(wait)

    async def _follow(
        self,
        address: str,
        media_types: frozenset[str] | None,
        known: Mapping[str, DocumentHead],
        limit: int,
        ask_robots: bool,
    ) -> Body | Unchanged | Gone:
        visited: list[str] = []
        hop = address
        left = self._config.timeout_s
        while True:
            gate = self._gate(hop)
            if ask_robots and self._config.respect_robots:
                gate.spacing_s = await self._admitted(hop)
            async with gate:
                started = self._clock()
                answer = await self._exchange(hop, media_types, known, limit, left)
                left -= self._clock() - started
            if not isinstance(answer, _Moved):
                return answer
            visited.append(hop)
            hop = answer.target
            if hop in visited:
                raise Refused("redirects in a loop", status=answer.status)
            if len(visited) > self._config.max_redirects:
                most = self._config.max_redirects
                raise Refused(f"more than {most} redirects", status=answer.status)

    async def _admitted(self, url: str) -> float:
        """Seconds to leave between requests to the host of `url`; raises Refused, Temporary."""
        delay = await self._robots.delay(url)
        return min(delay, self._config.max_retry_after_s)

    async def _robots_txt(self, url: str) -> bytes:
        """The file at `url`, b'' where there is none; raises Refused when nobody can tell."""
        try:
            found = await self._patiently(url, None, NOTHING_KNOWN, _ROBOTS_BYTES, ask_robots=False)
        except Refused as refused:
            if refused.status is None:
                raise
            if 300 <= refused.status < 500 and refused.status != HTTPStatus.TOO_MANY_REQUESTS:
                return b""
            reason = f"robots.txt cannot be read ({refused.reason}), so nothing may be"
            raise Refused(reason, status=refused.status) from None
        return found.content if isinstance(found, Body) else b""

    async def _exchange(
        self,
        url: str,
        media_types: frozenset[str] | None,
        known: Mapping[str, DocumentHead],
        limit: int,
        left: float,
    ) -> Body | Unchanged | Gone | _Moved:
        """One request within `left` seconds."""
        canonical = canonical_url(url)
        head = known.get(canonical)
        timed_out = f"timed out after {self._config.timeout_s:g} s"
        try:
            async with (
                asyncio.timeout(left),
                self._client.stream("GET", url, headers=_conditions(head)) as response,
            ):
                match response.status_code:
                    case 200:
                        return await _body(response, canonical, media_types, limit)
                    case 304 if head is not None:
                        return Unchanged(canonical)
                    case 410:
                        return Gone(canonical)
                    case _:
                        return self._elsewhere(response, url)
        except TimeoutError:
            raise Temporary(timed_out, url=url) from None
        except BodyRefused as refused:
            raise Refused(str(refused), status=HTTPStatus.OK) from None
        except httpx.TransportError as error:
            raise transport_trouble(error, url=url) from None

    def _elsewhere(self, response: httpx.Response, url: str) -> _Moved:
        """Where a redirect leads; raises Refused or Temporary for every other status."""
        status = response.status_code
        if response.has_redirect_location:
            try:
                return _Moved(normal_url(response.headers["location"], base=url), status)
            except InvalidInput as error:
                raise Refused(f"redirects to a bad address: {error}", status=status) from None
        if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(response.headers.get("retry-after", ""), now=self._now())
            raise Temporary(f"HTTP {status}", url=url, status=status, retry_after_s=wait)
        raise Refused(f"HTTP {status}", status=status)

    def _gate(self, url: str) -> HostGate:
        host = urlsplit(url).netloc
        if host not in self._gates:
            self._gates[host] = HostGate(
                self._config.concurrency_per_host, sleep=self._sleep, clock=self._clock
            )
        return self._gates[host]


def _conditions(head: DocumentHead | None) -> dict[str, str]:
    if head is None:
        return {}
    validators = {"if-none-match": head.etag, "if-modified-since": head.last_modified}
    return {name: value for name, value in validators.items() if value}


async def _body(
    response: httpx.Response, url: str, media_types: frozenset[str] | None, limit: int
) -> Body:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_types is not None and media_type and media_type not in media_types:
        raise BodyRefused(f"content type {media_type} is not text")
    return Body(
        url=url,
        content=await read_body(response, limit=limit),
        media_type=media_type,
        charset=response.charset_encoding,
        etag=response.headers.get("etag"),
        last_modified=response.headers.get("last-modified"),
    )


def _retry_after(header: str, *, now: datetime) -> float | None:
    """Seconds from a Retry-After of either form (RFC 9110 §10.2.3); None without a usable one."""
    if header.strip().isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
