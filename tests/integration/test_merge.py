"""A merged model says what base and adapter say."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput, TrainingFailed
from llm_engineering.domain.training import MergeJob
from llm_engineering.recipes import merge as merging
from llm_engineering.recipes.adapters import with_adapter
from llm_engineering.recipes.bases import is_nano, load_model, load_tokenizer
from llm_engineering.recipes.merge import merge
from tests.integration.small_models import (
    CPU,
    prompt,
    ran,
    small_adapter,
    small_base,
)

for package in ("torch", "trl", "peft", "datasets", "accelerate"):
    pytest.importorskip(package)

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:transformers", "ignore::FutureWarning:peft"
)
"""peft asks transformers by names that it will drop."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `base` and `adapter`; the adapter changes what the base says."""
    folder = tmp_path_factory.mktemp("small")
    small_adapter(folder / "adapter", small_base(folder / "base"), strength=0.2)
    return folder


@pytest.fixture
def folder(tmp_path: Path, small: Path) -> Path:
    """Of a job: its base and its adapter."""
    for name in ("base", "adapter"):
        (tmp_path / name).symlink_to(small / name)
    return tmp_path


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


def test_a_model_that_predicts_something_else_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(merging.CLOSE, "float32", 0.0)

    with pytest.raises(TrainingFailed, match="predicts something else than base and adapter"):
        ran(merge, MergeJob(base="base"), folder)
    assert not (folder / "output" / "model").exists()


def test_an_adapter_that_is_missing_or_of_another_base_is_one_line(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"holds no adapter_model\.safetensors"):
        ran(merge, MergeJob(base="base", adapter=Path("empty")), folder)
    small_base(folder / "wider", width=64)
    with pytest.raises(InvalidInput, match="does not fit its base") as refused:
        ran(merge, MergeJob(base="wider"), folder)
    assert "\n" not in str(refused.value)
