"""Web pages, sitemaps and feeds, read from a server that misbehaves."""

import asyncio
import gzip

import pytest

from llm_engineering.domain.sources import HttpConfig, WebConfig
from llm_engineering.infrastructure.sources.web import WebSource
from llm_engineering.ports.sources import Found, Gone
from tests.integration.reading import (
    ADA,
    NOW,
    ONCE,
    StoppedTime,
    documents,
    failures,
    read,
    reason,
    run,
    visit,
    web,
)
from tests.integration.web_server import (
    Reply,
    Route,
    broken_off,
    endless,
    page,
    redirect,
    serving,
    slow_loris,
)

HTML = {"content-type": "text/html"}


def test_a_page_becomes_a_document_with_what_it_says_about_itself() -> None:
    head = """<title>On parsing</title><meta name=keywords content="python, parsing">
        <meta property="article:published_time" content="2024-03-05T23:30:00-02:00">"""
    found, server = run(visit({"/a": page("It’s “fine”.", head=head, etag='"1"')}, "/a"))
    (document,) = documents(found)
    assert document.title == "On parsing"
    assert document.text == "It’s “fine”."
    assert document.url == f"{server.base}/a"
    assert document.author == "Ada Lovelace"
    assert document.language == "en"
    assert document.tags == ("python", "parsing")
    assert str(document.published_at) == "2024-03-06 01:30:00+00:00"
    assert document.source == f"web:127.0.0.1:{server.port}"
    assert (document.etag, document.fetched_at) == ('"1"', NOW)


def test_the_crawler_says_who_it_is() -> None:
    _, server = run(visit({"/a": page("Hello there.")}, "/a"))
    assert all("llm-twin" in request.headers["user-agent"] for request in server.requests)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (Reply(404), "HTTP 404"),
        (Reply(503), "HTTP 503"),
        (Reply(204), "HTTP 204"),
        (endless, "larger than 100,000 bytes"),
        (Reply(headers=HTML | {"content-length": "100000000"}), "larger than 100,000 bytes"),
        (
            Reply(body=b"%PDF-1.7", headers={"content-type": "application/pdf"}),
            "content type application/pdf is not text",
        ),
        (Reply(body=b"\x89PNG\0\0\0", headers=HTML), "its body is binary, not text"),
        (Reply(body=b"PK\x03\x04\0\0"), "its body is binary, not text"),
        (
            Reply(
                body=gzip.compress(bytes(50_000_000)), headers=HTML | {"content-encoding": "gzip"}
            ),
            "larger than 100,000 bytes",
        ),
        (
            Reply(body=b"no gzip at all", headers=HTML | {"content-encoding": "gzip"}),
            "its gzip compression is broken",
        ),
        (
            Reply(body=b"?", headers=HTML | {"content-encoding": "br"}),
            "content encoding br was not asked for",
        ),
        (Reply(headers=HTML), "empty page: no main text found"),
        (
            Reply(body=b"<body><nav><a href=/>Home</a></nav><script>1</script>", headers=HTML),
            "empty page: no main text found",
        ),
        (
            Reply(body=b"   \n", headers={"content-type": "text/plain"}),
            "empty: there is no text in it",
        ),
        (broken_off, "connection broke"),
        (redirect("/a"), "redirects in a loop"),
        (
            redirect("file:///etc/passwd"),
            "redirects to a bad address: 'file:///etc/passwd' is not a web address; "
            "it must start with http:// or https://",
        ),
    ],
)
def test_what_cannot_be_read_says_why(route: Route, expected: str) -> None:
    assert reason({"/a": route}, "/a") == expected


def test_a_body_that_stops_coming_times_out() -> None:
    async def slow() -> list[Found]:
        async with serving({"/a": slow_loris}) as server:
            http = HttpConfig(retries=1, timeout_s=0.2)
            return await read(web(server, "/a", http=http, time=StoppedTime()))

    (failure,) = failures(run(slow()))
    assert failure.reason == "timed out after 0.2 s, 2 tries"


def test_nobody_listening_is_a_failure_and_is_tried_again() -> None:
    time = StoppedTime()
    found, _ = run(visit({}, "http://127.0.0.1:1/a", http=HttpConfig(retries=2), time=time))
    (failure,) = failures(found)
    assert failure.reason == "connection refused, 3 tries"
    assert time.sleeps == [0.5, 1.0]


