"""How fast the transformers engine answers eight at once beside one after the other.

    python -m tools.bench_engines [--answers 8] [--tokens 64] [--rounds 3]

Models with random weights, an adapter on each, the same prompts, greedy, in this process: every
answer comes from `generate` of transformers, one after the other and with the adapter folded into
the base, which is the fastest it can be; then from the engine at once, with the adapter beside the
base; in turns, and the median of each is told with their ratio. `generate_batch`, transformers' own
continuous batching, is told where it runs.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.chat import ChatRequest, Completion, Message, Role, Sampling
from llm_engineering.domain.models import ModelManifest
from llm_engineering.domain.training import DeviceUse, JobResult, LoraRule, PretrainNanoJob
from llm_engineering.recipes.adapters import WEIGHTS, with_lora
from llm_engineering.recipes.bases import load_model, load_tokenizer
from llm_engineering.recipes.checkpoints import file_digest
from llm_engineering.recipes.devices import detect_device
from llm_engineering.recipes.pretrain_nano import new_model, train_tokenizer
from llm_engineering.recipes.turns import rendered_prompt
from llm_engineering.settings import Settings, TransformersSettings

SHAPES = {
    "5M": PretrainNanoJob(vocabulary=4_096, layers=4, width=256, heads=4),
    "100M": PretrainNanoJob(vocabulary=16_384, layers=12, width=768, heads=12),
}
WORDS = ("note", "SQLite", "plugin", "today", "I", "wrote", "a", "query", "and", "it", "works", "—")
PROMPT_WORDS = 150


@dataclass(frozen=True)
class Batching:
    """Tokens per second of answers, prompts included in the time; medians of the rounds."""

    model: str
    device: str
    answers: int
    engine: float
    sequential: float
    generate_batch: float | None

    @property
    def ratio(self) -> float:
        return self.engine / self.sequential

    def __str__(self) -> str:
        own = "does not run" if self.generate_batch is None else f"{self.generate_batch:,.0f}"
        return (
            f"{self.model}, {self.device}: generate, one after the other {self.sequential:,.0f}; "
            f"transformers engine, {self.answers} at once {self.engine:,.0f} tokens/s; "
            f"ratio {self.ratio:.2f} (generate_batch {own})"
        )


def main(arguments: Sequence[str]) -> int:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="tools.bench_engines", description=__doc__)
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    named = parser.parse_args(list(arguments))
    for model in SHAPES:
        print(batching(model, answers=named.answers, tokens=named.tokens, rounds=named.rounds))
    return 0


def batching(model: str, *, answers: int = 8, tokens: int = 64, rounds: int = 3) -> Batching:
    """Of one of SHAPES; raises MissingExtra."""
    device = detect_device()
    requests = [_request(number, tokens) for number in range(answers)]
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as scratch:
        base, adapter = _made(SHAPES[model], Path(scratch) / "made")
        chat = TransformersSettings(kind="transformers", rows=answers)
        with open_app(Settings(home=Path(scratch) / "home", chat=chat)) as app:
            _promote(app, base, adapter)
            folded = _folded(base, adapter, device)
            own = partial(_generate_batch, folded, base, requests)
            _sequential(folded, base, requests[:1])  # the first is never as fast
            _engine(app, requests)
            found = [
                (_sequential(folded, base, requests), _engine(app, requests), _or_none(own))
                for _ in range(rounds)
            ]
    batches = [each[2] for each in found if each[2] is not None]
    return Batching(
        model=model,
        device=f"{device.name} {device.precision}",
        answers=answers,
        sequential=statistics.median(each[0] for each in found),
        engine=statistics.median(each[1] for each in found),
        generate_batch=statistics.median(batches) if batches else None,
    )


def _request(number: int, tokens: int) -> ChatRequest:
    words = " ".join(WORDS[(number + n * n) % len(WORDS)] for n in range(PROMPT_WORDS))
    return ChatRequest(
        messages=(Message(role=Role.USER, content=words),),
        question=words,
        max_tokens=tokens,
        sampling=Sampling(temperature=0),
    )


def _made(shape: PretrainNanoJob, folder: Path) -> tuple[Path, Path]:
    """Folders of a base with random weights and of an adapter on it that changes something."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    tokenizer = train_tokenizer([" ".join(WORDS)] * 8, vocabulary=512, context=shape.context)
    model: Any = new_model(shape, tokenizer)
    model.resize_token_embeddings(shape.vocabulary, mean_resizing=False)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    adapted = with_lora(model, LoraRule(), seed=0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    adapted.save_pretrained(str(folder / "adapter"))
    return folder / "base", folder / "adapter"


def _promote(app: App, base: Path, adapter: Path) -> None:
    digest = file_digest(adapter / WEIGHTS)
    device = DeviceUse(name="cpu", precision="float32", reason="random weights")
    manifest = ModelManifest(
        version=f"sft-{digest[:12]}",
        created_at=datetime.now(UTC),
        author="nobody",
        base=str(base),
        nano=True,
        adapter_sha256=digest,
        dataset="",
        document_ids=(),
        config={},
        result=JobResult(recipe="sft", base=str(base), nano=True, device=device),
    )
    app.models.add(manifest, adapter=adapter)
    app.models.promote(manifest.version, reason="to be measured", instead_of=None)


def _folded(base: Path, adapter: Path, device: DeviceUse) -> Any:
    from peft import PeftModel

    model: Any = PeftModel.from_pretrained(load_model(str(base), device), str(adapter))
    return model.merge_and_unload().eval()


def _prompts(base: Path, requests: Sequence[ChatRequest]) -> list[list[int]]:
    from llm_engineering.recipes.rows import Turn

    tokenizer: Any = load_tokenizer(str(base))
    turns = [[Turn(role="user", content=each.question)] for each in requests]
    texts = [rendered_prompt(tokenizer, each) for each in turns]
    return [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


def _sequential(model: Any, base: Path, requests: Sequence[ChatRequest]) -> float:
    import torch

    prompts = [torch.tensor([ids], device=model.device) for ids in _prompts(base, requests)]
    began, said = time.perf_counter(), 0
    with torch.inference_mode():
        for ids, request in zip(prompts, requests, strict=True):
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.max_tokens,
                do_sample=False,
                use_cache=True,
            )
            said += out.shape[1] - ids.shape[1]
    return said / (time.perf_counter() - began)


def _engine(app: App, requests: Sequence[ChatRequest]) -> float:
    async def ask(request: ChatRequest) -> Completion:
        last = [piece async for piece in app.chat.stream(request)][-1]
        assert isinstance(last, Completion)
        return last

    async def ask_all() -> list[Completion]:
        return list(await asyncio.gather(*map(ask, requests)))

    began = time.perf_counter()
    said = sum(each.usage.completion_tokens for each in asyncio.run(ask_all()))
    return said / (time.perf_counter() - began)


def _generate_batch(model: Any, base: Path, requests: Sequence[ChatRequest]) -> float:
    from transformers import ContinuousBatchingConfig, GenerationConfig

    rule = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=requests[0].max_tokens,
        do_sample=False,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id,
    )
    room = ContinuousBatchingConfig(
        num_blocks=8 * len(requests), page_size=64, max_batch_tokens=256, use_cuda_graph=False
    )
    prompts = _prompts(base, requests)
    began = time.perf_counter()
    found = model.generate_batch(
        prompts, generation_config=rule, continuous_batching_config=room, progress_bar=False
    )
    said = sum(len(each.generated_tokens) for each in found.values())
    return said / (time.perf_counter() - began)


def _or_none(measure: Callable[[], float]) -> float | None:
    """None where this build of transformers cannot; it is only told beside the others."""
    try:
        return measure()
    except (RuntimeError, ValueError, TypeError, ImportError):
        return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
