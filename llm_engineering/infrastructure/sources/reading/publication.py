"""When a page says that it was published.

Only places that mean publication are read. htmldate, which trafilatura brings, also takes dates
from version strings and the like: of 249 pages of the Rust documentation it dated 142, all wrongly.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from bs4 import Tag

from llm_engineering.infrastructure.sources.reading.moments import moment

_META = re.compile(
    r"(?:article|og|video):published_time|date(?:-?published)?|pubdate|publish(?:ed)?-?date|"
    r"(?:dc|dcterms)\.(?:date|created|issued|date\.(?:created|issued))|citation_publication_date|"
    r"parsely-pub-date|sailthru\.date",
    re.IGNORECASE,
)
_MARKED = (
    "[itemprop~=datePublished], time[pubdate], time.dt-published, time.published, time.entry-date, "
    "time.post-date"
)
_ANY_TIME = "article time[datetime], main time[datetime], header time[datetime]"
_IN_PATH = re.compile(r"/((?:19|20)\d\d)[/-](0[1-9]|1[0-2])[/-](0[1-9]|[12]\d|3[01])(?=[/-]|$)")


def published_at(tree: Tag, *, url: str) -> datetime | None:
    """The first date that can be read, from the most explicit place to the address itself."""
    stated = (moment(value) for value in _stated(tree, url))
    return next((at for at in stated if at is not None), None)


def _stated(tree: Tag, url: str) -> Iterator[str]:
    for meta in tree.find_all("meta", content=True):
        name = meta.get("property") or meta.get("name") or meta.get("itemprop") or ""
        if _META.fullmatch(str(name)):
            yield str(meta["content"])
    for script in tree.find_all("script", type="application/ld+json"):
        yield from _linked_data(script.get_text())
    for marked in tree.select(_MARKED):
        yield str(marked.get("datetime") or marked.get("content") or marked.get_text())
    for time in tree.select(_ANY_TIME, limit=1):
        yield str(time["datetime"])
    if in_path := _IN_PATH.search(urlsplit(url).path):
        yield "-".join(in_path.groups())


def _linked_data(text: str) -> Iterator[str]:
    """Every `datePublished` of a JSON-LD script, outermost first; nothing from broken JSON."""
    try:
        pending = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while pending:
        node = pending.pop(0)
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            if isinstance(node.get("datePublished"), str):
                yield node["datePublished"]
            pending += node.values()
