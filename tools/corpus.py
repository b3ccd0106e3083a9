"""What `twin demo --corpus` was given: a folder, a file, a page, a sitemap or a feed."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_engineering.domain.errors import InvalidInput, NotFound

_SNIFFED_BYTES = 4_096


def source_entry(corpus: str, *, timeout_s: float = 20.0) -> dict[str, Any]:
    """The `sources` entry of a crawl config for `corpus`.

    An address is asked once, to tell a sitemap or feed from a page; what cannot be reached is
    taken for a page, so that the crawl reports why.
    """
    if urlsplit(corpus).scheme in ("http", "https"):
        match _kind(_beginning(corpus, timeout_s)):
            case "sitemap":
                return {"kind": "sitemap", "url": corpus}
            case "feed":
                return {"kind": "feed", "url": corpus}
            case _:
                return {"kind": "web", "urls": [corpus]}
    if "://" in corpus:
        raise InvalidInput(f"{corpus!r} is neither a folder nor an http(s) address")
    path = Path(corpus).expanduser()
    if not path.exists():
        raise NotFound(f"no such folder or file: {corpus!r}; check CORPUS")
    return {"kind": "files", "path": str(path)}


def _kind(beginning: bytes) -> str:
    if beginning.startswith(b"\x1f\x8b"):
        return "sitemap"  # only sitemaps are published as .gz files
    lowered = beginning.lower()
    if b"<urlset" in lowered or b"<sitemapindex" in lowered:
        return "sitemap"
    if b"<rss" in lowered or b"<feed" in lowered or b"<rdf:rdf" in lowered:
        return "feed"
    return "page"


def _beginning(url: str, timeout_s: float) -> bytes:
    import httpx

    from llm_engineering.application.crawl import HttpConfig

    headers = {"user-agent": HttpConfig().user_agent}
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=timeout_s, follow_redirects=True
        ) as response:
            return next(response.iter_bytes(_SNIFFED_BYTES), b"")
    except (httpx.HTTPError, httpx.InvalidURL):
        return b""
