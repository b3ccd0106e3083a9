"""What responses tell a browser: who may read them, what may run, who may frame them."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tests.unit.serving import QUESTION, FailingChat, bearing, indexed_app, make_key, serving

pytestmark = pytest.mark.anyio

OURS, OTHERS = "https://chat.example.org", "https://evil.example"


async def test_every_response_carries_the_security_headers() -> None:
    app = indexed_app(chat=FailingChat(ZeroDivisionError("secret")))
    async with serving(app) as client:
        responses = [
            await client.get("/health"),
            await client.get("/docs"),
            await client.get("/docs-assets/swagger-ui.css"),
            await client.get("/nowhere"),
            await client.post("/search", json={"query": QUESTION}),
            await client.post("/search", content=b"{"),
            await client.post("/rag", json={"question": QUESTION}),
            await client.get("/v1/models/none"),
            await client.post("/search", json={"query": "x"}, headers={"host": "evil.example"}),
        ]

    assert {response.status_code for response in responses} >= {200, 404, 415, 421, 500}
    for response in responses:
        headers = response.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers
        assert len(headers.get_list("content-security-policy")) == 1


class Page(HTMLParser):
    """Scripts, and every address that a page loads from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.events: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [v for k in ("src", "href") if (v := given.get(k))]
        self.events += [name for name in given if name.startswith("on")]


async def test_the_documentation_runs_its_own_script_and_nothing_else() -> None:
    async with serving(indexed_app()) as client:
        page = await client.get("/docs")
        found = Page(page.text)
        loaded = [await client.get(address) for address in found.loads]

    policy = dict(
        part.strip().partition(" ")[::2]
        for part in page.headers["content-security-policy"].split(";")
    )
    (inline,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["connect-src"] == "'self'"
    assert found.events == []
    assert len(found.loads) >= 3
    assert all(address.startswith("/docs-assets/") for address in found.loads)
    assert [response.status_code for response in loaded] == [200] * len(loaded)


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions"])
async def test_no_other_page_may_read_or_ask_unless_it_is_named(path: str) -> None:
    preflight = {"access-control-request-method": "POST", "origin": OTHERS}
    async with serving(indexed_app()) as client:
        asked = await client.options(path, headers=preflight)
        simple = await client.get("/v1/models", headers={"origin": OTHERS})
    async with serving(indexed_app(api={"origins": OURS})) as client:
        other = await client.options(path, headers=preflight)
        posted = await client.get("/v1/models", headers={"origin": OTHERS})

    for response in (asked, simple, other, posted):
        assert "access-control-allow-origin" not in response.headers
    assert asked.status_code >= 400
    assert other.status_code == 400


async def test_a_named_page_may_ask_and_read_with_a_key_also_why_it_was_refused() -> None:
    app = indexed_app(api={"origins": f"{OURS},https://other.example:8443"})
    key = make_key(app)
    wanted = "authorization,content-type,x-stainless-os"
    asks = {
        "origin": OURS,
        "access-control-request-method": "POST",
        "access-control-request-headers": wanted,
    }
    async with serving(app, address="203.0.113.9", host="twin.example") as client:
        preflight = await client.options("/v1/chat/completions", headers=asks)
        granted = await client.get("/v1/models", headers={"origin": OURS, **bearing(key)})
        refused = await client.get("/v1/models", headers={"origin": OURS})

    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == wanted
    assert (granted.status_code, refused.status_code) == (200, 401)
    for response in (preflight, granted, refused):
        assert response.headers["access-control-allow-origin"] == OURS
        assert response.headers["vary"].startswith("Origin")
        assert "access-control-allow-credentials" not in response.headers
    assert "x-request-id" in granted.headers["access-control-expose-headers"]
