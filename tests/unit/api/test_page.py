"""The page is static, for everybody, and held to its own files; what it shows takes a key."""

import re

import httpx
import pytest

from llm_engineering.api.page import FOLDER
from tests.unit.serving import bearing, make_key, memory_app, problem, serving
from tests.unit.writing import document

UUID = "4f0c2a52-7f0e-5d0a-8c9b-1d2a6f0b7e11"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", f"/evidence/{UUID}", "/ui/main.js", "/ui/page.css"])
async def test_the_page_runs_and_loads_nothing_but_itself(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    policy = response.headers["content-security-policy"]

    assert response.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    foreign = r"(?:src|href|action)=\"(?:https?:)?//|<script>|style=\"|\son\w+=\""
    assert not re.search(foreign, response.text)


@pytest.mark.anyio
async def test_what_has_not_changed_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/ui/main.js")
    again = await client.get("/ui/main.js", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/ui/absent.js", "/ui/..%2fpage.py", "/ui/page.py", "/evidence/x"]
)
async def test_nothing_else_is_a_file_of_the_page(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


def test_every_file_that_the_page_names_is_there() -> None:
    named: set[str] = set()
    for path in FOLDER.iterdir():
        named |= set(re.findall(r"[\"'](?:\./|(?:\.\./)?ui/)([\w.]+)[\"']", path.read_text()))
    assert named - {path.name for path in FOLDER.iterdir()} == set()
    assert {"main.js", "evidence.js", "page.css"} <= named


@pytest.mark.anyio
async def test_a_document_is_the_text_that_offsets_refer_to_until_it_is_removed() -> None:
    app = memory_app()
    kept = document("# Tea\r\n\r\nI don't boil it.  \r\n", title="Tea")
    app.documents.put([kept])
    async with serving(app) as client:
        shown = (await client.get(f"/documents/{kept.id}")).json()
        app.documents.remove([kept.id], at=kept.fetched_at)
        problem(await client.get(f"/documents/{kept.id}"), status=404, kind="not-found")

    assert (shown["title"], shown["text"]) == ("Tea", "# Tea\n\nI don't boil it.")


@pytest.mark.anyio
async def test_a_document_takes_a_key_where_there_are_keys_and_the_page_does_not() -> None:
    app = memory_app()
    kept = document("I don't boil it.", title="Tea")
    app.documents.put([kept])
    key = make_key(app)
    async with serving(app) as client:
        assert (await client.get(f"/documents/{kept.id}")).status_code == 401
        assert (await client.get("/")).status_code == 200
        found = await client.get(f"/documents/{kept.id}", headers=bearing(key))
    assert found.status_code == 200
