"""Crawl: read every source, keep what is new or changed, tombstone what is gone.

Does not know: how a page is fetched or extracted, where documents are kept.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.documents import Author, DocumentKind
from llm_engineering.domain.reports import CrawlReport
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.sources import Source
from llm_engineering.ports.stores import DocumentStore


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpConfig(Frozen):
    """Manners and limits of the crawler."""

    user_agent: str = "llm-twin/0.1 (+https://github.com/llm-twin/llm-twin)"
    concurrency_per_host: int = Field(default=4, ge=1, le=32)
    timeout_s: float = Field(default=20.0, gt=0)
    """For one whole request, redirects and body included."""
    max_bytes: int = Field(default=5_000_000, ge=1_000)
    """Largest body that is read, after decompression."""
    max_redirects: int = Field(default=5, ge=0)
    retries: int = Field(default=3, ge=0)
    """Further tries after 429, 5xx, timeouts and broken connections."""
    max_retry_after_s: float = Field(default=60.0, ge=0)
    """A longer Retry-After is a failure at once."""
    respect_robots: bool = True


class FilesConfig(Frozen):
    """A folder or one file: Markdown (with front matter), text, HTML."""

    kind: Literal["files"]
    path: Path
    name: str | None = None
    """Name of the source; default: the folder's name."""
    base_url: str | None = None
    """Where the files are published: `notes/a.md` becomes `<base_url>/notes/a.md`.
    Default: file:// URLs."""
    document_kind: DocumentKind = DocumentKind.NOTE
    exclude: tuple[str, ...] = ()
    """Glob patterns relative to `path`."""
    max_bytes: int = Field(default=5_000_000, ge=1_000)


class WebConfig(Frozen):
    """Single pages."""

    kind: Literal["web"]
    urls: tuple[str, ...] = Field(min_length=1)
    document_kind: DocumentKind = DocumentKind.PAGE


class SitemapConfig(Frozen):
    """Every page that a sitemap (or sitemap index) lists."""

    kind: Literal["sitemap"]
    url: str
    include: str | None = None
    """Regular expression; only matching page addresses are read."""
    limit: int = Field(default=5_000, ge=1)
    document_kind: DocumentKind = DocumentKind.ARTICLE


class FeedConfig(Frozen):
    """Entries of an RSS or Atom feed; the entry's full content, else its page."""

    kind: Literal["feed"]
    url: str
    document_kind: DocumentKind = DocumentKind.ARTICLE


SourceConfig = Annotated[
    FilesConfig | WebConfig | SitemapConfig | FeedConfig, Field(discriminator="kind")
]


class CrawlConfig(Frozen):
    """What to crawl and for whom."""

    author: Author
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    http: HttpConfig = HttpConfig()
    max_failed_share: float = Field(default=0.2, ge=0, le=1)
    """The run fails when more than this share of the addresses failed."""
    refetch: bool = False
    """Ignore what is known and fetch everything anew."""


async def crawl(
    config: CrawlConfig,
    *,
    sources: Sequence[Source],
    store: DocumentStore,
    progress: Progress,
    now: Callable[[], datetime],
) -> CrawlReport:
    """Read all sources into the store. Raises TooManyFailures after everything good was kept."""
    raise NotImplementedError
