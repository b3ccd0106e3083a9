"""A model answers prompts by itself: the same ones for the same seed, each to its end."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput, TooFewSamples
from llm_engineering.domain.training import GenerateJob
from llm_engineering.recipes import generate as generating
from llm_engineering.recipes import places
from llm_engineering.recipes.bases import load_model, load_tokenizer
from llm_engineering.recipes.generate import generate
from llm_engineering.recipes.running import Run
from tests.integration.small_models import (
    CPU,
    QUIET,
    prompt,
    ran,
    skip_without_training,
    write_rows,
)

skip_without_training()
pytestmark = QUIET


@pytest.fixture
def folder(small_job: Path) -> Path:
    """Of a job: its base, its adapter, and prompts to answer."""
    write_rows(
        small_job / "data",
        {
            "train": [{"id": f"t{n}", "prompt": prompt(10**n)} for n in range(5)],
            "validation": [{"id": "v", "prompt": prompt(7)}],
            "test": [{"id": "x", "prompt": prompt(8)}],
        },
    )
    return small_job


def answers(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "output" / "answers.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def job(**given: Any) -> GenerateJob:
    return GenerateJob(**{"base": "base", "max_tokens": 12, "batch_size": 4, **given})


def test_the_prompts_of_all_splits_are_answered_in_order(folder: Path) -> None:
    result = ran(generate, job(), folder)

    found = answers(folder)
    assert [row["id"] for row in found] == ["t0", "t1", "t2", "t3", "t4", "v", "x"]
    assert all(set(row) == {"id", "text", "ended"} for row in found)
    assert result.throughput is not None
    assert result.throughput.tokens <= 7 * 12


def test_a_seed_gives_the_same_answers_and_another_one_others(folder: Path) -> None:
    told = []
    for seed in (1, 1, 2):
        ran(generate, job(seed=seed), folder)
        told.append(answers(folder))
        for kept in (folder / "checkpoints").iterdir():
            kept.unlink()

    assert told[0] == told[1] != told[2]


def test_the_adapter_changes_the_answers(folder: Path) -> None:
    ran(generate, job(temperature=0.0), folder)
    plain = answers(folder)
    result = ran(generate, job(temperature=0.0, adapter=Path("adapter")), folder)

    assert answers(folder) != plain
    assert result.adapter_sha256 is not None


def test_the_length_of_a_batch_changes_no_greedy_answer(folder: Path) -> None:
    """Padding on the left is not seen."""
    ran(generate, job(temperature=0.0), folder)
    together = answers(folder)
    ran(generate, job(temperature=0.0, batch_size=1), folder)

    assert answers(folder) == together


def test_an_answer_stops_at_the_end_of_its_turn(folder: Path) -> None:
    """The end is made the likeliest token by an output layer that says nothing else."""
    import torch

    tokenizer = load_tokenizer(str(folder / "base"))
    model: Any = load_model(str(folder / "base"), CPU)
    asked = generating.read_prompts(job(), _run(folder), tokenizer, window=128)
    ends = generating._ends(tokenizer, model)
    model.generation_config.eos_token_id = None
    fixed = iter([5, 6, *sorted(ends), 7, 8])

    def next_token(_: Any, scores: Any) -> Any:
        chosen = torch.full_like(scores, -1e9)
        chosen[:, next(fixed)] = 0
        return chosen

    model.generate = _with_processor(model.generate, next_token)
    (ids,) = generating.answer(job(), model, tokenizer, asked[:1], ends=ends, seed=0)
    assert ids == [5, 6, min(ends)]
    row = generating._row(tokenizer, asked[0], ids, ends)
    assert row["ended"] is True
    assert row["text"] == tokenizer.decode([5, 6])


def _with_processor(generate_: Any, process: Any) -> Any:
    from transformers import LogitsProcessorList

    return lambda **given: generate_(**given, logits_processor=LogitsProcessorList([process]))


def _run(folder: Path) -> Run:
    return Run(folder, folder / "output", folder / "checkpoints", events=io.StringIO())


def test_an_interrupted_run_gives_the_same_answers_and_asks_only_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(generate, job(batch_size=2), folder)
    whole = answers(folder)
    (kept,) = (folder / "checkpoints").iterdir()
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:2]) + lines[2][:9])
    (folder / "output" / "answers.jsonl").unlink()
    asked: list[str] = []
    real = generating.answer

    def counted(given: Any, model: Any, tokenizer: Any, batch: Any, **rest: Any) -> Any:
        asked.extend(each.id for each in batch)
        return real(given, model, tokenizer, batch, **rest)

    monkeypatch.setattr(generating, "answer", counted)
    ran(generate, job(batch_size=2), folder)

    assert answers(folder) == whole
    assert len(asked) == 7 - 2


def test_prompts_without_room_or_without_rows_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="no prompt leaves room for 100 more; lower max_tokens"):
        ran(generate, job(max_tokens=100), folder)
    write_rows(folder / "data", {"train": [], "validation": [], "test": []})
    with pytest.raises(TooFewSamples, match="holds no prompts"):
        ran(generate, job(), folder)


def test_a_base_that_does_not_fit_is_refused_before_its_weights_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "memory_mb", lambda device: 100.0)
    monkeypatch.setattr(generating, "load_model", None)

    says = r"'base' needs 0\.9 GiB and this machine has 0\.1 GiB .* lower batch_size or max_tokens"
    with pytest.raises(InvalidInput, match=says):
        ran(generate, job(adapter=Path("adapter")), folder)


def test_four_bits_are_asked_for_as_in_training(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="quantization '4bit' needs"):
        ran(generate, job(quantization="4bit"), folder)
