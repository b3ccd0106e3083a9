"""A merged model says what base and adapter say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput, TrainingFailed
from llm_engineering.domain.templates import rendered
from llm_engineering.domain.training import MergeJob
from llm_engineering.recipes import merge as merging
from llm_engineering.recipes import places
from llm_engineering.recipes.adapters import with_adapter
from llm_engineering.recipes.bases import is_nano, load_model, load_tokenizer
from llm_engineering.recipes.merge import merge
from tests.chat_bases import template
from tests.integration.small_models import (
    CPU,
    QUIET,
    prompt,
    ran,
    skip_without_training,
    small_base,
)

skip_without_training()
pytestmark = QUIET


@pytest.fixture
def folder(small_job: Path) -> Path:
    return small_job


def logits(model: Any, text: str, tokenizer: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(**tokenizer(text, return_tensors="pt")).logits


def test_the_merged_model_predicts_what_base_and_adapter_predict(folder: Path) -> None:
    import torch

    result = ran(merge, MergeJob(base="base"), folder)

    assert (result.device.precision, result.nano) == ("float32", True)
    tokenizer = load_tokenizer(str(folder / "output" / "model"))
    base = load_model(str(folder / "base"), CPU)
    texts: list[Any] = [
        tokenizer.apply_chat_template(prompt(n), tokenize=False, add_generation_prompt=True)
        for n in range(3)
    ]
    plain = [logits(base, text, tokenizer) for text in texts]
    adapted = with_adapter(base, folder / "adapter", trainable=False)
    merged = load_model(str(folder / "output" / "model"), CPU)
    for text, without in zip(texts, plain, strict=True):
        expected, found = (logits(model, text, tokenizer) for model in (adapted, merged))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        assert (expected - without).norm() > 0.1 * without.norm()


def test_tokenizer_chat_template_and_mark_come_along(folder: Path) -> None:
    ran(merge, MergeJob(base="base"), folder)

    model = folder / "output" / "model"
    before, after = (load_tokenizer(str(each)) for each in (folder / "base", model))
    assert after.chat_template == before.chat_template
    assert after.get_vocab() == before.get_vocab()
    assert is_nano(str(model))
    config = json.loads((model / "config.json").read_text())
    assert config["use_cache"] is True
    assert sorted(path.name for path in (folder / "output").iterdir()) == [
        "metrics.jsonl",
        "model",
    ]


def test_a_merged_model_that_can_think_does_not_unless_it_is_told_to(folder: Path) -> None:
    """Whoever serves it need not know that it was trained without thoughts."""
    base = folder / "thinking"
    shutil.copytree(folder / "base", base)
    tokenizer: Any = load_tokenizer(str(base))
    tokenizer.chat_template = template("qwen3")
    tokenizer.save_pretrained(base)

    ran(merge, MergeJob(base="thinking"), folder)

    merged: Any = load_tokenizer(str(folder / "output" / "model"))
    asked = merged.apply_chat_template(prompt(1), tokenize=False, add_generation_prompt=True)
    assert asked == rendered(tokenizer, prompt(1), answer_next=True)
    assert asked.endswith("</think>\n\n")


def test_a_base_that_does_not_fit_is_refused_before_its_weights_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "memory_mb", lambda device: 100.0)
    monkeypatch.setattr(merging, "load_model", None)

    with pytest.raises(InvalidInput, match=r"'base' needs 0\.9 GiB and this machine has 0\.1 GiB"):
        ran(merge, MergeJob(base="base"), folder)


def test_a_model_that_predicts_something_else_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(merging.CLOSE, "float32", 0.0)

    with pytest.raises(TrainingFailed, match="predicts something else than base and adapter"):
        ran(merge, MergeJob(base="base"), folder)
    assert not (folder / "output" / "model").exists()


def test_an_adapter_that_is_missing_or_of_another_base_is_one_line(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no adapter; name the folder of one"):
        ran(merge, MergeJob(base="base", adapter=Path("empty")), folder)
    small_base(folder / "wider", width=64)
    with pytest.raises(InvalidInput, match="does not fit its base") as refused:
        ran(merge, MergeJob(base="wider"), folder)
    assert "\n" not in str(refused.value)
