"""Models of several families say in a batch what they say alone."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llm_engineering.domain.chat import Completion
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse
from llm_engineering.infrastructure.decoding import row_batch
from llm_engineering.infrastructure.decoding.generation_thread import GenerationThread
from llm_engineering.infrastructure.decoding.local_base import LocalBase, load_base
from llm_engineering.infrastructure.decoding.rows import Piece, Row
from llm_engineering.infrastructure.decoding.served_versions import Served
from llm_engineering.infrastructure.decoding.token_choice import Choice
from tests.chat_bases import tokenizer_of

CPU = DeviceUse(name="cpu", precision="float32", reason="for tests")
TOKENS = 20
SIZES: dict[str, Any] = {
    "vocab_size": 416,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
NEAR = {"sliding_window": 8}
MIXED = ["sliding_attention", "full_attention"] * 2
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama with shared keys": ("Llama", {}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 8}),
    "mistral that looks back 8 tokens": ("Mistral", NEAR),
    "gemma3, every other layer looking back 8": (
        "Gemma3",
        {"head_dim": 8, "layer_types": MIXED, "rope_scaling": None, **NEAR},
    ),
    "phi3": ("Phi3", {"pad_token_id": 0}),
}


def base_of(family: str, folder: Path) -> LocalBase:
    name, more = FAMILIES[family]
    text = f"{name}Text" if name == "Gemma3" else name
    config = getattr(transformers, f"{text}Config")(
        **SIZES, **more, bos_token_id=None, eos_token_id=1
    )
    torch.manual_seed(3)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    for weight in model.parameters():
        weight.data *= 3  # random models repeat themselves; sharper ones less
    model.generation_config.eos_token_id = [1]
    model.save_pretrained(folder)
    tokenizer_of("qwen2_5").save_pretrained(folder)
    return load_base(str(folder), CPU)


def prompts() -> list[list[int]]:
    draw = torch.Generator().manual_seed(5)
    lengths = (3, 40, 1, 17, 9, 26)
    return [torch.randint(260, 400, (n,), generator=draw).tolist() for n in lengths]


def alone(base: LocalBase, prompt: list[int]) -> list[int]:
    """What transformers generates."""
    model: Any = base._model
    base._adapted.choose([None])
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=TOKENS,
            do_sample=False,
            use_cache=True,
            eos_token_id=sorted(base.ends),
            pad_token_id=0,
        )
    found: list[int] = out[0, len(prompt) :].tolist()
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_batch_say_what_they_say_alone(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(row_batch.PROMPT_TOKENS, "cpu", 12)
    base = base_of(family, tmp_path)
    expected = [alone(base, prompt) for prompt in prompts()]
    rows = asyncio.run(answered(base, prompts()))
    said = [row.tokens[len(prompt) :] for row, prompt in zip(rows, prompts(), strict=True)]
    assert said == expected
    assert len({tuple(each) for each in said}) > 3


async def answered(base: LocalBase, asked: list[list[int]]) -> list[Row]:
    """Rows that were computed together, four at once."""
    thread = GenerationThread(rows=4, threads=1)
    loop = asyncio.get_running_loop()
    done = [loop.create_future() for _ in asked]
    rows = []
    for prompt, future in zip(asked, done, strict=True):

        def tell(piece: Piece, future: "asyncio.Future[Piece]" = future) -> None:
            if isinstance(piece, Completion | Exception):
                loop.call_soon_threadsafe(future.set_result, piece)

        row = Row(
            prompt,
            limit=TOKENS,
            choice=Choice(0.0, 1.0, 0, np.random.default_rng(0)),
            stop=(),
            served=Served("test", base, None),
            tell=tell,
        )
        rows.append(row)
        thread.submit(row)
    ends = await asyncio.gather(*done)
    thread.close()
    assert all(isinstance(end, Completion) for end in ends), ends
    return rows


def test_layers_without_keys_are_refused_with_the_way_out(tmp_path: Path) -> None:
    config = transformers.Qwen3NextConfig(
        **SIZES, head_dim=8, num_experts=2, layer_types=["linear_attention", "full_attention"] * 2
    )
    model: Any = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    model.config = config  # its layers are asked for by their names alone
    with pytest.raises(InvalidInput, match=r"does not batch \(linear_attention\); serve it with"):
        LocalBase("hybrid", tokenizer=tokenizer_of("qwen2_5"), model=model, device=CPU)
