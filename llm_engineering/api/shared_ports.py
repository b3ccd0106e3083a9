"""The app's ports as many threads may ask for them at once."""

from threading import Lock

from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.bootstrap import App
from llm_engineering.domain.errors import IndexEmpty
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.models import ChatModel, Embedder, SparseEncoder
from llm_engineering.ports.stores import (
    ConversationStore,
    DocumentStore,
    FeedbackStore,
    VectorIndex,
)


class SharedPorts:
    """Opens each port once: since Python 3.12 a `cached_property` takes no lock of its own.

    The document store has another lock than the rest: questions do not need it, so they must
    not wait while it is tried.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = Lock()
        self._documents_lock = Lock()
        self._authors: tuple[str, tuple[str, ...]] = ("", ())
        """Of a version of the index."""

    @property
    def index(self) -> VectorIndex:
        with self._lock:
            return self._app.index

    @property
    def embedder(self) -> Embedder:
        with self._lock:
            return self._app.embedder

    @property
    def sparse(self) -> SparseEncoder:
        with self._lock:
            return self._app.sparse

    @property
    def chat(self) -> ChatModel:
        with self._lock:
            return self._app.chat

    def opened_chat(self) -> ChatModel | None:
        """The chat model when somebody has asked for it; this opens none."""
        chat: ChatModel | None = self._app.__dict__.get("chat")
        return chat

    @property
    def search_ports(self) -> SearchPorts:
        with self._lock:
            return self._app.search_ports

    def authors(self) -> tuple[str, ...]:
        """Names of those whose writing is indexed, sorted; none before anything is."""
        try:
            version = self.index.version()
            if self._authors[0] != version:  # who else asks meanwhile finds the same
                self._authors = version, tuple(sorted(self.index.values("author")))
        except IndexEmpty:
            return ()
        return self._authors[1]

    @property
    def feedback(self) -> FeedbackStore:
        with self._documents_lock:
            return self._app.feedback

    @property
    def conversations(self) -> ConversationStore:
        with self._documents_lock:
            return self._app.conversations

    @property
    def models(self) -> ModelRegistry:
        with self._documents_lock:
            return self._app.models

    @property
    def documents(self) -> DocumentStore:
        with self._documents_lock:
            return self._app.documents
