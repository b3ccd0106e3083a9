"""Places that hold a person's writing."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_engineering.domain.documents import Document, DocumentHead
from llm_engineering.domain.reports import Failure


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The source says that its copy is the one we have (HTTP 304, same file hash)."""

    url: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The source says that this address is gone for good (HTTP 410)."""

    url: str


Found = Document | Unchanged | Gone | Failure


class Source(Protocol):
    """Yields what one kind of place holds now."""

    @property
    def id(self) -> str:
        """Stable name such as `files:notes` or `feed:example.org/atom.xml`."""
        ...

    @property
    def lists_everything(self) -> bool:
        """True when what is not yielded no longer exists there, so that it is removed.

        Folders and sitemaps list everything; a feed shows only its latest entries.
        """
        ...

    def read(self, known: Mapping[str, DocumentHead]) -> AsyncIterator[Found]:
        """Yield documents in any order; `known` (by canonical url) allows conditional requests.

        A bad address is yielded as a Failure. Raises SourceFailed only when the source as a
        whole cannot be listed (no such folder, sitemap not readable).
        """
        ...
