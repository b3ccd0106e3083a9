"""A small corpus, really chunked and indexed, and a server over it for a browser to ask."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.bootstrap import App
from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document
from llm_engineering.infrastructure.rich_progress import Silent
from tests.unit.serving import memory_app

TEA = """# How I make green tea 🍵🍵

My kettle 🫖 is old, and I like it *that* way.

I don't boil the water: 80 degrees keep the tea sweet 🌿. Boiling water makes it bitter.

```sh
kettle --stop-at 80
```

- Two spoons for a pot.
- Three minutes, not more.
"""
BIKES = """# Why I ride steel

A steel frame outlives its rider. It's easy to mend, and every village has a welder.
"""
EVIL_TITLE = "<img src=x onerror=window.ran=1>Bread"
EVIL = """# Bread <script>window.ran = 1</script>

Sourdough needs patience. <img src="https://evil.example/a.png" onerror="window.ran = 1">

![tracker](https://evil.example/pixel.png) and [a trap](javascript:window.ran=1) end my sourdough.
"""


def document(title: str, text: str, *, number: int) -> Document:
    return new_document(
        author=Author(name="Ada Lovelace"),
        url=f"https://ada.example/{number}",
        title=title,
        text=text,
        kind=DocumentKind.NOTE,
        source="files:notes",
        fetched_at=datetime(2025, 3, 9, tzinfo=UTC),
        published_at=datetime(2024, 3, number, tzinfo=UTC),
        language="en",
    )


DOCUMENTS = (
    document("How I make green tea", TEA, number=1),
    document("Why I ride steel", BIKES, number=2),
    document(EVIL_TITLE, EVIL, number=3),
)


def corpus_app(**ports: Any) -> App:
    """An App over DOCUMENTS, indexed as the pipeline indexes."""
    app = memory_app(**ports)
    app.documents.put(DOCUMENTS)
    build_features(
        FeaturesConfig(chunk=ChunkRule(max_tokens=60, min_tokens=4)),
        store=app.documents,
        index=app.index,
        embedder=app.embedder,
        sparse=app.sparse,
        progress=Silent(),
    )
    return app


Route = Callable[[bytes], tuple[int, dict[str, str], bytes]]


def stubbed(routes: dict[tuple[str, str], Route], received: list[tuple[str, bytes]]) -> Any:
    """Around an API: these routes are answered as is said here, and every body is kept."""

    def around(api: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            route = routes.get((scope.get("method", ""), scope.get("path", "")))
            if route is None:
                await api(scope, receive, send)
                return
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            received.append((scope["path"], body))
            status, headers, content = route(body)
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": content})

        return app

    return around


def events(*data: str) -> tuple[int, dict[str, str], bytes]:
    """Server-sent events as a whole response."""
    body = "".join(f"data: {each}\n\n" for each in data)
    return 200, {"content-type": "text/event-stream"}, body.encode()


def cited(found: Document, quote: str, *, number: int = 1) -> dict[str, Any]:
    """A citation of the quote where it first stands, as the API gives it."""
    start = found.text.index(quote)
    return {
        "number": number,
        "title": found.title,
        "url": found.url,
        "author": found.author,
        "published_at": f"{found.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "heading_path": [],
        "start": start,
        "end": start + len(quote),
        "quote": quote,
        "document_id": found.id,
    }


def grounds(citations: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "answer_id": "",
        "citations": list(citations),
        "abstained": False,
        "evidence": 0.9,
        "index_version": "gen-1",
        "timings_ms": {"total": 420.0},
        "disclosure": "Written by an AI twin from the writing of Ada Lovelace.",
        "grounding": None,
        "changes": [],
        "steps": [],
        **more,
    }
