"""Which versions a vLLM server can hold as they are, and what becomes of the others."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.domain.training import MODEL, MergeJob
from llm_engineering.infrastructure.served_models import (
    Served,
    ServedModels,
    is_plain,
    rank_of,
)
from tests.vllm_homes import TwinHome, twin_home

EMBEDDINGS: Mapping[str, Any] = {"modules_to_save": ["embed_tokens"]}


@pytest.fixture
def twin(tmp_path: Path) -> TwinHome:
    return twin_home(tmp_path)


def models_of(twin: TwinHome, merge: Any = None) -> ServedModels:
    return ServedModels(twin.registry, home=twin.home, folder=twin.home / "serving", merge=merge)


class Merging:
    """Leaves a model, and counts."""

    def __init__(self) -> None:
        self.jobs: list[MergeJob] = []

    def __call__(self, job: MergeJob, folder: Path) -> None:
        self.jobs.append(job)
        (folder / MODEL).mkdir()
        (folder / MODEL / "config.json").write_text("{}")


def test_an_adapter_is_served_beside_its_base(twin: TwinHome) -> None:
    version = twin.promote(twin.version(1, r=4))
    found = models_of(twin).wanted()
    assert found == Served(
        version=version,
        base=str(twin.folder / "base"),
        adapter=twin.registry.adapter(version).resolve(),
        rank=4,
        room=4,
    )


def test_there_is_room_for_every_version_of_the_base(twin: TwinHome) -> None:
    twin.promote(twin.version(1, r=4))
    twin.version(2, r=32)
    twin.version(3, r=64, base="another")
    twin.version(4, r=128, **EMBEDDINGS)
    assert models_of(twin).wanted().room == 32


def test_a_nanos_base_lies_below_the_home(twin: TwinHome) -> None:
    kept = twin.home / "models" / "bases" / "0a1b"
    kept.mkdir(parents=True)
    number = twin.version(1)
    found = twin.registry.get(number).manifest
    manifest = twin.home / "models" / number / "manifest.json"
    manifest.write_text(found.model_copy(update={"base": "models/bases/0a1b"}).model_dump_json())
    twin.promote(number)
    assert models_of(twin).wanted().base == str(kept)


@pytest.mark.parametrize(
    "config",
    [
        EMBEDDINGS,
        {"use_dora": True},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"trainable_token_indices": {"embed_tokens": [1]}},
    ],
    ids=lambda config: next(iter(config)),
)
def test_what_vllm_does_not_load_is_merged(config: Mapping[str, Any]) -> None:
    assert not is_plain({"r": 4, **config})


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva"])
def test_how_the_matrices_began_does_not_matter(start: object) -> None:
    assert is_plain({"r": 4, "init_lora_weights": start, "modules_to_save": None})


def test_the_rank_is_the_highest_of_any_module() -> None:
    assert rank_of({"r": 4, "rank_pattern": {"q_proj": 16, "k_proj": 2}}) == 16


def test_a_model_is_merged_once_whoever_asks_at_the_same_time(twin: TwinHome) -> None:
    version = twin.promote(twin.version(1, **EMBEDDINGS))
    merging = Merging()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: models_of(twin, merging).wanted(), range(8)))

    kept = twin.home / "serving" / version.rpartition("-")[2]
    assert {each.base for each in found} == {str(kept)}
    assert len(merging.jobs) == 1
    assert found[0].adapter is None


def test_two_merged_models_are_kept_and_older_ones_are_not(twin: TwinHome) -> None:
    merging = Merging()
    versions = [twin.version(number, **EMBEDDINGS) for number in range(3)]
    for version in versions:
        twin.promote(version)
        models_of(twin, merging).wanted()

    kept = {path.name for path in (twin.home / "serving").iterdir() if path.is_dir()}
    assert kept == {version.rpartition("-")[2] for version in versions[1:]}


def test_a_merge_that_fails_leaves_nothing_that_is_taken_for_a_model(twin: TwinHome) -> None:
    twin.promote(twin.version(1, **EMBEDDINGS))

    def fails(job: MergeJob, folder: Path) -> None:
        (folder / MODEL).mkdir()
        raise BackendUnavailable("cannot merge")

    with pytest.raises(BackendUnavailable, match="cannot merge"):
        models_of(twin, fails).wanted()
    merging = Merging()
    models_of(twin, merging).wanted()
    assert len(merging.jobs) == 1


def test_why_a_merge_failed_is_told_in_its_own_words(twin: TwinHome) -> None:
    """The recipe's process really runs: its base is no model."""
    pytest.importorskip("peft")
    twin.promote(twin.version(1, **EMBEDDINGS))
    with pytest.raises(BackendUnavailable, match=r"cannot merge .*holds no model"):
        models_of(twin).wanted()


def test_before_the_first_promotion_the_command_is_named(twin: TwinHome) -> None:
    with pytest.raises(NotFound, match="twin model promote"):
        models_of(twin).production()


def test_an_adapter_without_a_rank_is_damaged(twin: TwinHome) -> None:
    version = twin.promote(twin.version(1))
    (twin.registry.adapter(version) / "adapter_config.json").write_text("{}")
    with pytest.raises(BackendUnavailable, match="says no rank"):
        models_of(twin).wanted()
