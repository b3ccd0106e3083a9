"""RSS and Atom feeds, full and short, sound and broken."""

import asyncio
from collections.abc import Mapping

import pytest

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.domain.sources import FeedConfig
from llm_engineering.infrastructure.sources.feeds import FeedSource
from llm_engineering.ports.sources import Found, Unchanged
from tests.integration.reading import (
    ADA,
    ONCE,
    StoppedTime,
    documents,
    failures,
    heads,
    now,
    read,
    run,
)
from tests.integration.web_server import (
    Reply,
    Request,
    Route,
    WebServer,
    page,
    send,
    serving,
    xml,
)

FULL = """<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Notes</title><link>/</link><language>en-gb</language>
<item><title>It’s &lt;b&gt;on&lt;/b&gt; parsing</title><link>/a?utm_source=rss</link>
<pubDate>Tue, 05 Mar 2024 23:30:00 -0200</pubDate>
<category>python</category><category>parsing</category>
<description>Short.</description>
<content:encoded><![CDATA[<p>I don’t <em>skip</em> “quotes”. See <a href="/b">b</a>.</p>
<pre><code class="language-python">def f():

    return 1
</code></pre><script>alert(1)</script><ul><li>one<ul><li>two</li></ul></li></ul>]]></content:encoded>
</item></channel></rss>"""

SHORT = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title><id>urn:x</id>
<updated>2024-03-05T10:00:00Z</updated>
<entry><title>First</title><id>urn:1</id><link rel="alternate" href="/a"/>
<updated>2024-03-05T10:00:00Z</updated><summary>Short.</summary><category term="python"/></entry>
</feed>"""

OLD = """<rss version="0.91"><channel><title>Notes</title><item><title>First</title>
<link>/a</link><description>Short.</description></item></channel></rss>"""


def feed(server: WebServer) -> FeedSource:
    config = FeedConfig(kind="feed", url=f"{server.base}/feed.xml")
    return FeedSource(config, author=ADA, http=ONCE, open_fetcher=StoppedTime().fetcher, now=now)


async def crawled(routes: Mapping[str, Route]) -> tuple[list[Found], WebServer]:
    async with serving(routes) as server:
        return await read(feed(server)), server


def test_full_content_becomes_the_document_without_its_page() -> None:
    found, server = run(crawled({"/feed.xml": xml(FULL)}))
    (document,) = documents(found)
    assert document.text == (
        f"I don’t *skip* “quotes”. See [b]({server.base}/b).\n\n"
        "```python\ndef f():\n\n    return 1\n```\n\n- one\n  - two"
    )
    assert document.url == f"{server.base}/a"
    assert document.title == "It’s on parsing"
    assert document.tags == ("python", "parsing")
    assert document.language == "en"
    assert str(document.published_at) == "2024-03-06 01:30:00+00:00"
    assert document.source == f"feed:127.0.0.1:{server.port}/feed.xml"
    assert server.asked("/a") == 0


@pytest.mark.parametrize("feed_xml", [SHORT, OLD], ids=["atom", "rss-0.91"])
def test_an_entry_with_only_a_summary_has_its_page_read(feed_xml: str) -> None:
    routes = {"/feed.xml": xml(feed_xml), "/a": page("The whole of it.")}
    (document,) = documents(run(crawled(routes))[0])
    assert document.text == "The whole of it."
    assert document.title == "First"


def test_what_the_feed_says_of_an_entry_counts_more_than_its_page() -> None:
    head = '<meta property="article:published_time" content="2020-01-01T00:00:00Z">'
    routes = {"/feed.xml": xml(SHORT), "/a": page("The whole of it.", head=head)}
    (document,) = documents(run(crawled(routes))[0])
    assert str(document.published_at) == "2024-03-05 10:00:00+00:00"
    assert document.tags == ("python",)


def test_an_unchanged_page_of_an_entry_is_not_sent_again() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        same = request.headers.get("if-none-match") == '"1"'
        await send(writer, Reply(304) if same else page("The whole of it.", etag='"1"'))

    async def twice() -> list[Found]:
        async with serving({"/feed.xml": xml(SHORT), "/a": answer}) as server:
            source = feed(server)
            return await read(source, heads(await read(source)))

    (found,) = run(twice())
    assert isinstance(found, Unchanged)


def test_a_page_that_fails_is_one_failure() -> None:
    found, server = run(crawled({"/feed.xml": xml(SHORT)}))
    (failure,) = failures(found)
    assert (failure.subject, failure.reason) == (f"{server.base}/a", "HTTP 404")


def test_a_feed_that_breaks_off_gives_what_is_there() -> None:
    broken = FULL.replace("</item></channel></rss>", "</item><item><title>Cut & off")
    found, _ = run(crawled({"/feed.xml": xml(broken)}))
    assert found[0] in documents(found[:1])


def test_an_entry_without_an_address_is_told() -> None:
    nameless = FULL.replace("<link>/a?utm_source=rss</link>", "")
    (failure,) = failures(run(crawled({"/feed.xml": xml(nameless)}))[0])
    assert failure.reason == "entry 'It’s <b>on</b> parsing' has no address"


def test_an_entry_that_leads_nowhere_is_told() -> None:
    odd = FULL.replace("/a?utm_source=rss", "gopher://example.org/a")
    (failure,) = failures(run(crawled({"/feed.xml": xml(odd)}))[0])
    assert failure.reason.endswith("must start with http:// or https://")


def test_an_entry_without_text_is_told() -> None:
    empty = FULL[: FULL.index("<p>I don’t")] + "<p> </p>" + FULL[FULL.index("]]>") :]
    (failure,) = failures(run(crawled({"/feed.xml": xml(empty)}))[0])
    assert failure.reason == "empty entry: there is no text in it"


def test_a_feed_without_entries_is_no_failure() -> None:
    empty = FULL[: FULL.index("<item>")] + "</channel></rss>"
    assert run(crawled({"/feed.xml": xml(empty)}))[0] == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404), "HTTP 404"),
        (Reply(410), "HTTP 410"),
        (page("This is a page."), "not a feed"),
        (xml("<unfinished"), "not a feed: "),
        (Reply(body=bytes(1_000_000)), "larger than 100,000 bytes"),
    ],
)
def test_what_is_no_feed_fails_as_a_whole(reply: Reply, reason: str) -> None:
    with pytest.raises(SourceFailed, match=reason):
        run(crawled({"/feed.xml": reply}))
