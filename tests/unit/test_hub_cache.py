"""A model of the hub is here when all of it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.recipes import bases
from llm_engineering.recipes.hub_cache import is_whole_in_cache

MODEL = "some/model"
CONFIGS = ("config.json", "tokenizer_config.json")
PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
Holds = Callable[..., None]


@pytest.fixture
def holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Holds:
    """Puts files into a cache that is laid out as the hub's library lays it out."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--some--model"
    snapshot = folder / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c0ffee")

    def put(*names: str, **contents: object) -> None:
        for name in names:
            (snapshot / name).write_text("{}")
        for name, content in contents.items():
            (snapshot / f"{name}.safetensors.index.json").write_text(json.dumps(content))

    return put


def test_weights_in_one_file_are_enough_with_what_is_read_first(holds: Holds) -> None:
    assert not is_whole_in_cache(MODEL)
    holds("model.safetensors")
    assert not is_whole_in_cache(MODEL)
    holds(*CONFIGS)
    assert is_whole_in_cache(MODEL)


def test_weights_in_several_files_are_there_when_the_last_of_them_is(holds: Holds) -> None:
    holds(*CONFIGS, model={"weight_map": dict(zip("abc", (*PARTS, PARTS[0]), strict=True))})
    assert not is_whole_in_cache(MODEL)
    holds(PARTS[0])
    assert not is_whole_in_cache(MODEL)
    holds(PARTS[1])
    assert is_whole_in_cache(MODEL)


def test_an_index_that_cannot_be_read_names_nothing(holds: Holds) -> None:
    holds(*CONFIGS, *PARTS, "model.safetensors.index.json")
    assert not is_whole_in_cache(MODEL)


def test_a_part_of_a_model_without_a_hub_is_told_before_it_is_loaded(
    holds: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration alone would have let loading ask a hub that is not there."""
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    holds(*CONFIGS)
    with pytest.raises(BackendUnavailable, match="is not here and the hub cannot be reached"):
        bases.load_tokenizer(MODEL)
