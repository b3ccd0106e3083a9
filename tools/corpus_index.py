"""A folder of writing crawled and indexed somewhere private, and what its documents are called."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from llm_engineering.application.clean import clean
from llm_engineering.application.crawl import CrawlConfig, FilesConfig, crawl
from llm_engineering.application.evaluation.references import Texts
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.documents import Author, Document, DocumentHead
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.reports import CrawlReport, FeatureReport
from llm_engineering.ports.models import Embedder
from llm_engineering.ports.stores import DocumentStore
from llm_engineering.settings import EdgeSettings, Settings, SqliteSettings
from tools.output import note


@contextmanager
def indexed_corpus(folder: Path, settings: Settings) -> Iterator[App]:
    """An App over the files below `folder`, indexed in a home of its own that is then removed.

    The embedder is that of `settings`; the stores are the embedded ones, whatever it says.
    """
    if not folder.exists():
        raise NotFound(f"no such folder or file: {str(folder)!r}; check --corpus")
    with tempfile.TemporaryDirectory(prefix="twin-corpus-") as home:
        private = settings.model_copy(
            update={"home": Path(home), "documents": SqliteSettings(), "vectors": EdgeSettings()}
        )
        with open_app(private) as app:
            index_folder(app, folder)
            yield app


def index_folder(app: App, folder: Path) -> None:
    """Crawl the files below `folder` and bring the index in line; what cannot be read is told."""
    for failure in crawl_folder(app, folder).failed:
        note(f"not read: {failure.subject}: {failure.reason}")
    index_documents(app)


def crawl_folder(app: App, folder: Path) -> CrawlReport:
    """Read the files below `folder` into the document store."""
    config = CrawlConfig(
        author=Author(name="Author"), sources=(FilesConfig(kind="files", path=folder),)
    )
    return asyncio.run(
        crawl(
            config,
            sources=app.sources(config),
            store=app.documents,
            progress=app.progress,
            now=lambda: datetime.now(UTC),
        )
    )


def index_documents(app: App, *, embedder: Embedder | None = None) -> FeatureReport:
    """Bring the index in line with the documents; by the app's embedder unless one is given."""
    return build_features(
        FeaturesConfig(),
        store=app.documents,
        index=app.index,
        embedder=embedder or app.embedder,
        sparse=app.sparse,
        progress=app.progress,
    )


def names_in(store: DocumentStore) -> dict[str, tuple[str, ...]]:
    """By which path in their folder and by which URL the documents are known, per id."""
    return {head.id: tuple(_names(head)) for head in store.heads()}


def texts_in(store: DocumentStore, *, folder: Path | None = None) -> Callable[[str], Texts]:
    """The texts of a document by its id.

    What is written is the file below `folder`, or the one that a file:// URL names; where there is
    none, the text as its source gave it.
    """

    def read(document_id: str) -> Texts:
        document = store.get(document_id)
        path = _path(document, folder)
        if path is not None and path.is_file():
            # Decoded only: offsets count the carriage returns and the byte order mark too.
            written = path.read_bytes().decode("utf-8", errors="replace")
        else:
            written = document.text
        return Texts(written=written, indexed=clean(document).text)

    return read


def _names(head: DocumentHead) -> Iterator[str]:
    if file := _file_name(head):
        yield file
    yield head.url
    if unquote(head.url) != head.url:
        yield unquote(head.url)


def _path(document: Document, folder: Path | None) -> Path | None:
    if folder is not None and folder.is_file():
        return folder
    if folder is not None and (name := _file_name(document)):
        return folder / name
    address = urlsplit(document.url)
    return Path(url2pathname(address.path)) if address.scheme == "file" else None


def _file_name(head: DocumentHead) -> str | None:
    """Path below its folder, which the entity tags of the files source end with."""
    kind, _, rest = (head.etag or "").partition(":")
    return rest.partition(":")[2] or None if kind == "sha256" else None
