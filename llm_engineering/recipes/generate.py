"""A model's own answers to prompts, e.g. what it should rather not have said.

    python -m llm_engineering.recipes.generate FOLDER/job.json --output DIR --checkpoints DIR

Prompts of similar length share a batch and each batch has a seed of its own, so that a job gives
the same answers whether or not it was interrupted. `answers.jsonl` appears when all are there, in
the order of the prompts.

Does not know: what the answers are for.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.errors import InvalidInput, TooFewSamples
from llm_engineering.domain.training import ANSWERS, DeviceUse, GenerateJob, JobResult, Throughput
from llm_engineering.recipes import rows as data
from llm_engineering.recipes.adapters import WEIGHTS, rule_of, with_adapter
from llm_engineering.recipes.bases import is_nano, load_config, load_model, load_tokenizer, locate
from llm_engineering.recipes.checkpoints import digest_of_job, file_digest
from llm_engineering.recipes.devices import detect_device, peak_memory_mb
from llm_engineering.recipes.estimates import shape_of
from llm_engineering.recipes.fits import fit_answering
from llm_engineering.recipes.places import room_here
from llm_engineering.recipes.rows import Answer
from llm_engineering.recipes.running import Run, run_recipe, versions, write_whole
from llm_engineering.recipes.turns import rendered_prompt, stop_ids, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A prompt as the model reads it."""

    id: str
    ids: tuple[int, ...]


def generate(job: GenerateJob, run: Run) -> JobResult:
    """Raises InvalidInput for a prompt without room for an answer and for a base that does not fit,
    TooFewSamples for no prompts."""
    device = detect_device()
    _LOG.info("%s in %s: %s", device.name, device.precision, device.reason)
    base = locate(job.base, run.folder)
    tokenizer = load_tokenizer(base)
    config = load_config(base)
    asked = read_prompts(job, run, tokenizer, window=window_of(config))
    model = _model(job, run, base, device, longest=max(len(each.ids) for each in asked))
    started = time.perf_counter()
    tokens, padding, told = answer_all(job, run, model, tokenizer, asked)
    seconds = max(time.perf_counter() - started, 1e-9)
    if cut_off := sum(not told[each.id]["ended"] for each in asked):
        _LOG.info("%d of %d answers were cut off at %d tokens", cut_off, len(asked), job.max_tokens)
    lines = [json.dumps(told[each.id], ensure_ascii=False) for each in asked]
    write_whole(run.output / ANSWERS, "".join(f"{line}\n" for line in lines))
    return JobResult(
        recipe="generate",
        base=job.base,
        nano=is_nano(base),
        device=device,
        adapter_sha256=file_digest(run.folder / job.adapter / WEIGHTS) if job.adapter else None,
        throughput=Throughput(
            steps=len(asked),
            tokens=tokens,
            padding_share=padding / max(tokens + padding, 1),
            seconds=seconds,
            tokens_per_s=tokens / seconds,
            peak_memory_mb=peak_memory_mb(device),
        ),
        versions=versions(),
        seconds=time.monotonic() - run.started,
    )


def _model(job: GenerateJob, run: Run, base: str, device: DeviceUse, *, longest: int) -> Any:
    """The base with the adapter, if there is one. Raises InvalidInput where they do not fit."""
    adapter = None if job.adapter is None else run.folder / job.adapter
    lora = None if adapter is None else rule_of(adapter)
    fit_answering(job, shape_of(load_config(base)), lora, room_here(device), longest=longest)
    model = load_model(base, device, four_bit=job.quantization == "4bit")
    return model if adapter is None else with_adapter(model, adapter, trainable=False)


def window_of(config: Any) -> int:
    """Tokens that the model reads at once, prompt and answer together."""
    return int(config.get_text_config().max_position_embeddings)


def read_prompts(
    job: GenerateJob, run: Run, tokenizer: "PreTrainedTokenizerBase", *, window: int
) -> tuple[Asked, ...]:
    """Of all splits; what leaves no room for an answer is left out, and said."""
    folder = run.folder / job.data
    rows = [
        row
        for split in (data.TRAIN, data.VALIDATION, data.TEST)
        for row in data.read_rows(folder, split, data.PromptRow)
    ]
    if not rows:
        raise TooFewSamples(f"{folder} holds no prompts; export a sample set anew")
    asked, too_long = [], 0
    for row in rows:
        text = rendered_prompt(tokenizer, row.prompt)
        ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) + job.max_tokens > window:
            too_long += 1
            continue
        asked.append(Asked(row.id, tuple(ids)))
    if too_long:
        _LOG.info(
            "%d of %d prompts leave no room for %d more tokens", too_long, len(rows), job.max_tokens
        )
    if not asked:
        raise InvalidInput(
            f"the model reads {window} tokens, and no prompt leaves room for {job.max_tokens} "
            "more; lower max_tokens or shorten the prompts"
        )
    if len({each.id for each in asked}) < len(asked):
        raise InvalidInput(f"{folder}: two prompts have one id; export the data anew")
    return tuple(asked)


