"""The page's files: for everybody, nothing inline or from elsewhere; and a document's text."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from llm_engineering.api.page_routes import FOLDER
from llm_engineering.bootstrap import App
from tests.unit.serving import bearing, make_key, memory_app, note, problem, serving

pytestmark = pytest.mark.anyio

DOCUMENT = note("# Tea 🍵\r\n\r\nDon't boil it.\u200b", number=1)
PAGES = ("/", f"/evidence/{DOCUMENT.id}")


def stocked() -> App:
    app = memory_app()
    app.documents.put([DOCUMENT])
    return app


class Tags(HTMLParser):
    """What a page loads, and whatever of it would have to be allowed inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img"):
            self.loads += [v for k in ("src", "href") if (v := given.get(k))]
        self.inline += [k for k in given if k.startswith("on") or k == "style"]
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_its_own_files_and_has_nothing_inline(path: str) -> None:
    async with serving(memory_app()) as client:
        page = await client.get(path)
        found = Tags(page.text)
        loaded = [await client.get(str(page.url.join(address))) for address in found.loads]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(found.loads) >= 4
    assert {response.status_code for response in loaded} == {200}
    assert all(response.url.path.startswith("/ui/") for response in loaded)
    assert found.inline == []


@pytest.mark.parametrize("path", [*PAGES, "/ui/page.js", "/ui/page.css"])
async def test_the_policy_lets_nothing_inline_and_nothing_from_elsewhere(path: str) -> None:
    async with serving(memory_app()) as client:
        policy = (await client.get(path)).headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert set(re.findall(r"-src ([^;]+)", policy)) == {"'none'", "'self'"}
    for closed in ("frame-ancestors", "base-uri", "form-action"):
        assert f"{closed} 'none'" in policy


async def test_every_module_imports_files_that_are_there_and_is_of_one_idea() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'from "\./([^"]+)"', text):
            assert (FOLDER / name).is_file(), (path.name, name)
        assert len(text.splitlines()) <= 300, path.name
        assert "innerHTML" not in text, path.name
        assert "insertAdjacentHTML" not in text, path.name


async def test_a_file_is_sent_again_only_when_it_has_changed() -> None:
    async with serving(memory_app()) as client:
        first = await client.get("/ui/page.js")
        tag = first.headers["etag"]
        same = await client.get("/ui/page.js", headers={"if-none-match": f'"x", W/{tag}'})
        other = await client.get("/ui/page.js", headers={"if-none-match": '"x"'})

    assert first.headers["cache-control"] == "no-cache"
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize("path", ["/ui/none.js", "/ui/__init__.py", "/evidence/none"])
async def test_what_is_no_part_of_the_page_is_not_found(path: str) -> None:
    async with serving(memory_app()) as client:
        problem(await client.get(path), status=404)


async def read(client: httpx.AsyncClient, document_id: str, key: str = "") -> httpx.Response:
    return await client.get(f"/documents/{document_id}", headers=bearing(key) if key else {})


async def test_a_document_has_the_text_that_offsets_count() -> None:
    async with serving(stocked()) as client:
        given = (await read(client, DOCUMENT.id)).json()

    assert given == {
        "id": DOCUMENT.id,
        "title": "Note 1",
        "url": "https://ada.example/1",
        "author": "Ada Lovelace",
        "published_at": "2024-03-02T00:00:00Z",
        "kind": "note",
        "text": "# Tea 🍵\n\nDon't boil it.",
    }


async def test_a_document_that_was_removed_is_not_found() -> None:
    app = stocked()
    app.documents.remove([DOCUMENT.id], at=DOCUMENT.fetched_at)
    async with serving(app) as client:
        for document_id in (DOCUMENT.id, "none"):
            problem(await read(client, document_id), status=404, kind="not-found")


async def test_a_document_is_for_keys_that_may_ask() -> None:
    app = stocked()
    asks, rates = make_key(app), make_key(app, "rater", scopes=("feedback",))
    async with serving(app) as client:
        statuses = [(await read(client, DOCUMENT.id, key)).status_code for key in ("", asks, rates)]

    assert statuses == [401, 200, 403]
