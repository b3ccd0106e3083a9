"""BERT with pooling and normalisation as one OpenVINO graph, operator by operator.

Reads safetensors itself, so neither torch nor transformers nor an ONNX file is needed. Operators
take the shapes that the CPU plugin fuses: a product with its bias and GELU, attention as one
block, layer normalisation as one node.
Source of the formulas: Devlin et al., "BERT" (2018), as transformers' BertModel computes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op
from safetensors import SafetensorError
from safetensors.numpy import load_file

from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.infrastructure.encoder_folder import BertConfig, BertFolder, Pooling

MASKED = 30_000.0
"""Taken from the score of a padding position: exp underflows to 0, in bf16 too."""


def bert_graph(folder: BertFolder) -> ov.Model:
    """Graph over (batch, length) `ids` (int32) and `mask` (float32, 1 on tokens, 0 on padding).

    Its one result is (batch, hidden) float32 in rows of unit length. Raises InvalidSettings when
    the weights are not those that the configuration describes.
    """
    encoder = _Encoder(folder.config, _read_weights(folder.weights))
    try:
        return encoder.model(folder.pooling)
    except KeyError as missing:
        raise _unfit(folder.weights, f"it has no tensor {missing}") from None
    except RuntimeError:
        # OpenVINO refuses an operator over mismatched shapes with a page of C++ locations.
        raise _unfit(folder.weights, "its tensors do not have the shapes of config.json") from None


def _read_weights(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unfit(path, str(error)) from None
    except TypeError:
        raise _unfit(path, "it stores bfloat16, which NumPy lacks") from None
    return {name.removeprefix("bert."): values for name, values in tensors.items()}


def _unfit(path: Path, reason: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_EMBEDDER__MODEL: cannot use {str(path)!r}: {reason}; "
        "fetch the model again or set TWIN_EMBEDDER__KIND=sentence-transformers"
    )


def _ints(*values: int) -> ov.Node:
    return op.constant(np.array(values, dtype=np.int32))


def _floats(values: NDArray[Any] | float) -> ov.Node:
    return op.constant(np.ascontiguousarray(values, dtype=np.float32))


def _scalar(value: int) -> ov.Node:
    return op.constant(np.int32(value))


@dataclass(frozen=True)
class _Encoder:
    """Adds one operator after another; `hidden` is always (batch, length, hidden size)."""

    config: BertConfig
    weights: Mapping[str, NDArray[Any]]

    def model(self, pooling: Pooling) -> ov.Model:
        ids = op.parameter(ov.PartialShape([-1, -1]), ov.Type.i32, name="ids")
        mask = op.parameter(ov.PartialShape([-1, -1]), ov.Type.f32, name="mask")
        padding = op.multiply(
            op.subtract(op.unsqueeze(mask, _ints(1, 2)), _floats(1.0)), _floats(MASKED)
        )
        hidden = self._embedded(ids)
        for layer in range(self.config.num_hidden_layers):
            hidden = self._layer(hidden, padding, f"encoder.layer.{layer}")
        match pooling:
            case "mean":
                # The sum over the tokens points where their mean points; the length goes anyway.
                kept = op.multiply(hidden, op.unsqueeze(mask, _ints(-1)))
                pooled = op.reduce_sum(kept, _ints(1))
            case "cls":
                pooled = op.gather(hidden, _scalar(0), _scalar(1))
        unit = op.normalize_l2(pooled, _ints(-1), 1e-12, "max")
        return ov.Model([op.result(unit)], [ids, mask], "bert")

    def _embedded(self, ids: ov.Node) -> ov.Node:
        words = op.gather(
            _floats(self._tensor("embeddings.word_embeddings.weight")), ids, _scalar(0)
        )
        # A sentence encoder sees one segment only, so its type is one more constant per position.
        positions = (
            self._tensor("embeddings.position_embeddings.weight")
            + self._tensor("embeddings.token_type_embeddings.weight")[0]
        )
        length = op.gather(op.shape_of(ids, "i32"), _ints(1), _scalar(0))
        placed = op.slice(_floats(positions), _ints(0), length, _ints(1), _ints(0))
        return self._normalised(op.add(words, placed), "embeddings.LayerNorm")

    def _layer(self, hidden: ov.Node, padding: ov.Node, name: str) -> ov.Node:
        query, key, value = (
            self._heads(self._dense(hidden, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        attended = op.scaled_dot_product_attention(query, key, value, padding)
        merged = op.reshape(
            op.transpose(attended, _ints(0, 2, 1, 3)), _ints(0, 0, self.config.hidden_size), True
        )
        seen = self._normalised(
            op.add(self._dense(merged, f"{name}.attention.output.dense"), hidden),
            f"{name}.attention.output.LayerNorm",
        )
        widened = op.gelu(self._dense(seen, f"{name}.intermediate.dense"), "erf")
        return self._normalised(
            op.add(self._dense(widened, f"{name}.output.dense"), seen), f"{name}.output.LayerNorm"
        )

    def _heads(self, hidden: ov.Node) -> ov.Node:
        """(batch, heads, length, size of a head)."""
        heads = self.config.num_attention_heads
        shape = _ints(0, 0, heads, self.config.hidden_size // heads)
        return op.transpose(op.reshape(hidden, shape, True), _ints(0, 2, 1, 3))

    def _dense(self, hidden: ov.Node, name: str) -> ov.Node:
        product = op.matmul(hidden, _floats(self._tensor(f"{name}.weight")), False, True)
        return op.add(product, _floats(self._tensor(f"{name}.bias")))

    def _normalised(self, hidden: ov.Node, name: str) -> ov.Node:
        centred = op.mvn(hidden, _ints(-1), True, self.config.layer_norm_eps, "inside_sqrt")
        scaled = op.multiply(centred, _floats(self._tensor(f"{name}.weight")))
        return op.add(scaled, _floats(self._tensor(f"{name}.bias")))

    def _tensor(self, name: str) -> NDArray[Any]:
        return self.weights[name]
