"""How many processes run a recipe."""

import os

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.recipes import launching
from llm_engineering.recipes.launching import processes_for, processes_here


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "ACCELERATE_USE_FSDP", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("recipe", "devices", "count", "reason"),
    [
        ("sft", 0, 1, "no CUDA device"),
        ("sft", 1, 1, "one CUDA device"),
        ("sft", 4, 4, "one for each of 4 CUDA devices"),
        ("dpo", 2, 2, "one for each of 2 CUDA devices"),
        ("generate", 4, 1, "generate uses one of 4 CUDA devices"),
    ],
)
def test_there_is_a_process_for_each_device_that_a_recipe_can_use(
    recipe: str, devices: int, count: int, reason: str
) -> None:
    found = processes_for(recipe, devices=devices)
    assert (found.count, found.reason, found.running) == (count, reason, False)


def test_those_that_were_launched_are_as_many_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_cuda_devices", lambda: 8)
    assert processes_here("sft").count == 8
    monkeypatch.setenv("WORLD_SIZE", "3")
    found = processes_here("sft")
    assert (found.count, found.running) == (3, True)


@pytest.mark.parametrize(("seen", "left"), [(None, "0"), ("2,5", "2"), ("", "")])
def test_one_that_was_launched_alone_sees_one_device(
    monkeypatch: pytest.MonkeyPatch, seen: str | None, left: str
) -> None:
    """transformers' trainer would copy the model to all that it sees."""
    monkeypatch.setenv("WORLD_SIZE", "1")
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert processes_here("sft").count == 1
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left


def test_accelerate_is_not_to_cut_up_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InvalidInput, match=r"launch with configs/accelerate/gpus\.yaml"):
        processes_here("sft")
