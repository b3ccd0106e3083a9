"""How much memory and work a model needs, from its configuration alone: no weight is read.

The model is built on torch's meta device, which holds shapes and no numbers. What the backward pass
keeps was counted with saved-tensor hooks (Llama, LoRA): so many numbers for every input and output
of every linear layer with an adapter, and the mask of packed rows.

Does not know: data, devices' limits, prices.
"""

from dataclasses import dataclass
from typing import Any

from llm_engineering.domain.training import LoraRule

KEPT = {4: 1.09, 2: 1.45}
"""Numbers kept for backward per input and output of a linear layer, by their bytes: in bf16 the
adapter's f32 sides are kept as well."""
ADAM_BYTES = 16
"""A trained f32 weight: itself, its gradient and Adam's two moments."""
FOUR_BIT_BYTES = 0.56
"""A weight of a linear layer in NF4 with doubly quantised scales (arXiv 2305.14314)."""
_EVALUATED_BYTES = 10
"""A logit of a held-out token: in bf16, in f32, and its exponential."""
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Shape:
    """Counts of a causal language model's weights, and of what flows through its layers."""

    parameters: int
    linear: int
    """Weights of linear layers but the output layer."""
    head: int
    embeddings: int
    """Weights of the tokens' vectors, in and out; counted once where they are one matrix."""
    flow: int
    """Inputs and outputs of all those linear layers: numbers per token, and what one rank of an
    adapter has of weights."""
    layers: int
    width: int
    vocabulary: int
    cached: int
    """Numbers per token that are kept while an answer is said: keys and values of all layers."""


def shape_of(config: Any) -> Shape:
    """Of the causal model that this configuration describes."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    head = model.get_output_embeddings()
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    text = config.get_text_config()
    return Shape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        linear=sum(layer.weight.numel() for layer in linears),
        head=head.weight.numel(),
        embeddings=_distinct(model.get_input_embeddings().weight, head.weight),
        flow=sum(layer.in_features + layer.out_features for layer in linears),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        vocabulary=text.vocab_size,
        cached=_cached(text),
    )


def _cached(text: Any) -> int:
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    of_head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * of_head)


def _distinct(*weights: Any) -> int:
    """Numbers in so many weights, some of which may be the same."""
    return sum(weight.numel() for weight in {id(weight): weight for weight in weights}.values())


def trained_by(lora: LoraRule, shape: Shape) -> int:
    """Weights of an adapter."""
    return shape.flow * lora.rank + (shape.embeddings if lora.embeddings else 0)


@dataclass(frozen=True)
class Memory:
    """Megabytes at the peak of a training step, by what they are for."""

    weights: float
    adapter: float
    """With its gradients and the optimizer's moments."""
    kept: float
    """What the forward pass keeps for the backward pass."""
    evaluated: float
    """Logits of one held-out sequence; measured between steps, when nothing is kept."""

    @property
    def needed(self) -> float:
        return self.weights + self.adapter + max(self.kept, self.evaluated)


def memory_of(
    shape: Shape,
    lora: LoraRule,
    *,
    sequences: int,
    length: int,
    measured: int,
    bytes_each: int,
    four_bit: bool = False,
    recompute: bool = False,
    shards: int = 1,
) -> Memory:
    """For batches of `sequences` times `length` tokens, in numbers of `bytes_each`.

    `measured`: tokens of a sequence that the held-out loss is measured on.
    `recompute`: each layer keeps its input only, and computes the rest again when needed.
    `shards`: devices that hold a part of every layer each.
    """
    tokens = sequences * length
    in_layers = KEPT[bytes_each] * shape.flow * tokens * bytes_each
    masks = float(shape.layers * sequences * length**2 * bytes_each)
    if recompute:
        in_layers, masks = in_layers / shape.layers, masks / shape.layers
        in_layers += shape.layers * shape.width * tokens * bytes_each
    return Memory(
        weights=_weights(shape, bytes_each=bytes_each, four_bit=four_bit, shards=shards),
        adapter=trained_by(lora, shape) * ADAM_BYTES / _MEGABYTE,
        kept=(in_layers + masks) / _MEGABYTE,
        evaluated=measured * shape.vocabulary * _EVALUATED_BYTES / _MEGABYTE,
    )


def memory_of_answers(
    shape: Shape,
    lora: LoraRule | None,
    *,
    sequences: int,
    prompt: int,
    said: int,
    bytes_each: int,
    four_bit: bool = False,
) -> Memory:
    """For `sequences` answers at once, each of `said` tokens to a prompt of `prompt` tokens.
    There are no gradients.
    """
    read = shape.flow // shape.layers * prompt  # prompts go through one layer at a time
    return Memory(
        weights=_weights(shape, bytes_each=bytes_each, four_bit=four_bit),
        adapter=(trained_by(lora, shape) if lora else 0) * 4 / _MEGABYTE,
        kept=(shape.cached * (prompt + said) + read) * sequences * bytes_each / _MEGABYTE,
        evaluated=sequences * shape.vocabulary * _EVALUATED_BYTES / _MEGABYTE,
    )


def memory_of_merging(shape: Shape, lora: LoraRule, *, bytes_each: int) -> Memory:
    """For folding an adapter into its base, layer by layer, and looking at what comes out."""
    largest = shape.linear / shape.layers * 4  # a layer's difference, in f32
    return Memory(
        weights=_weights(shape, bytes_each=bytes_each),
        adapter=trained_by(lora, shape) * 4 / _MEGABYTE,
        kept=largest / _MEGABYTE,
        evaluated=0.0,
    )


def _weights(shape: Shape, *, bytes_each: int, four_bit: bool = False, shards: int = 1) -> float:
    """Megabytes; of a base that is cut up, two layers are whole at a time: this and the next."""
    linear = shape.linear * (FOUR_BIT_BYTES if four_bit else bytes_each)
    if shards > 1:
        linear = linear / shards + 2 * linear / shape.layers
    return (linear + (shape.parameters - shape.linear) * bytes_each) / _MEGABYTE
