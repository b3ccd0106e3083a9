"""Makes small random BERT encoders on disk, in the layout of sentence-transformers."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "mat",
    "over",
    "hill",
    "and",
    "then",
    "it",
    "rained",
    "all",
    "night",
    "long",
    ".",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN, LAYERS, HEADS, POSITIONS = 32, 2, 4, 64

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 4 * HIDDEN,
    "max_position_embeddings": POSITIONS,
    "vocab_size": len(SPECIAL) + len(WORDS),
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "pad_token_id": 0,
}


def encoder_folder(
    path: Path,
    *,
    pooling: Mapping[str, object] | None = None,
    modules: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"),
    config: Mapping[str, object] | None = None,
    max_tokens: int = 24,
    seed: int = 0,
) -> Path:
    """Write an encoder into `path`; `config` overrides single values of config.json."""
    (path / "1_Pooling").mkdir(parents=True)
    chosen = pooling or {"pooling_mode_mean_tokens": True}
    files = {
        "config.json": CONFIG | dict(config or {}),
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN, **chosen},
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
        "tokenizer_config.json": {
            "tokenizer_class": "BertTokenizer",
            "model_max_length": POSITIONS,
        },
        "modules.json": [
            {
                "idx": number,
                "name": str(number),
                "path": "" if kind == "Transformer" else f"{number}_{kind}",
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, kind in enumerate(modules)
        ],
    }
    for name, content in files.items():
        (path / name).write_text(json.dumps(content))
    _tokenizer().save(str(path / "tokenizer.json"))
    save_file(_weights(np.random.default_rng(seed)), path / "model.safetensors")
    return path


def _tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    def tensor(*shape: int, around: float = 0.0) -> np.ndarray:
        return (around + rng.normal(scale=0.3, size=shape)).astype(np.float32)

    tables = {"word": len(SPECIAL) + len(WORDS), "position": POSITIONS, "token_type": 2}
    weights = {
        f"embeddings.{name}_embeddings.weight": tensor(rows, HIDDEN)
        for name, rows in tables.items()
    }
    norms, products = ["embeddings.LayerNorm"], {}
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            products[f"{layer}.attention.{part}"] = (HIDDEN, HIDDEN)
        products[f"{layer}.intermediate.dense"] = (4 * HIDDEN, HIDDEN)
        products[f"{layer}.output.dense"] = (HIDDEN, 4 * HIDDEN)
    for name in norms:
        weights[f"{name}.weight"] = tensor(HIDDEN, around=1.0)
        weights[f"{name}.bias"] = tensor(HIDDEN)
    for name, shape in products.items():
        weights[f"{name}.weight"] = tensor(*shape)
        weights[f"{name}.bias"] = tensor(shape[0])
    return weights
