"""The only place where ports meet their adapters.

`App` is what every command, step and request starts from. Nothing connects, loads or imports a
vendor until the port is first used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import assert_never

from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.bootstrap.engines import chat_of
from llm_engineering.bootstrap.judges import entailment_of, reranker_of
from llm_engineering.bootstrap.traces import tracer_of
from llm_engineering.ports.jobs import ExperimentTracker, JobFolders, JobRunner, ModelRegistry
from llm_engineering.ports.models import (
    ChatModel,
    Embedder,
    EntailmentModel,
    Reranker,
    SparseEncoder,
)
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.sources import Source
from llm_engineering.ports.stores import (
    AuditLog,
    ConversationStore,
    DocumentStore,
    FeedbackStore,
    KeyStore,
    SampleStore,
    VectorIndex,
)
from llm_engineering.ports.tracing import Tracer
from llm_engineering.settings import (
    CometSettings,
    EdgeSettings,
    HashEmbedderSettings,
    LocalJobsSettings,
    MemorySettings,
    MongoSettings,
    NoExperimentsSettings,
    OpenVinoSettings,
    QdrantSettings,
    SageMakerJobsSettings,
    SentenceTransformerSettings,
    Settings,
    SqliteSettings,
    load_settings,
)


@dataclass(frozen=True)
class App:
    """The ports, each made on first use from its settings section."""

    settings: Settings

    @property
    def home(self) -> Path:
        return self.settings.home

    @cached_property
    def documents(self) -> DocumentStore:
        match self.settings.documents:
            case SqliteSettings():
                from llm_engineering.infrastructure.sqlite import SqliteDocumentStore

                return SqliteDocumentStore(self.home / "documents.db")
            case MongoSettings() as mongo:
                from llm_engineering.infrastructure.mongo import MongoDocumentStore

                return MongoDocumentStore(
                    mongo.uri.get_secret_value(),
                    database=mongo.database,
                    timeout_s=mongo.timeout_s,
                )
            case MemorySettings():
                from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore

                return MemoryDocumentStore()
            case unreachable:
                assert_never(unreachable)

    @cached_property
    def samples(self) -> SampleStore:
        from llm_engineering.infrastructure.sample_folders import FolderSampleStore

        return FolderSampleStore(self.home / "datasets")

    @cached_property
    def feedback(self) -> FeedbackStore:
        from llm_engineering.infrastructure.sqlite_feedback import SqliteFeedbackStore

        return SqliteFeedbackStore(self.home / "feedback.db")

    @cached_property
    def conversations(self) -> ConversationStore:
        from llm_engineering.infrastructure.sqlite_conversations import SqliteConversationStore

        return SqliteConversationStore(self.home / "conversations.db")

    @cached_property
    def keys(self) -> KeyStore:
        from llm_engineering.infrastructure.sqlite_keys import SqliteKeyStore

        return SqliteKeyStore(self.home / "keys.db")

    @cached_property
    def audit(self) -> AuditLog:
        from llm_engineering.infrastructure.audit_files import JsonlAuditLog

        return JsonlAuditLog(self.home / "logs" / "audit.jsonl")

    @cached_property
    def index(self) -> VectorIndex:
        match self.settings.vectors:
            case EdgeSettings():
                from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex

                return EdgeVectorIndex(self.home / "index")
            case QdrantSettings() as qdrant:
                from llm_engineering.infrastructure.qdrant_server import QdrantVectorIndex

                return QdrantVectorIndex(
                    qdrant.url,
                    api_key=qdrant.api_key.get_secret_value() if qdrant.api_key else None,
                    collection=qdrant.collection,
                    timeout_s=qdrant.timeout_s,
                )
            case MemorySettings():
                from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex

                return MemoryVectorIndex()
            case unreachable:
                assert_never(unreachable)

    @cached_property
    def embedder(self) -> Embedder:
        match self.settings.embedder:
            case OpenVinoSettings() as openvino:
                from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder

                return OpenVinoEmbedder(openvino.model, threads=openvino.threads)
            case SentenceTransformerSettings() as model:
                from llm_engineering.infrastructure.sentence_transformers import (
                    SentenceTransformerEmbedder,
                )

                return SentenceTransformerEmbedder(model.model, device=model.device)
            case HashEmbedderSettings() as hashed:
                from llm_engineering.infrastructure.hash_embedder import HashEmbedder

                return HashEmbedder(dimension=hashed.dimension)
            case unreachable:
                assert_never(unreachable)

    @cached_property
    def sparse(self) -> SparseEncoder:
        from llm_engineering.infrastructure.bm25 import Bm25Encoder

        return Bm25Encoder()

    @cached_property
    def chat(self) -> ChatModel:
        return chat_of(
            self.settings.chat,
            home=self.home,
            embedder=lambda: self.embedder,
            sparse=lambda: self.sparse,
            models=lambda: self.models,
        )

    @cached_property
    def teacher(self) -> ChatModel:
        """The chat model that writes instructions; what it wrote once it is not asked again."""
        from llm_engineering.infrastructure.remembering_chat import RememberingChat

        return RememberingChat(self.chat, self.home / "teacher.db")

    @cached_property
    def reranker(self) -> Reranker | None:
        """None when the settings name none."""
        return reranker_of(self.settings.reranker)

    @cached_property
    def entailment(self) -> EntailmentModel | None:
        """None when the settings name none: then rules check answers."""
        return entailment_of(self.settings.entailment)

    @cached_property
    def quotes(self) -> ChatModel:
        """The model that only quotes: what speaks where another was not backed."""
        from llm_engineering.infrastructure.quotes_chat import QuotesChat

        return QuotesChat(embedder=self.embedder, sparse=self.sparse)

    @cached_property
    def models(self) -> ModelRegistry:
        from llm_engineering.infrastructure.model_folders import FolderModelRegistry

        return FolderModelRegistry(self.home / "models")

    @cached_property
    def search_ports(self) -> SearchPorts:
        """What finding passages takes; the vectors of the latest queries are kept in it."""
        return SearchPorts(
            index=self.index,
            embedder=self.embedder,
            sparse=self.sparse,
            chat=self.chat,
            reranker=self.reranker,
            entailment=self.entailment,
            quotes=self.quotes,
        )

    @cached_property
    def jobs(self) -> JobRunner:
        match self.settings.jobs:
            case LocalJobsSettings():
                from llm_engineering.infrastructure.local_jobs import LocalJobRunner

                return LocalJobRunner(self.home / "runs")
            case SageMakerJobsSettings() as sagemaker:
                from llm_engineering.infrastructure.aws import Aws
                from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
                from llm_engineering.infrastructure.sagemaker_place import SageMakerPlace

                place = SageMakerPlace(
                    role=sagemaker.role,
                    image=sagemaker.image,
                    bucket=sagemaker.bucket,
                    prefix=sagemaker.prefix.strip("/"),
                    region=sagemaker.region,
                    instance=sagemaker.instance,
                    volume_gb=sagemaker.volume_gb,
                    spot=sagemaker.spot,
                    max_hours=sagemaker.max_hours,
                )
                return SageMakerJobRunner(place, aws=Aws(place.region, sagemaker.endpoint_url))
            case unreachable:
                assert_never(unreachable)

    @cached_property
    def experiments(self) -> ExperimentTracker:
        match self.settings.experiments:
            case NoExperimentsSettings():
                from llm_engineering.infrastructure.no_experiments import NoExperiments

                return NoExperiments()
            case CometSettings() as comet:
                from llm_engineering.infrastructure.comet_experiments import CometExperiments

                return CometExperiments(
                    self.home / "experiments",
                    api_key=comet.api_key.get_secret_value() if comet.api_key else None,
                    workspace=comet.workspace,
                    project=comet.project,
                    offline=comet.offline,
                )
            case unreachable:
                assert_never(unreachable)

    @cached_property
    def tracer(self) -> Tracer:
        return tracer_of(self.settings.traces)

    @cached_property
    def job_folders(self) -> JobFolders:
        from llm_engineering.infrastructure.job_tree import JobFolderTree

        return JobFolderTree(self.home / "training")

    @cached_property
    def progress(self) -> Progress:
        from llm_engineering.infrastructure.rich_progress import RichProgress, Silent

        return RichProgress() if self.settings.progress == "auto" else Silent()

    def sources(self, config: CrawlConfig) -> tuple[Source, ...]:
        """One source per entry of `config.sources`, in order."""
        from llm_engineering.infrastructure.sources.by_kind import source_of

        return tuple(
            source_of(entry, author=config.author, http=config.http) for entry in config.sources
        )

    def close(self) -> None:
        """Close what was opened; unused ports are not made for it."""
        for name in (
            *("documents", "index", "teacher", "chat", "feedback"),
            *("tracer", "keys", "audit", "conversations"),
        ):
            port = self.__dict__.get(name)
            # Not every chat model holds connections.
            if port is not None and hasattr(port, "close"):
                port.close()


@contextmanager
def open_app(settings: Settings | None = None) -> Iterator[App]:
    """An App over `settings` (default: the environment), closed on exit."""
    app = App(settings or load_settings())
    try:
        yield app
    finally:
        app.close()
