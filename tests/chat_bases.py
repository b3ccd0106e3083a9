"""Tokenizers of three families with their models' own chat templates, and tiny bases to train.

Templates that TRL ships are read from there, as their models publish them; the others are written
here, as theirs do.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from llm_engineering.domain.training import PretrainNanoJob
from llm_engineering.recipes.pretrain_nano import new_model, train_tokenizer

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != "
    "(loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate "
    "user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant "
    "roles are supported!') }}{% endif %}{% endfor %}"
)
SPECIAL = {
    "qwen2_5": ("<|endoftext|>", "<|im_end|>", "<|im_start|>"),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    "gemma3": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "gemma": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "qwen3": ("<|endoftext|>", "<|im_end|>", "<|im_start|>"),
    "smollm2": ("<|endoftext|>", "<|im_end|>", "<|im_start|>"),
    "mistral": ("<s>", "</s>"),
}
"""First the token that begins a text, then the one that ends it, then others."""
ENDS = {
    "qwen2_5": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "gemma3": "<end_of_turn>",
    "qwen3": "<|im_end|>",
}
"""What ends an answer."""

SENTENCES = (
    "I wrote a plugin for this today.",
    "The trick is to use a trigger!",
    "Here's how I did it, in full:",
    "It turns out SQLite can't do that.",
    "“Quotes” — and dashes – survive.",
    "I don't know why it works, but it does.",
)


def template(family: str) -> str:
    own = {"smollm2": SMOLLM2, "mistral": MISTRAL}
    if family in own:
        return own[family]
    return (resources.files("trl") / "chat_templates" / f"{family}.jinja").read_text("utf-8")


def tokenizer_of(family: str) -> Any:
    """Byte-level BPE with the family's special tokens and template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    begin, end, *others = SPECIAL[family]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        SENTENCES * 3,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=list(SPECIAL[family]),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token=begin,
        eos_token=end,
        additional_special_tokens=others,
        chat_template=template(family),
        name_or_path=family,
    )


def tiny_base(folder: Path, *, width: int = 32) -> Path:
    """A Llama of two layers with the project's own tokenizer and template; f32, random."""
    import torch

    torch.manual_seed(1)
    job = PretrainNanoJob(vocabulary=400, width=width, layers=2, heads=2, context=256)
    tokenizer = train_tokenizer(SENTENCES * 3, vocabulary=job.vocabulary, context=job.context)
    new_model(job, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def row(number: int, *, sentences: int = 1) -> dict[str, Any]:
    """An sft row; the same number gives the same row."""
    said = " ".join(SENTENCES[(number + n) % len(SENTENCES)] for n in range(sentences))
    return {
        "id": f"row {number}",
        "prompt": [
            {"role": "system", "content": "You are the writing twin of Ada."},
            {"role": "user", "content": f"Write note {number % 7}."},
        ],
        "completion": [{"role": "assistant", "content": said}],
    }


def write_rows(data: Path, split: str, rows: Sequence[dict[str, Any]]) -> None:
    data.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(found) + "\n" for found in rows)
    (data / f"{split}.jsonl").write_text(text, encoding="utf-8")


def sft_folder(folder: Path, *, train: int = 48, **job: Any) -> Path:
    """A job's folder with a tiny base; `job` overrides what the job says."""
    tiny_base(folder / "base")
    write_rows(folder / "data", "train", [row(n, sentences=1 + n % 4) for n in range(train)])
    write_rows(folder / "data", "validation", [row(n, sentences=2) for n in range(5)])
    write_rows(folder / "data", "test", [row(n, sentences=2) for n in range(5, 9)])
    write_job(folder, **job)
    return folder


def write_job(folder: Path, **job: Any) -> None:
    said = {"recipe": "sft", "base": "base", "lora": {"rank": 4, "alpha": 8}, **job}
    (folder / "job.json").write_text(json.dumps(said), encoding="utf-8")
