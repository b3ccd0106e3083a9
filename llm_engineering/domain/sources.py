"""Where a person's writing is to be found, and how politely it is fetched.

Does not know: how any of these places is read.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from llm_engineering.domain.documents import DocumentKind


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpConfig(Frozen):
    """Manners and limits of the crawler."""

    user_agent: str = Field(
        default="llm-twin/0.1 (+https://github.com/llm-twin/llm-twin)",
        pattern=r"^[!-~]+( [!-~]+)*$",
    )
    """Its first word, up to a slash, is the name that robots.txt may use."""
    concurrency_per_host: int = Field(default=4, ge=1, le=32)
    timeout_s: float = Field(default=20.0, gt=0)
    """For one whole request, redirects and body included."""
    max_bytes: int = Field(default=5_000_000, ge=1_000)
    """Largest body that is read, after decompression."""
    max_redirects: int = Field(default=5, ge=0)
    retries: int = Field(default=3, ge=0)
    """Further tries after 429, 5xx, timeouts and broken connections."""
    max_retry_after_s: float = Field(default=60.0, ge=0)
    """A longer Retry-After is a failure at once; a longer crawl delay is cut to this."""
    respect_robots: bool = True


class FilesConfig(Frozen):
    """A folder or one file: Markdown (with front matter), text, HTML."""

    kind: Literal["files"]
    path: Path
    name: str | None = None
    """Name of the source, `files:<name>`; default: the path as given here."""
    base_url: str | None = None
    """Where the files are published: `notes/a.md` becomes `<base_url>/notes/a.md`.
    Default: file:// URLs."""
    document_kind: DocumentKind = DocumentKind.NOTE
    dates: Path | None = None
    """CSV file that dates what has no date inside: its first column holds paths relative to
    `path`, its second one dates; a line of headings comes first."""
    exclude: tuple[str, ...] = ()
    """Glob patterns relative to `path`; `drafts/*` takes everything below `drafts`."""
    max_bytes: int = Field(default=5_000_000, ge=1_000)


def _without_password(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("an address with a user or password would be shown in reports; remove it")
    return url


Address = Annotated[str, AfterValidator(_without_password)]
"""Of a page, sitemap or feed; ends up in reports and citations, so it may hold no secret."""


class WebConfig(Frozen):
    """Single pages."""

    kind: Literal["web"]
    urls: tuple[Address, ...] = Field(min_length=1)
    document_kind: DocumentKind = DocumentKind.PAGE


class SitemapConfig(Frozen):
    """Every page that a sitemap (or sitemap index) lists."""

    kind: Literal["sitemap"]
    url: Address
    include: str | None = None
    """Regular expression; only page addresses in which it is found are read."""
    limit: int = Field(default=5_000, ge=1)
    document_kind: DocumentKind = DocumentKind.ARTICLE


class FeedConfig(Frozen):
    """Entries of an RSS or Atom feed; the entry's full content, else its page."""

    kind: Literal["feed"]
    url: Address
    document_kind: DocumentKind = DocumentKind.ARTICLE


SourceConfig = Annotated[
    FilesConfig | WebConfig | SitemapConfig | FeedConfig, Field(discriminator="kind")
]
