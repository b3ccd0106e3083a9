"""How the crawler treats servers: patience, conditional requests, robots.txt, few at once."""

import asyncio

import pytest

from llm_engineering.domain.documents import DocumentKind
from llm_engineering.domain.sources import HttpConfig, WebConfig
from llm_engineering.infrastructure.sources.web import WebSource
from llm_engineering.ports.sources import Found, Unchanged
from tests.integration.reading import (
    ADA,
    ONCE,
    StoppedTime,
    documents,
    failures,
    heads,
    read,
    reason,
    run,
    visit,
    web,
)
from tests.integration.web_server import (
    Reply,
    Request,
    Route,
    page,
    redirect,
    send,
    serving,
)


def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    time = StoppedTime()
    busy = Reply(429, headers={"retry-after": "7"})
    found, server = run(visit({"/a": [busy, page("Done.")]}, "/a", http=HttpConfig(), time=time))
    assert documents(found)[0].text == "Done."
    assert time.sleeps == [7.0]
    assert server.asked("/a") == 2


def test_a_retry_date_counts_from_now() -> None:
    time = StoppedTime()
    busy = Reply(503, headers={"retry-after": "Wed, 01 May 2024 12:00:30 GMT"})
    found, _ = run(visit({"/a": [busy, page("Done.")]}, "/a", http=HttpConfig(), time=time))
    assert documents(found)[0].text == "Done."
    assert time.sleeps == [30.0]


def test_a_retry_date_long_after_is_a_failure_at_once() -> None:
    busy = Reply(429, headers={"retry-after": "3600"})
    expected = "HTTP 429, Retry-After 3600 s is longer than 60 s"
    assert reason({"/a": busy}, "/a", http=HttpConfig()) == expected


def test_a_server_error_that_passes_is_tried_again_with_growing_pauses() -> None:
    time = StoppedTime()
    routes: dict[str, Route] = {"/a": [Reply(503), Reply(502), page("Back again.")]}
    found, _ = run(visit(routes, "/a", http=HttpConfig(), time=time))
    assert documents(found)[0].text == "Back again."
    assert time.sleeps == [0.5, 1.0]


def test_a_server_error_that_stays_is_a_failure_that_counts_its_tries() -> None:
    found, server = run(visit({"/a": Reply(500)}, "/a", http=HttpConfig(retries=2)))
    assert failures(found)[0].reason == "HTTP 500, 3 tries"
    assert server.asked("/a") == 3


async def conditional(request: Request, writer: asyncio.StreamWriter) -> None:
    same = request.headers.get("if-none-match") == '"v1"'
    await send(writer, Reply(304) if same else page("Version one.", etag='"v1"'))


@pytest.mark.parametrize(
    ("header", "value", "condition"),
    [
        ("etag", 'W/"v1"', "if-none-match"),
        ("last-modified", "Wed, 01 May 2024 12:00:00 GMT", "if-modified-since"),
    ],
)
def test_an_unchanged_page_is_not_sent_again(header: str, value: str, condition: str) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        same = request.headers.get(condition) == value
        await send(writer, Reply(304) if same else page("Version one.", **{header: value}))

    async def twice() -> tuple[list[Found], str]:
        async with serving({"/a": answer}) as server:
            source = web(server, "/a", http=ONCE, time=StoppedTime())
            return await read(source, heads(await read(source))), server.base

    found, base = run(twice())
    assert found == [Unchanged(f"{base}/a")]


def test_a_page_wanted_as_another_kind_is_fetched_anew() -> None:
    async def twice() -> list[Found]:
        async with serving({"/a": conditional}) as server:
            first = await read(web(server, "/a", http=ONCE, time=StoppedTime()))
            config = WebConfig(
                kind="web", urls=(f"{server.base}/a",), document_kind=DocumentKind.POST
            )
            return await read(WebSource(config, author=ADA, http=ONCE), heads(first))

    (document,) = documents(run(twice()))
    assert document.kind is DocumentKind.POST


ROBOTS = Reply(
    body=b"User-agent: llm-twin\nDisallow: /private\nUser-agent: *\nDisallow: /\n",
    headers={"content-type": "text/plain"},
)


def test_robots_txt_is_obeyed_and_read_once() -> None:
    routes = {"/robots.txt": ROBOTS, "/a": page("Text of a."), "/b": page("Text of b.")}
    found, server = run(visit(routes, "/a", "/private/c", "/b"))
    (failure,) = failures(found)
    assert failure.reason == "robots.txt disallows it"
    assert len(found) == 3
    assert server.asked("/robots.txt") == 1
    assert server.asked("/private/c") == 0


def test_a_redirect_into_a_disallowed_place_is_not_followed() -> None:
    routes = {"/robots.txt": ROBOTS, "/a": redirect("/private/c")}
    found, server = run(visit(routes, "/a"))
    assert failures(found)[0].reason == "robots.txt disallows it"
    assert server.asked("/private/c") == 0


def test_robots_txt_can_be_ignored_by_whoever_owns_the_site() -> None:
    routes = {"/robots.txt": ROBOTS, "/private/c": page("My own.")}
    found, server = run(visit(routes, "/private/c", http=HttpConfig(respect_robots=False)))
    assert documents(found)[0].text == "My own."
    assert server.asked("/robots.txt") == 0


@pytest.mark.parametrize("robots", [Reply(404), Reply(403), Reply(410), redirect("/robots.txt")])
def test_a_site_without_robots_txt_may_be_read(robots: Reply) -> None:
    found, _ = run(visit({"/robots.txt": robots, "/a": page("Text.")}, "/a"))
    assert len(documents(found)) == 1


def test_a_site_whose_robots_txt_is_broken_may_not_be_read() -> None:
    found, server = run(visit({"/robots.txt": Reply(500), "/a": page("x")}, "/a"))
    expected = "robots.txt cannot be read (HTTP 500), so nothing may be"
    assert failures(found)[0].reason == expected
    assert server.asked("/a") == 0


def test_a_crawl_delay_keeps_requests_apart() -> None:
    time = StoppedTime()
    robots = Reply(body=b"User-agent: *\nCrawl-delay: 5\n")
    paths = [f"/{i}" for i in range(3)]
    routes = {"/robots.txt": robots} | {path: page("Text.") for path in paths}
    http = HttpConfig(concurrency_per_host=1)
    found, _ = run(visit(routes, *paths, http=http, time=time))
    assert len(documents(found)) == 3
    assert time.sleeps == [5.0, 5.0]


def test_a_host_never_gets_more_requests_at_once_than_allowed() -> None:
    active, most = 0, 0
    full = asyncio.Event()

    async def counted(_request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        if active == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.05)  # time for a fourth request to come in
        active -= 1
        await send(writer, page("Text."))

    paths = [f"/{i}" for i in range(12)]
    http = HttpConfig(concurrency_per_host=3, respect_robots=False)
    found, _ = run(visit(dict.fromkeys(paths, counted), *paths, http=http))
    assert len(documents(found)) == 12
    assert most == 3
