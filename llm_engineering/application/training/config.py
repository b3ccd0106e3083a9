"""What is trained and how: the config of the training pipeline (configs/training.yaml)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.domain.training import (
    NANO,
    DpoJob,
    LoraRule,
    OptimizerRule,
    PretrainNanoJob,
)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SftRule(Frozen):
    """Supervised fine-tuning on instruct samples."""

    lora: LoraRule = LoraRule()
    optimizer: OptimizerRule = OptimizerRule()
    packing: bool = True
    quantization: Literal["none", "4bit"] = "none"


class PreferenceRule(Frozen):
    """The author's words against the model's own."""

    enabled: bool = True
    answers: int = Field(default=400, ge=1)
    """Prompts of the training split that the model answers itself, at most."""
    held_out_answers: int = Field(default=100, ge=1)
    """The same of each held-out split."""
    max_tokens: int = Field(default=256, ge=1)
    """Of each of its answers."""
    temperature: float = Field(default=0.8, ge=0)
    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=0.1, ge=0)
    optimizer: OptimizerRule = OptimizerRule(learning_rate=5e-6)


class TrainingConfig(Frozen):
    """From a sample set to a registered version of the twin."""

    base: str = NANO
    """Hub id, folder, or `nano`."""
    nano: PretrainNanoJob = PretrainNanoJob()
    """How the base is made when it is `nano`."""
    sft: SftRule = SftRule()
    preference: PreferenceRule = PreferenceRule()
    promote: bool = False
    """Promote the result when it may be promoted."""
    anew: str = ""
    """Names a request to run every job once more: only what was run for it counts. Set by
    --no-cache; '' takes what earlier runs left."""

    def dpo_job(self, base: str) -> DpoJob:
        rule = self.preference
        return DpoJob(
            base=base,
            beta=rule.beta,
            sft_weight=rule.sft_weight,
            optimizer=rule.optimizer,
            quantization=self.sft.quantization,
        )
