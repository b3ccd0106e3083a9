"""Training samples: the author's own words, and what a model should rather not have said.

A target is never written by anybody but the author: it is the characters [start, end) of one
cleaned revision of one document, so that it can be checked against the store. What is asked may be
written by a model, and so may what is rejected.

Does not know: how spans are chosen, which trainer reads the rows, where sets are kept.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import uuid5

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.chat import Message
from llm_engineering.domain.documents import NAMESPACE, DocumentRef


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(StrEnum):
    """Which part of a set a document belongs to, with all of its samples."""

    TRAIN = "train"
    """The past."""
    VALIDATION = "validation"
    """Later; decides when to stop and which version is kept."""
    TEST = "test"
    """The latest; only ever measured on."""


class SplitBy(StrEnum):
    """What decided which documents are held out."""

    TIME = "time"
    """The latest are; a document without a date is trained on."""
    HASH = "hash"
    """A hash of the id, because no date tells the documents apart."""


class PromptForm(StrEnum):
    """Where an instruction comes from."""

    TITLE = "title"
    HEADING = "heading"
    OPENING = "opening"
    """What stands before the target is given, its own first sentence or the thought before it."""
    QUESTION = "question"
    """A question that the document itself asks: a question heading, a mail, an issue."""
    TERMS = "terms"
    """What the span is about and the terms that it uses: commands, names, what it links to."""
    TEACHER = "teacher"
    """A chat model was asked which instruction the span would answer."""


class TargetSpan(Frozen):
    """Characters [start, end) of the cleaned text of one revision of a document."""

    document: DocumentRef
    content_hash: str
    """Of the revision: another one may hold other words there."""
    start: int
    end: int
    heading_path: tuple[str, ...] = ()


class InstructSample(Frozen):
    """An instruction and the author's own words that answer it."""

    id: str
    split: Split
    form: PromptForm
    prompt: tuple[Message, ...]
    """Persona and instruction, as `rag.prompts` renders them."""
    completion: str
    """Exactly the target's characters."""
    target: TargetSpan


class RejectedBy(StrEnum):
    """Whose words the rejected side is."""

    MODEL = "model"
    """The current model's own answer to the same prompt: on-policy."""
    BASE = "base"
    """The base model's, without any adapter."""
    OTHER_AUTHOR = "other_author"
    SERVED = "served"
    """An answer that a reader corrected."""


class PreferenceSample(Frozen):
    """Two answers to one prompt, of which the first is the author's."""

    id: str
    split: Split
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    rejected_by: RejectedBy
    rejected_from: str
    """Which model version, document or feedback it came from."""
    rejected_ended: bool = True
    """False: it was cut off before its end, so nothing is to be learnt of where it ends."""
    target: TargetSpan | None
    """None: `chosen` is a correction that the author made by hand."""


class RatedSample(Frozen):
    """One answer and whether a reader liked it; a trainer for unpaired ratings (KTO) reads it."""

    id: str
    split: Split
    prompt: tuple[Message, ...]
    completion: str
    liked: bool
    feedback_id: str


class SplitCounts(Frozen):
    """What one split holds."""

    documents: int = 0
    instruct: int = 0
    preference: int = 0
    rated: int = 0
    first: datetime | None = None
    """Date of its earliest document."""
    last: datetime | None = None


class SampleSetManifest(Frozen):
    """What a sample set was made from; its version is derived from its contents."""

    version: str
    created_at: datetime
    authors: tuple[str, ...]
    config: dict[str, object]
    """The DatasetsConfig, dumped."""
    cleaning: str
    """Name of the cleaning rule that the offsets refer to."""
    document_ids: tuple[str, ...]
    """Of every document that gave a sample, or that feedback in it rests on; erasing one taints
    what was trained on it."""
    split_by: SplitBy = SplitBy.TIME
    splits: dict[Split, SplitCounts]
    dropped: dict[str, int] = Field(default_factory=dict)
    """Reason -> documents, spans or rows that were left out for it."""
    teacher: str = ""
    """Name of the chat model that wrote instructions; '' when none did."""
    leak_share: float = 0.0
    """Largest share of 8-grams that a held-out document has in common with the splits before its
    own."""


class SampleSet(Frozen):
    """All samples of one version, each kind by split in the order of `Split`."""

    manifest: SampleSetManifest
    instruct: tuple[InstructSample, ...] = ()
    preference: tuple[PreferenceSample, ...] = ()
    rated: tuple[RatedSample, ...] = ()


def sample_id(*parts: str) -> str:
    """Content-derived: the same parts always have the same id."""
    return str(uuid5(NAMESPACE, "sample:" + "\0".join(parts)))


def newest_first(manifests: Iterable[SampleSetManifest]) -> tuple[SampleSetManifest, ...]:
    """As every store lists them; those of one moment by version."""
    ordered = sorted(manifests, key=lambda each: each.version)
    return tuple(sorted(ordered, key=lambda each: each.created_at, reverse=True))


def no_such_set(version: str, manifests: Sequence[SampleSetManifest]) -> str:
    """What every store says of a version that it does not hold."""
    held = ", ".join(manifest.version for manifest in manifests[:5])
    more = f" and {len(manifests) - 5} more" if len(manifests) > 5 else ""
    fix = f"there are {held}{more}" if held else "there is none; make one with 'twin run datasets'"
    return f"no sample set {version!r}; {fix}"