@pytest.mark.parametrize("address", ["ftp://example.org/a", "mailto:a@example.org", "notes", "//x"])
def test_what_is_no_web_address_is_a_failure(address: str) -> None:
    async def visited() -> list[Found]:
        source = WebSource(WebConfig(kind="web", urls=(address,)), author=ADA, http=ONCE)
        return await read(source)

    (failure,) = failures(run(visited()))
    assert failure.subject == address
    assert failure.reason.endswith("must start with http:// or https://")


def test_redirects_in_a_circle_end_at_once() -> None:
    routes = {"/a": redirect("/b"), "/b": redirect("/c"), "/c": redirect("/a")}
    found, server = run(visit(routes, "/a"))
    assert failures(found)[0].reason == "redirects in a loop"
    assert server.asked("/a") == 1


def test_redirects_without_end_are_limited() -> None:
    routes = {f"/{i}": redirect(f"/{i + 1}") for i in range(20)}
    http = HttpConfig(retries=0, max_redirects=3)
    found, server = run(visit(routes, "/0", http=http))
    assert failures(found)[0].reason == "more than 3 redirects"
    assert server.asked("/4") == 0


def test_a_redirected_page_has_the_address_it_was_redirected_to() -> None:
    routes = {
        "/old": redirect("/new?utm_source=feed&id=1#top"),
        "/new?utm_source=feed&id=1": page("Here it is."),
    }
    found, server = run(visit(routes, "/old"))
    assert documents(found)[0].url == f"{server.base}/new?id=1"


def test_a_redirect_that_only_adds_tracking_is_no_loop() -> None:
    routes = {"/a": redirect("/a?utm_source=x"), "/a?utm_source=x": page("Here it is.")}
    found, server = run(visit(routes, "/a"))
    assert documents(found)[0].url == f"{server.base}/a"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("/a", "/a"),
        ("https://elsewhere.example/a", "/a?page=1"),
        ("/", "/a?page=1"),
        ("javascript:0", "/a?page=1"),
    ],
)
def test_a_declared_canonical_address_counts_within_the_site(declared: str, expected: str) -> None:
    head = f'<link rel="canonical" href="{declared}">'
    found, server = run(visit({"/a?page=1": page("Some text.", head=head)}, "/a?page=1"))
    assert documents(found)[0].url == server.base + expected


def test_a_missing_page_is_asked_for_once() -> None:
    _, server = run(visit({}, "/a", http=HttpConfig()))
    assert server.asked("/a") == 1


def test_a_page_that_is_gone_for_good_is_gone() -> None:
    found, server = run(visit({"/a": Reply(410)}, "/a"))
    assert found == [Gone(f"{server.base}/a")]


def test_one_bad_page_does_not_stop_the_others_and_order_is_kept() -> None:
    routes = {"/a": page("Text of a."), "/b": Reply(404), "/c": page("Text of c.")}
    found, _ = run(visit(routes, "/a", "/b", "/c"))
    assert [getattr(each, "text", None) for each in found] == ["Text of a.", None, "Text of c."]


def test_windows_quotes_stay_quotes_whatever_the_server_calls_them() -> None:
    html = "<body><article><p>It’s “fine” — really.</p></article></body>"
    headers = {"content-type": "text/html; charset=iso-8859-1"}
    found, _ = run(visit({"/a": Reply(body=html.encode("cp1252"), headers=headers)}, "/a"))
    assert documents(found)[0].text == "It’s “fine” — really."


def test_plain_markdown_from_the_web_is_kept_as_written() -> None:
    body = "---\ntags: [a]\n---\n# On *parsing*\n\nIt’s fine.\n".encode()
    routes = {"/a.md": Reply(body=body, headers={"content-type": "text/markdown"})}
    (document,) = documents(run(visit(routes, "/a.md"))[0])
    assert document.text == "# On *parsing*\n\nIt’s fine.\n"
    assert (document.title, document.tags) == ("On *parsing*", ("a",))


def test_a_page_without_any_title_is_called_after_its_address() -> None:
    found, _ = run(visit({"/notes/on-my_desk.html": page("Text.")}, "/notes/on-my_desk.html"))
    assert documents(found)[0].title == "on my desk"


def test_stopping_in_the_middle_leaves_no_request_behind() -> None:
    async def stopped() -> int:
        async with serving({"/a": page("Text."), "/b": slow_loris}) as server:
            found = web(server, "/a", "/b", http=HttpConfig(), time=StoppedTime()).read({})
            await anext(found)
            await found.aclose()
            running = asyncio.all_tasks() - {asyncio.current_task()}
            return sum("read_page" in repr(task) for task in running)

    assert run(stopped()) == 0
