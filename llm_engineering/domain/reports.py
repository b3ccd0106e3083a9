"""What a pipeline did. Partial failure is data, never silence."""

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.samples import Split, SplitBy, SplitCounts
from llm_engineering.domain.training import JobResult


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Failure(Frozen):
    """One thing that could not be done, and why."""

    subject: str
    """URL, path or document id."""
    reason: str


class PutResult(Frozen):
    """Ids of the documents that a store took, by what happened to them."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class CrawlReport(Frozen):
    """Outcome of one crawl; `seen == new + changed + unchanged`."""

    sources: tuple[str, ...] = ()
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Failure, ...] = ()
    by_kind: dict[str, int] = Field(default_factory=dict)
    """Live documents in the store after the crawl."""
    by_month: dict[str, int] = Field(default_factory=dict)
    """'2024-03' -> live documents published then; 'undated' for the rest."""
    characters: tuple[int, ...] = ()
    """Length of each live document of these sources."""
    seconds: float = 0.0


class FeatureReport(Frozen):
    """Outcome of one features run."""

    documents: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    empty: int = 0
    """Documents whose cleaned text holds nothing to index."""
    chunks: int = 0
    """In the index after the run, near-duplicates not counted."""
    sentences: int = 0
    """Ranked sentences in the index after the run."""
    embedded: int = 0
    """Chunks that went through the embedder in this run."""
    duplicates: int = 0
    """Chunks linked to a near-duplicate instead of indexed."""
    chunks_removed: int = 0
    tokens: tuple[int, ...] = ()
    """Length of each chunk embedded in this run, in the embedder's tokens."""
    version: str = ""
    """Published index version; unchanged when nothing changed."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """By stage: read, clean, chunk, dedupe, embed, index, publish. Index goes on beside embed, so
    that the sum is more than the time that passed."""


class TrainedVersion(Frozen):
    """A registered version and what its training measured."""

    version: str
    again: bool = False
    """Whether the very same job had been done before."""
    result: JobResult


class TrainingReport(Frozen):
    """Outcome of one training run."""

    dataset: str = ""
    """Version of the sample set."""
    base: str = ""
    versions: tuple[TrainedVersion, ...] = ()
    """In the order of their making, the last one is the result."""
    promoted: str = ""
    """Version that this run put into production; '' for none."""
    why: str = ""
    """Why it was promoted, or was not."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """By stage: base, fine-tune, prefer."""


class SampleExample(Frozen):
    """A row as a reader of the report sees it."""

    kind: str
    """Its prompt form, or whose words it rejects."""
    split: Split
    prompt: str
    """Without the persona."""
    completion: str
    rejected: str = ""
    source: str
    """Title, date and offsets of where the completion stands."""
    url: str = ""


class DatasetReport(Frozen):
    """What a sample set holds and what was left out of it."""

    version: str
    author: str
    teacher: str = ""
    """Name of the model that wrote instructions; '' when none did."""
    split_by: SplitBy = SplitBy.TIME
    splits: dict[Split, SplitCounts] = Field(default_factory=dict)
    forms: dict[str, int] = Field(default_factory=dict)
    """Instruct rows by prompt form."""
    rejected: dict[str, int] = Field(default_factory=dict)
    """Preference rows by whose words the rejected side is."""
    sources: dict[str, int] = Field(default_factory=dict)
    """Source of documents -> instruct rows."""
    by_month: dict[str, int] = Field(default_factory=dict)
    """'2024-03' -> instruct rows from documents of then; 'undated' for the rest."""
    dropped: dict[str, int] = Field(default_factory=dict)
    leak_share: float = 0.0
    leaks: int = 0
    """Held-out rows that repeat rows of the training split."""
    characters: tuple[int, ...] = ()
    """Length of each instruct target."""
    code_share: float = 0.0
    """Of the characters of all instruct targets."""
    examples: tuple[SampleExample, ...] = ()
    seconds: float = 0.0
