"""Makers of documents, chunks and Markdown for the unit tests."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from llm_engineering.domain.chunks import Chunk, Span, chunk_id
from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document

ADA = Author(name="Ada")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def document(
    text: str,
    *,
    url: str = "https://ada.example/note",
    title: str = "A note",
    source: str = "files:notes",
    published_at: datetime | None = None,
    author: Author = ADA,
    language: str | None = "en",
    tags: tuple[str, ...] = (),
) -> Document:
    return new_document(
        author=author,
        url=url,
        title=title,
        text=text,
        kind=DocumentKind.NOTE,
        source=source,
        fetched_at=NOW,
        language=language,
        published_at=published_at,
        tags=tags,
    )


def chunk_of(
    text: str,
    *,
    of: Document,
    start: int = 0,
    sentences: tuple[Span, ...] = (),
    statements: tuple[Span, ...] = (),
    heading_path: tuple[str, ...] = (),
) -> Chunk:
    """A chunk of `of`; one sentence unless others are given."""
    end = start + len(text)
    return Chunk(
        id=chunk_id(of.id, text),
        document=of.ref(),
        start=start,
        end=end,
        text=text,
        heading_path=heading_path,
        sentences=sentences or ((start, end),),
        statements=statements,
    )


def word_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """A tokeniser: words and single marks; a word counts once per four letters."""
    return [
        [
            (at, min(at + 4, match.end()))
            for match in re.finditer(r"\w+|[^\w\s]", text)
            for at in range(match.start(), match.end(), 4)
        ]
        for text in texts
    ]


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)

_LINES = st.sampled_from(
    [
        "# A heading", "## Below it", "", "", "It's here, isn't it? “Yes,” she said.",
        "- an item", "  - a nested one", "1. first", "> quoted, don't lose it",
        "```python", "```", "    indented = 'code'", "~~~", "| a | b |", "|---|---|", "| 1 | 2 |",
        "Share this", "trailing   ", "\ttabbed", "<div>", "</div>", "---", "===",
        "A long line of prose that goes on, and on, and on. It has sentences. Has it? It has!",
    ]
)  # fmt: skip
MARKDOWN = st.lists(st.one_of(_LINES, ANY_TEXT), max_size=40).map("\n".join)
