"""Which reader reads which kind of place. A reader's libraries are loaded when one is asked for.

Does not know: which places a person has.
"""

from typing import assert_never

from llm_engineering.domain.documents import Author
from llm_engineering.domain.sources import (
    FeedConfig,
    FilesConfig,
    HttpConfig,
    SitemapConfig,
    WebConfig,
)
from llm_engineering.ports.sources import Source


def source_of(
    place: FilesConfig | WebConfig | SitemapConfig | FeedConfig, *, author: Author, http: HttpConfig
) -> Source:
    """What yields the documents that `author` has in that place, fetched with these manners."""
    match place:
        case FilesConfig():
            from llm_engineering.infrastructure.sources.files import FilesSource

            return FilesSource(place, author=author)
        case WebConfig():
            from llm_engineering.infrastructure.sources.web import WebSource

            return WebSource(place, author=author, http=http)
        case SitemapConfig():
            from llm_engineering.infrastructure.sources.sitemap import SitemapSource

            return SitemapSource(place, author=author, http=http)
        case FeedConfig():
            from llm_engineering.infrastructure.sources.feeds import FeedSource

            return FeedSource(place, author=author, http=http)
        case unreachable:
            assert_never(unreachable)
