"""A page of HTML to its main text in Markdown, with what the page says about itself."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import trafilatura
from bs4 import BeautifulSoup, Tag
from trafilatura.settings import Document as Extracted

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.infrastructure.sources.reading.encodings import well_formed
from llm_engineering.infrastructure.sources.reading.html_markdown import (
    parse_html,
    prepare,
    to_markdown,
)
from llm_engineering.infrastructure.sources.reading.language import detect_language, language_code
from llm_engineering.infrastructure.sources.reading.main_content import main_content
from llm_engineering.infrastructure.sources.reading.publication import published_at

_WORD = re.compile(r"[^\W_]")
_MOST_TAGS = 30
logging.getLogger("trafilatura").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Page:
    """What a page holds. `text` is never empty; the rest is what the page says, if anything."""

    text: str
    """Markdown."""
    title: str | None
    author: str | None
    published_at: datetime | None
    language: str | None
    tags: tuple[str, ...]
    canonical: str | None
    """Target of <link rel="canonical">, as written."""


def extract_page(html: str, *, url: str) -> Page:
    """Raises SourceFailed when the page has no main text or cannot be walked."""
    tree = parse_html(html)
    found = _extracted(str(tree), url)
    canonical = _canonical(tree)
    at = published_at(tree, url=url)
    linked = [link.get_text() for link in tree.select("a[rel~=tag]")]
    language = language_code(str(tree.html.get("lang") or "")) if tree.html else None
    text = ""
    if found is not None and found.body is not None:
        prepare(tree, url=url)
        text = to_markdown(main_content(tree, " ".join(map(str, found.body.itertext()))))
    if found is None or not _WORD.search(text):
        raise SourceFailed("empty page: no main text found")
    return Page(
        text=text,
        title=tidy(found.title),
        author=tidy(found.author),
        published_at=at,
        language=language or detect_language(text),
        tags=tidy_tags([*(found.tags or ()), *(found.categories or ()), *linked]),
        canonical=canonical,
    )


def tidy(text: str | None) -> str | None:
    """One line without stray surrogates; None when nothing is left."""
    return " ".join(well_formed(text or "").split()) or None


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Distinct tags in order; 'python, parsing' is two."""
    split = (tidy(part) for tag in tags for part in re.split(r"[,;]", tag))
    return tuple(dict.fromkeys(tag for tag in split if tag))[:_MOST_TAGS]


def _extracted(html: str, url: str) -> Extracted | None:
    """trafilatura finds nothing in pages of a few words, unless it is asked for recall."""
    for recall in (False, True):
        try:
            found = trafilatura.bare_extraction(
                html,
                url=url,
                favor_recall=recall,
                include_comments=False,
                include_formatting=True,
                include_links=True,
                with_metadata=True,
                date_extraction_params={"extensive_search": False},  # not used: only cheaper
            )
        except RecursionError:
            raise SourceFailed("its HTML is nested too deeply") from None
        if found is not None:
            assert not isinstance(found, dict)
            return found
    return None


def _canonical(tree: BeautifulSoup) -> str | None:
    link = tree.find("link", rel="canonical", href=True)
    return str(link["href"]).strip() or None if isinstance(link, Tag) else None
