"""The places that writing is read from; all of them need the extra `crawl`."""

from importlib.util import find_spec

from llm_engineering.domain.errors import MissingExtra

PACKAGES = {
    "bs4": "beautifulsoup4",
    "feedparser": "feedparser",
    "httpx": "httpx",
    "lxml_html_clean": "lxml-html-clean",
    "markdownify": "markdownify",
    "protego": "protego",
    "trafilatura": "trafilatura",
}
"""Module -> package of the extra."""

for _module, _package in PACKAGES.items():
    if find_spec(_module) is None:
        raise MissingExtra(_package, extra="crawl")
