"""Low-rank adapters: put on a base, put back from a checkpoint, kept in the output.

Does not know: how they are trained.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import ADAPTER, LoraRule
from llm_engineering.recipes.checkpoints import file_digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def with_lora(model: "PreTrainedModel", rule: LoraRule, *, seed: int) -> Any:
    """The base frozen, with a new f32 adapter on all its linear layers but the output layer, which
    is learnt as a whole, with the input's embeddings, where the rule says so."""
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(seed)
    config = LoraConfig(
        r=rule.rank,
        lora_alpha=rule.alpha,
        lora_dropout=rule.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        modules_to_save=_embeddings(model) if rule.embeddings else None,
        ensure_weight_tying=rule.embeddings and bool(model.config.tie_word_embeddings),
    )
    return _in_f32(get_peft_model(model, config))


def _in_f32(adapted: Any) -> Any:
    """What is trained; PEFT casts low-rank matrices only. In bf16, small steps are rounded away."""
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return adapted


def _embeddings(model: Any) -> list[str]:
    """Names of the modules that hold them; where in and out are one matrix, of that."""
    wanted = [model.get_input_embeddings()]
    if not model.config.tie_word_embeddings:
        wanted.append(model.get_output_embeddings())
    return [
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if any(module is each for each in wanted)
    ]


def with_adapter(model: "PreTrainedModel", folder: Path, *, trainable: bool) -> Any:
    """The base with the adapter in `folder`. Raises InvalidInput where there is none that fits."""
    from peft import PeftModel

    if not (folder / WEIGHTS).is_file():
        raise InvalidInput(f"{folder} holds no {WEIGHTS}; name the folder of an adapter")
    try:
        return _in_f32(PeftModel.from_pretrained(model, str(folder), is_trainable=trainable))
    except (RuntimeError, ValueError) as error:
        problem = " ".join(str(error).split())[:200]
        raise InvalidInput(f"the adapter in {folder} does not fit its base: {problem}") from None


def rule_of(folder: Path) -> LoraRule:
    """By which the adapter in `folder` was made. Raises InvalidInput where there is none."""
    try:
        found = json.loads((folder / CONFIG).read_text("utf-8"))
        return LoraRule(
            rank=found["r"],
            alpha=found["lora_alpha"],
            dropout=found["lora_dropout"],
            embeddings=bool(found.get("modules_to_save")),
        )
    except (OSError, ValueError, KeyError):
        raise InvalidInput(f"{folder} holds no adapter; name the folder of one") from None


def put_back(model: Any, folder: Path) -> None:
    """Give the adapter on `model` the weights of a checkpoint of it."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(str(folder / WEIGHTS)))


def keep_adapter(checkpoint: Path, output: Path, *, base: str, writes: bool = True) -> str:
    """Copy the checkpoint's adapter into the output, whole; returns the digest of its weights.

    It says that it belongs to `base`; the trainer wrote the folder of this machine there. Of
    several processes one `writes`: two would get into each other's way.
    """
    if not writes:
        return file_digest(checkpoint / WEIGHTS)
    part, folder = output / f".{ADAPTER}.part", output / ADAPTER
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shutil.copyfile(checkpoint / WEIGHTS, part / WEIGHTS)
    config = json.loads((checkpoint / CONFIG).read_text("utf-8"))
    config["base_model_name_or_path"] = base
    (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return file_digest(folder / WEIGHTS)
