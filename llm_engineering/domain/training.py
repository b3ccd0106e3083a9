"""Training jobs, what they report while they run, and what they leave.

A job lives in a folder of its own and its paths are relative to that folder, so that the same
folder means the same on another machine:

    job.json            one of the jobs below
    data/               train.jsonl, validation.jsonl, test.jsonl
    base/, adapter/     where the job starts from a model that is no hub id

`python -m llm_engineering.recipes.<recipe> FOLDER/job.json --output DIR --checkpoints DIR` runs it
and leaves in the output folder:

    result.json         the job's result
    adapter/            of PEFT (sft, dpo, kto), or
    model/              a whole model with its tokenizer (pretrain_nano, merge)
    answers.jsonl       {"id", "text", "ended"}, one per prompt (generate)
    metrics.jsonl       every StepEvent
    error.txt           instead of a result: one line that says why it failed

The rows of the data, as TRL reads them, each with an `id`:

    sft                 prompt: [{role, content}…], completion: [{role, content}]
    dpo                 prompt: [{role, content}…], chosen: [{…}], rejected: [{…}],
                        rejected_ended: bool
    kto                 prompt: [{role, content}…], completion: [{…}], label: bool
    generate            prompt: [{role, content}…]
    pretrain_nano       text: str

Does not know: who runs a job, where; which libraries the recipes use.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

NANO = "nano"
"""The base that is trained from nothing on the corpus itself, for machines without a model hub. It
proves the pipeline, not the prose."""

JOB, RESULT, ERROR, METRICS = "job.json", "result.json", "error.txt", "metrics.jsonl"
ADAPTER, MODEL, ANSWERS = "adapter", "model", "answers.jsonl"
"""Names of files and folders of a job and of its output."""

LOSS_GROWTH = 0.05
"""Share by which preferences may raise the held-out loss: past it they are paid for with the
prose."""


RECIPES = 2
"""Raised whenever a recipe computes something else from the same job: jobs that were done by other
arithmetic are then run again, and not taken for done. It is in no job: it belongs to the code."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraRule(Frozen):
    """Low-rank adapters on all linear layers (Hu et al., arXiv 2106.09685)."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    embeddings: bool = False
    """Learn the tokens' embeddings, in and out, as a whole beside the layers' adapters: for a base
    whose own have seen too little, as a nano's. vLLM serves such an adapter only when merged."""


class OptimizerRule(Frozen):
    """How long and how fast is learnt."""

    learning_rate: float = Field(default=2e-4, gt=0)
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    """Ends earlier than the epochs would."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Ends at the next step after so long; what was learnt is kept."""
    batch_size: int = Field(default=4, ge=1)
    """Rows (packed: sequences) that one device reads at once."""
    accumulate: int = Field(default=1, ge=1)
    """Batches of one step."""
    max_length: int = Field(default=1_024, ge=32)
    """Tokens of one row (packed: of one sequence)."""
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    evaluations: int = Field(default=4, ge=1)
    """How often the held-out loss is measured, and a checkpoint written, in the whole run."""
    patience: int = Field(default=2, ge=1)
    """Ends after so many evaluations in a row without a better held-out loss."""
    seed: int = 0


class SftJob(Frozen):
    """Supervised fine-tuning: loss on completions only."""

    recipe: Literal["sft"] = "sft"
    base: str
    """Hub id, absolute folder, or folder relative to the job's."""
    data: Path = Path("data")
    lora: LoraRule = LoraRule()
    optimizer: OptimizerRule = OptimizerRule()
    packing: bool = True
    """Several rows share a sequence; no row is cut."""
    quantization: Literal["none", "4bit"] = "none"
    """`4bit`: QLoRA, where there is CUDA and bitsandbytes."""


class DpoJob(Frozen):
    """Direct preference optimisation of an adapter (Rafailov et al., arXiv 2305.18290)."""

    recipe: Literal["dpo"] = "dpo"
    base: str
    adapter: Path = Path(ADAPTER)
    """Starts from this adapter, which is the reference as well."""
    data: Path = Path("data")
    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=0.0, ge=0)
    """Of the plain loss on chosen answers beside the preference loss: keeps the prose."""
    optimizer: OptimizerRule = OptimizerRule(learning_rate=5e-6)
    quantization: Literal["none", "4bit"] = "none"


class KtoJob(Frozen):
    """Optimisation from single ratings (Ethayarajh et al., arXiv 2402.01306)."""

    recipe: Literal["kto"] = "kto"
    base: str
    adapter: Path = Path(ADAPTER)
    data: Path = Path("data")
    beta: float = Field(default=0.1, gt=0)
    optimizer: OptimizerRule = OptimizerRule(learning_rate=5e-6)
    quantization: Literal["none", "4bit"] = "none"


