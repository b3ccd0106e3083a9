"""Jobs: the JSON that a recipe is started with, and the JSON that it leaves.

A job holds everything that its recipe computes from, so that the same file means the same here and
on another machine. Does not know: who runs it, where.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TuningPair(_Frozen):
    """Words of the author that name a passage of theirs, and the passage without them."""

    document: str
    """Id of the document that both are from."""
    anchor: str
    text: str
    passage: int
    """Position of the whole passage among the job's passages."""
    negatives: tuple[int, ...] = ()
    """Positions of passages of other documents that are near the anchor and not meant by it."""


class TrainingRule(_Frozen):
    """How an embedder is trained."""

    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=32, ge=2)
    """Pairs of one step; each is told from the passages of all the others."""
    learning_rate: float = Field(default=2e-5, gt=0)
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """Part of the steps in which the learning rate rises to its full height."""
    seed: int = 0


class TuneEmbedderJob(_Frozen):
    """Train an embedder on pairs; keep it if it finds held-out passages better than before."""

    base: str
    """Folder, in sentence-transformers layout, of the embedder that is trained further."""
    output: Path
    """Folder of the result: `result.json` and, when it is kept, the embedder's own folder."""
    passages: tuple[str, ...]
    """All passages of the corpus, near-duplicates left out: what is ranked in the evaluation."""
    train: tuple[TuningPair, ...]
    held_out: tuple[TuningPair, ...]
    """Of other documents than `train`."""
    training: TrainingRule = TrainingRule()


class RankingScores(_Frozen):
    """How well the right passages are found, averaged over pairs."""

    mrr_at_10: float
    """1 / rank of the right passage, 0 below rank 10."""
    recall_at_1: float
    recall_at_10: float


class Interval(_Frozen):
    """A mean difference with its 95 % interval."""

    mean: float
    low: float
    high: float


class TuneEmbedderResult(_Frozen):
    """What became of a TuneEmbedderJob."""

    kept: bool
    reason: str
    """Why it was kept, or was not."""
    model: Path | None
    """Folder of the tuned embedder; None when it was not kept."""
    base: str
    device: str
    device_reason: str
    train_pairs: int
    held_out_pairs: int
    held_out_documents: int
    passages: int
    steps: int
    train_seconds: float
    seconds: float
    """With loading and both evaluations."""
    before: RankingScores
    after: RankingScores
    mrr_gain: Interval
    """After minus before, of MRR@10; resampled by document."""
