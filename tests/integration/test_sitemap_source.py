"""Sitemaps: indexes, gzip, limits, and files that only claim to be one."""

import gzip
from collections.abc import Mapping

import pytest

from llm_engineering.domain.errors import InvalidConfig, SourceFailed
from llm_engineering.domain.sources import HttpConfig, SitemapConfig
from llm_engineering.infrastructure.sources.sitemap import SitemapSource
from llm_engineering.ports.sources import Found
from tests.integration.reading import ADA, ONCE, StoppedTime, documents, failures, now, read, run
from tests.integration.web_server import Reply, Route, WebServer, page, serving, xml

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def urlset(*addresses: str) -> str:
    entries = "".join(f"<url><loc> {each} </loc></url>" for each in addresses)
    return f'<?xml version="1.0"?><urlset xmlns="{NAMESPACE}">{entries}</urlset>'


def index(*addresses: str) -> str:
    entries = "".join(f"<sitemap><loc>{each}</loc></sitemap>" for each in addresses)
    return f'<sitemapindex xmlns="{NAMESPACE}">{entries}</sitemapindex>'


def sitemap(
    server: WebServer, *, include: str | None = None, limit: int = 100, http: HttpConfig = ONCE
) -> SitemapSource:
    config = SitemapConfig(
        kind="sitemap", url=f"{server.base}/sitemap.xml", include=include, limit=limit
    )
    open_fetcher = StoppedTime().fetcher
    return SitemapSource(config, author=ADA, http=http, open_fetcher=open_fetcher, now=now)


async def crawled(
    routes: Mapping[str, Route], *, include: str | None = None, limit: int = 100
) -> tuple[list[Found], bool]:
    """What was found, and whether the source then claims to have listed everything."""
    async with serving(routes) as server:
        source = sitemap(server, include=include, limit=limit)
        return await read(source), source.lists_everything


PAGES = {"/a": page("Text of a."), "/b": page("Text of b."), "/notes/c": page("Text of c.")}


def texts(found: list[Found]) -> list[str]:
    return [document.text for document in documents(found)]


def test_every_listed_page_is_read_in_order() -> None:
    routes = {"/sitemap.xml": xml(urlset("/b", "/a", "/b#again"))} | PAGES
    found, complete = run(crawled(routes))
    assert texts(found) == ["Text of b.", "Text of a."]
    assert complete


def test_an_index_is_followed_and_gzip_undone() -> None:
    routes = PAGES | {
        "/sitemap.xml": xml(index("/1.xml", "/2.xml.gz", "/1.xml", "/sitemap.xml")),
        "/1.xml": xml(urlset("/a")),
        "/2.xml.gz": Reply(body=gzip.compress(urlset("/b").encode())),
    }
    found, complete = run(crawled(routes))
    assert texts(found) == ["Text of a.", "Text of b."]
    assert complete


def test_only_included_addresses_are_read() -> None:
    routes = {"/sitemap.xml": xml(urlset("/a", "/b", "/notes/c"))} | PAGES
    found, complete = run(crawled(routes, include=r"/notes/"))
    assert texts(found) == ["Text of c."]
    assert complete


def test_pages_past_the_limit_are_told_and_nothing_counts_as_removed() -> None:
    routes = {"/sitemap.xml": xml(urlset("/a", "/b", "/notes/c"))} | PAGES
    found, complete = run(crawled(routes, limit=2))
    (failure,) = failures(found)
    assert failure.reason == "lists more than 2 pages; raise its limit"
    assert len(found) == 3
    assert not complete


def test_a_part_that_cannot_be_read_is_told_and_nothing_counts_as_removed() -> None:
    routes = {"/sitemap.xml": xml(index("/gone.xml", "/1.xml")), "/1.xml": xml(urlset("/a"))}
    found, complete = run(crawled(routes | PAGES))
    (failure,) = failures(found)
    assert failure.subject.endswith("/gone.xml")
    assert failure.reason.endswith("HTTP 404")
    assert len(found) == 2
    assert not complete


def test_a_listed_address_that_is_none_is_told() -> None:
    found, _ = run(crawled({"/sitemap.xml": xml(urlset("ftp://x/a", "/a"))} | PAGES))
    assert failures(found)[0].subject == "ftp://x/a"
    assert len(found) == 2


def test_a_page_that_fails_leaves_the_listing_complete() -> None:
    found, complete = run(crawled({"/sitemap.xml": xml(urlset("/missing", "/a"))} | PAGES))
    assert failures(found)[0].reason == "HTTP 404"
    assert complete


def test_endless_indexes_end() -> None:
    routes = {f"/{i}.xml": xml(index(f"/{i + 1}.xml")) for i in range(20)}
    routes["/sitemap.xml"] = xml(index("/0.xml"))
    found, complete = run(crawled(routes))
    assert failures(found)[0].reason.startswith("sitemaps nest deeper than 3")
    assert not complete


LAUGHS = f"""<?xml version="1.0"?>
<!DOCTYPE urlset [<!ENTITY a0 "http://127.0.0.1/">
{"".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))}]>
<urlset xmlns="{NAMESPACE}"><url><loc>&a11;</loc></url></urlset>"""
FOREIGN = f"""<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<urlset xmlns="{NAMESPACE}"><url><loc>&x;</loc></url></urlset>"""


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404), "HTTP 404"),
        (xml("<html><body>Sorry</body></html>"), "not a sitemap: its root element is <html>"),
        (xml("this is no XML"), "not a sitemap: "),
        (xml(urlset()), "lists no pages"),
        (xml(LAUGHS), ""),
        (xml(FOREIGN), "lists no pages"),
        (Reply(body=gzip.compress(bytes(10_000_000))), "larger than 100,000 bytes"),
        (Reply(body=b"\x1f\x8bnothing"), "its gzip compression is broken"),
    ],
    ids=["404", "html", "text", "empty", "laughs", "foreign", "bomb", "broken"],
)
def test_what_is_no_sitemap_fails_as_a_whole(reply: Reply, reason: str) -> None:
    with pytest.raises(SourceFailed, match="sitemap") as raised:
        run(crawled({"/sitemap.xml": reply}))
    assert reason in str(raised.value)


def test_a_pattern_that_matches_nothing_says_so() -> None:
    with pytest.raises(SourceFailed, match="lists no page that matches '/x/'"):
        run(crawled({"/sitemap.xml": xml(urlset("/a"))} | PAGES, include="/x/"))


def test_a_broken_pattern_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InvalidConfig, match=r"include '\(' is not a regular expression"):
        sitemap(WebServer({}), include="(")