def answer_all(
    job: GenerateJob,
    run: Run,
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    asked: Sequence[Asked],
) -> tuple[int, int, dict[str, dict[str, Any]]]:
    """Tokens and padding of this run; answers by id, those of an interrupted one included."""
    kept = run.checkpoints / f"{digest_of_job(job, run.folder / job.data)[:16]}.jsonl"
    told = {row["id"]: row for row in _whole_lines(kept)}
    ends = _ends(tokenizer, model)
    order = sorted(asked, key=lambda each: (-len(each.ids), each.id))
    tokens = padding = 0
    with kept.open("a", encoding="utf-8") as out:
        for number, start in enumerate(range(0, len(order), job.batch_size)):
            batch = order[start : start + job.batch_size]
            if any(each.id not in told for each in batch):
                began = time.perf_counter()
                answers = answer(job, model, tokenizer, batch, ends=ends, seed=job.seed + number)
                took = time.perf_counter() - began
                fresh = [_row(tokenizer, a, b, ends) for a, b in zip(batch, answers, strict=True)]
                told |= {row["id"]: row for row in fresh}
                out.write("".join(f"{json.dumps(row)}\n" for row in fresh))
                out.flush()
                said = sum(map(len, answers))
                tokens += said
                padding += max(map(len, answers)) * len(answers) - said
                run.tell("generate", start + len(batch), len(order), tokens_per_s=said / took)
    return tokens, padding, told


def answer(
    job: GenerateJob,
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    batch: Sequence[Asked],
    *,
    ends: frozenset[int],
    seed: int,
) -> list[list[int]]:
    """Tokens of each answer, up to the one that ends it; prompts are padded on the left."""
    import torch
    from transformers import GenerationConfig

    longest = max(len(each.ids) for each in batch)
    ids = torch.full((len(batch), longest), int(tokenizer.pad_token_id))
    mask = torch.zeros_like(ids)
    for row, each in enumerate(batch):
        ids[row, longest - len(each.ids) :] = torch.tensor(each.ids)
        mask[row, longest - len(each.ids) :] = 1
    sampling = {"do_sample": True, "temperature": job.temperature, "top_k": 0, "top_p": 1.0}
    rule = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=job.max_tokens,
        eos_token_id=sorted(ends),
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,
        **(sampling if job.temperature else {"do_sample": False}),
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        found = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=rule,
        )
    return [_until(row, ends) for row in found[:, longest:].tolist()]


def _until(ids: list[int], ends: frozenset[int]) -> list[int]:
    """With the token that ends it, without what pads the batch."""
    last = next((place for place, token in enumerate(ids) if token in ends), len(ids) - 1)
    return ids[: last + 1]


def _ends(tokenizer: "PreTrainedTokenizerBase", model: Any) -> frozenset[int]:
    """What ends an answer in this template, as it was trained, and what the model says ends it."""
    asked = data.Turn(role="user", content="?")
    trained = tokenize(tokenizer, [asked], Answer(role="assistant", content="!")).ids[-1]
    own: Any = model.generation_config.eos_token_id
    known = {trained, *(own if isinstance(own, list) else [own])} - {None}
    assert trained in stop_ids(tokenizer)
    return frozenset(known)


def _row(
    tokenizer: "PreTrainedTokenizerBase", asked: Asked, ids: list[int], ends: frozenset[int]
) -> dict[str, Any]:
    text: Any = tokenizer.decode(ids, skip_special_tokens=True)
    return {"id": asked.id, "text": text, "ended": ids[-1] in ends}


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """What an earlier process had written before it was ended; its last line may be a part."""
    if not path.exists():
        return
    whole = [line for line in path.read_text("utf-8").splitlines(keepends=True) if "\n" in line]
    path.write_text("".join(whole), encoding="utf-8")
    for line in whole:
        found: dict[str, Any] = json.loads(line)
        yield found


if __name__ == "__main__":
    raise SystemExit(run_recipe(generate, GenerateJob, sys.argv[1:]))
