"""Documents as MCP resources, by the real client in this process."""

import json
from datetime import UTC, datetime

import pytest
from mcp import MCPError

from llm_engineering.api.mcp import resources
from llm_engineering.api.mcp.shapes import span_of
from llm_engineering.application.clean import clean
from tests.mcp_clients import ERAS, connected, texts
from tests.unit.serving import memory_app, note

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ERAS)
async def test_documents_are_listed_page_by_page(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(resources, "PAGE", 3)
    app = memory_app()
    documents = [note(f"Text {number}.", number=number) for number in range(8)]
    app.documents.put(documents)
    pages: list[list[str]] = []
    cursor: str | None = None
    async with connected(app, mode=mode) as client:
        while cursor is not None or not pages:
            page = await client.list_resources(cursor=cursor)
            pages.append([str(each.uri) for each in page.resources])
            # Between two pages one is removed that was shown already.
            app.documents.remove([pages[0][0].rpartition("/")[2]], at=datetime.now(UTC))
            cursor = page.next_cursor

    assert [len(page) for page in pages] == [3, 3, 2]
    wanted = sorted(f"twin://documents/{document.id}" for document in documents)
    assert [uri for page in pages for uri in page] == wanted


async def test_a_full_last_page_has_none_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PAGE", 2)
    app = memory_app()
    app.documents.put([note("One.", number=1), note("Two.", number=2)])
    async with connected(app) as client:
        page = await client.list_resources()

    assert (len(page.resources), page.next_cursor) == (2, None)


async def test_a_document_is_its_cleaned_text_and_what_is_known_of_it() -> None:
    app = memory_app()
    document = note("A backup\u200b is one copy.  \r\n\r\n\r\n\r\nNothing more.", number=1)
    app.documents.put([document])
    uri = f"twin://documents/{document.id}"
    async with connected(app) as client:
        text, about = (await client.read_resource(uri)).contents
        alone = (await client.read_resource(f"{uri}/about")).contents

    assert texts([text]) == [clean(document).text] == ["A backup is one copy.\n\nNothing more."]
    assert (str(text.uri), text.mime_type) == (uri, "text/markdown")
    known = json.loads(texts([about])[0])
    assert (known["title"], known["url"]) == ("Note 1", "https://ada.example/1")
    assert known["published_at"] == "2024-03-02T00:00:00Z"
    assert [about] == alone


@pytest.mark.parametrize("mode", ERAS)
async def test_an_erased_document_is_neither_listed_nor_found(mode: str) -> None:
    app = memory_app()
    document = note("Forget me.", number=1)
    app.documents.put([document])
    async with connected(app, mode=mode) as client:
        assert len((await client.list_resources()).resources) == 1
        app.documents.remove([document.id], at=datetime.now(UTC))
        assert (await client.list_resources(cache_mode="bypass")).resources == []
        for uri in (document.id, "0" * 8 + document.id[8:], "nothing", "../keys.db"):
            with pytest.raises(MCPError, match=r"no (document|resource)"):
                await client.read_resource(f"twin://documents/{uri}")


async def test_a_made_up_cursor_is_refused() -> None:
    async with connected(memory_app()) as client:
        with pytest.raises(MCPError, match="'zzz' is no cursor of this listing"):
            await client.list_resources(cursor="zzz")


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-02", (2024, 2, 1), (2024, 3, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
    ],
)
async def test_a_date_is_all_of_itself(
    text: str, begins: tuple[int, int, int], ends: tuple[int, int, int]
) -> None:
    assert span_of(text) == (datetime(*begins, tzinfo=UTC), datetime(*ends, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["", "24", "2024-13", "2023-02-29", "2024-1", "0000", "9999", "2024-00", "２０２４"]
)
async def test_what_no_calendar_has_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="write 2024"):
        span_of(text)