class MergeJob(Frozen):
    """An adapter folded into its base: one model without PEFT."""

    recipe: Literal["merge"] = "merge"
    base: str
    adapter: Path = Path(ADAPTER)


class GenerateJob(Frozen):
    """A model's own answers to prompts; `ended` is false where `max_tokens` cut one off."""

    recipe: Literal["generate"] = "generate"
    base: str
    adapter: Path | None = None
    """None: the base by itself."""
    data: Path = Path("data")
    """All of its splits are answered: held-out answers are only measured against."""
    max_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.8, ge=0)
    batch_size: int = Field(default=16, ge=1)
    seed: int = 0
    quantization: Literal["none", "4bit"] = "none"
    """As the adapter was trained."""


class PretrainNanoJob(Frozen):
    """A small Llama with its own byte-level BPE, trained from nothing on the corpus."""

    recipe: Literal["pretrain_nano"] = "pretrain_nano"
    data: Path = Path("data")
    tokens: int = Field(default=1_000_000, ge=1)
    """Trained on, repeats counted."""
    vocabulary: int = Field(default=4_096, ge=300)
    layers: int = Field(default=4, ge=1)
    width: int = Field(default=256, ge=32)
    heads: int = Field(default=4, ge=1)
    context: int = Field(default=1_024, ge=64)
    batch_size: int = Field(default=2, ge=1)
    """Windows of `context` tokens; on so few tokens, many small steps learn more than few large."""
    learning_rate: float = Field(default=2e-2, gt=0)
    """Of matrices (Muon); embeddings and norms get a part of it (AdamW)."""
    seed: int = 0


Job = Annotated[
    SftJob | DpoJob | KtoJob | MergeJob | GenerateJob | PretrainNanoJob,
    Field(discriminator="recipe"),
]
JOBS: TypeAdapter[Job] = TypeAdapter(Job)


class DeviceUse(Frozen):
    """Where it was computed, in what, and why there."""

    name: Literal["cpu", "cuda"]
    precision: Literal["float32", "bfloat16", "float16"]
    reason: str
    count: int = 1


class Throughput(Frozen):
    """What the training steps cost, evaluations not counted."""

    steps: int
    tokens: int
    """Real ones, padding not counted."""
    padding_share: float
    """Padding among all tokens that went through the model."""
    seconds: float
    tokens_per_s: float
    mfu: float | None = None
    """Share of the device's measured matrix multiplication rate that was used."""
    peak_memory_mb: float


class HeldOut(Frozen):
    """Measures on a split that was not trained on; None where the recipe has no such thing."""

    rows: int
    loss: float
    """Mean negative log likelihood of a completion's token, in nats."""
    reward_margin: float | None = None
    """Mean of beta * (log-ratio of chosen - log-ratio of rejected)."""
    reward_accuracy: float | None = None
    """Share of pairs whose margin is above zero."""
    preference_loss: float | None = None
    """Mean of -log sigmoid(margin), or what the recipe trains in its place."""


class JobResult(Frozen):
    """What became of a job."""

    recipe: Literal["sft", "dpo", "kto", "merge", "generate", "pretrain_nano"]
    base: str
    nano: bool
    """Whether the base is one that was trained from nothing: no prose to expect."""
    device: DeviceUse
    before: dict[str, HeldOut] = Field(default_factory=dict)
    """By split: validation and test, measured before the first step."""
    after: dict[str, HeldOut] = Field(default_factory=dict)
    throughput: Throughput | None = None
    too_long: dict[str, int] = Field(default_factory=dict)
    """By split: rows above `max_length`, which were left out whole; no row is ever cut."""
    cut_off: dict[str, int] = Field(default_factory=dict)
    """By split: rejected answers without an end, which are learnt from without one."""
    adapter_sha256: str | None = None
    """Of adapter_model.safetensors."""
    stopped_early: str = ""
    """Why training ended before its time; '' when it did not."""
    resumed_from: int | None = None
    """Step of the checkpoint that it went on from."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of torch, transformers, trl and peft."""
    seconds: float = 0.0


class StepEvent(Frozen):
    """A line of a recipe's standard output while it runs: one JSON object."""

    event: Literal["step"] = "step"
    stage: str
    """E.g. `train`, `evaluate`."""
    step: int
    steps: int
    metrics: dict[str, float] = Field(default_factory=dict)
    """E.g. loss, grad_norm, learning_rate, tokens_per_s, validation_loss."""
