"""Markdown, text and HTML files below a folder."""

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote, urlsplit

from llm_engineering.domain.documents import Author, Document, DocumentHead, new_document
from llm_engineering.domain.errors import InvalidConfig, InvalidInput, SourceFailed
from llm_engineering.domain.reports import Failure
from llm_engineering.domain.sources import FilesConfig
from llm_engineering.infrastructure.sources.http.fetcher import utc_now
from llm_engineering.infrastructure.sources.http.urls import canonical_url
from llm_engineering.infrastructure.sources.reading.dates_file import read_dates
from llm_engineering.infrastructure.sources.reading.encodings import well_formed
from llm_engineering.infrastructure.sources.reading.extraction import Page, extract_page
from llm_engineering.infrastructure.sources.reading.markdown_files import Note, parse_markdown
from llm_engineering.ports.sources import Found, Unchanged

_HTML = frozenset({".html", ".htm", ".xhtml"})
_SUFFIXES = _HTML | {".md", ".markdown", ".txt"}
_SKIPPED = frozenset({"node_modules", "__pycache__"})
_READING = "files-1"
"""Changes whenever the same bytes would become another document."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    """Relative to the folder, with slashes."""
    url: str
    """Where it is published, unless it says otherwise itself."""
    dated: datetime | None = None
    """When it was published, unless it says so itself."""


class FilesSource:
    """One folder, or one file."""

    lists_everything = True

    def __init__(
        self, config: FilesConfig, *, author: Author, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Raises InvalidConfig when `base_url` is no web address."""
        self._config = config
        self._root = config.path.expanduser()
        self._author = author
        self._now = now
        try:
            self._base_url = canonical_url(config.base_url) if config.base_url else None
        except InvalidInput as error:
            raise InvalidConfig(f"base_url: {error}") from None

    @property
    def id(self) -> str:
        """By default the path as it was given: folders that share a name are two sources."""
        return f"files:{self._config.name or self._root.as_posix()}"

    async def read(self, known: Mapping[str, DocumentHead]) -> AsyncGenerator[Found]:
        """Files in the order of their names; those with the bytes we know are not parsed again."""
        files = await asyncio.to_thread(self._dated_files)
        by_file = {name: url for url, head in known.items() if (name := _named(head.etag))}
        owners: dict[str, str] = {}
        for file in files:
            found = await asyncio.to_thread(self._found, file, known, by_file.get(file.name))
            if not isinstance(found, Failure):
                owner = owners.setdefault(found.url, file.name)
                if owner != file.name:
                    reason = f"has the same address as {owner}: {found.url}"
                    found = Failure(subject=file.url, reason=reason)
            yield found

    def _dated_files(self) -> list[_File]:
        """Raises SourceFailed as `_files` does, and for a file of dates that cannot be used."""
        files = self._files()
        if self._config.dates is None:
            return files
        dates = read_dates(self._config.dates.expanduser())
        if not dates.keys() & {file.name for file in files}:
            raise SourceFailed(
                f"{self._config.dates} dates no file of {self._root}; its paths must be relative "
                f"to that folder, like {files[0].name!r}"
            )
        return [replace(file, dated=dates.get(file.name)) for file in files]

    def _files(self) -> list[_File]:
        """Raises SourceFailed when the folder cannot be listed, or holds nothing to read."""
        if self._root.is_file():
            return [self._file(self._root, self._root.name)]
        if not self._root.exists():
            raise SourceFailed(f"no such folder: {self._root}")
        try:
            found = [
                self._file(path, path.relative_to(self._root).as_posix())
                for path in self._walk(self._root, frozenset())
            ]
        except OSError as error:
            raise SourceFailed(f"cannot list {error.filename}: {error.strerror}") from None
        if not found:
            raise SourceFailed(f"no Markdown, text or HTML files in {self._root}")
        return found

    def _walk(self, folder: Path, above: frozenset[Path]) -> Iterator[Path]:
        """Depth first, by name. A link back to a folder `above` would never end."""
        real = folder.resolve()
        if real in above:
            return
        for path in sorted(folder.iterdir()):
            name = path.relative_to(self._root).as_posix()
            if path.name.startswith(".") or path.name in _SKIPPED or self._excluded(name):
                continue
            if path.is_dir():
                yield from self._walk(path, above | {real})
            elif path.suffix.lower() in _SUFFIXES:
                yield path

    def _excluded(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._config.exclude)

    def _file(self, path: Path, name: str) -> _File:
        if self._base_url is None:
            return _File(path, well_formed(name), path.resolve().as_uri())
        below = self._base_url.rstrip("/") + "/" + quote(name, errors="surrogateescape")
        return _File(path, well_formed(name), canonical_url(below))

    def _found(
        self, file: _File, known: Mapping[str, DocumentHead], known_url: str | None
    ) -> Document | Unchanged | Failure:
        try:
            content = self._content(file.path)
            etag = self._etag(file, content)
            if known_url is not None and known[known_url].etag == etag:
                return Unchanged(known_url)
            return self._document(file, content, etag)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError as error:
            reason = f"not valid UTF-8 at byte {error.start}"
        except (SourceFailed, InvalidInput) as error:
            reason = str(error)
        if self._base_url is not None or known_url not in (None, file.url):
            reason = f"{file.name}: {reason}"
        return Failure(subject=known_url or file.url, reason=reason)

    def _content(self, path: Path) -> bytes:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceFailed("not a regular file")
        if status.st_size > self._config.max_bytes:
            raise SourceFailed(f"larger than {self._config.max_bytes:,} bytes")
        return path.read_bytes()

    def _etag(self, file: _File, content: bytes) -> str:
        """Equal where everything that decides the document is equal; tells which file it was."""
        decides = [_READING, self._author.name, self.id, self._config.document_kind, file.url]
        if file.dated is not None:
            decides.append(file.dated.isoformat())
        digest = hashlib.sha256(json.dumps(decides).encode() + content).hexdigest()
        return f"sha256:{digest}:{file.name}"

    def _document(self, file: _File, content: bytes, etag: str) -> Document:
        text = content.decode("utf-8-sig").replace("\0", "")
        if not text.strip():
            raise SourceFailed("empty file")
        html = file.path.suffix.lower() in _HTML
        parsed = extract_page(text, url=file.url) if html else parse_markdown(text)
        return new_document(
            author=self._author,
            url=self._published_at(parsed) or file.url,
            title=parsed.title or well_formed(file.path.stem),
            text=parsed.text,
            kind=self._config.document_kind,
            source=self.id,
            fetched_at=self._now(),
            language=parsed.language,
            published_at=parsed.published_at or file.dated,
            tags=parsed.tags,
            etag=etag,
        )

    def _published_at(self, parsed: Note | Page) -> str | None:
        """The address that the file gives itself; relative ones need a base_url."""
        said = parsed.url if isinstance(parsed, Note) else parsed.canonical
        if said is None or (self._base_url is None and not urlsplit(said).scheme):
            return None
        return canonical_url(said, base=self._base_url)


def _named(etag: str | None) -> str | None:
    """The file that an entity tag of this source speaks of."""
    kind, _, rest = (etag or "").partition(":")
    return rest.partition(":")[2] or None if kind == "sha256" else None
