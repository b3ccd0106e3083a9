"""What every model registry keeps and refuses."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput, NotFound, NotPromotable
from llm_engineering.domain.models import Comparison, ModelStage, SameRows
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.ports.jobs import ModelRegistry
from tests.contract.model_registries import add, models, put
from tests.unit.versions import NOW, adapter_folder, manifest, result


@pytest.fixture
def registry(tmp_path: Path) -> FolderModelRegistry:
    def clock() -> Iterator[int]:
        yield from range(1_000)

    ticks = clock()
    return FolderModelRegistry(
        tmp_path / "home" / "models", now=lambda: NOW + timedelta(hours=next(ticks))
    )


def test_a_base_is_kept_once_by_its_contents_and_is_no_version(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    made = tmp_path / "training" / "output" / "model"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")

    kept = registry.keep_base(made)
    (made / "config.json").unlink()

    assert (kept / "config.json").read_text() == "{}"
    assert kept.is_relative_to(models(tmp_path))
    (made / "config.json").write_text("{}")
    assert registry.keep_base(made) == kept
    (made / "config.json").write_text("{ }")
    assert registry.keep_base(made) != kept
    assert registry.entries() == ()


def test_an_empty_registry_has_nothing(registry: ModelRegistry, tmp_path: Path) -> None:
    assert registry.entries() == ()
    assert registry.production() is None
    assert registry.taint({"d1"}, reason="forgotten") == ()
    assert not models(tmp_path).exists()
    with pytest.raises(NotFound, match="none was trained yet"):
        registry.get("sft-000000000000")


def test_a_version_comes_back_as_it_was_added_with_its_adapter(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    adapter = adapter_folder(tmp_path / "trained")
    given = manifest(adapter, result())

    registry.add(given, adapter=adapter)

    assert registry.get(given.version).manifest == given
    assert registry.get(given.version).stage is ModelStage.CANDIDATE
    kept = registry.adapter(given.version)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        path.name: path.read_bytes() for path in adapter.iterdir()
    }


def test_adding_again_changes_nothing(registry: ModelRegistry, tmp_path: Path) -> None:
    version = add(registry, tmp_path)
    registry.taint({"d1"}, reason="d1 was forgotten")
    adapter = tmp_path / "trained-0"

    registry.add(manifest(adapter, result(), minutes=99), adapter=adapter)

    (entry,) = registry.entries()
    assert entry.manifest.version == version
    assert entry.manifest.created_at == NOW
    assert entry.manifest.tainted == "d1 was forgotten"


def test_versions_are_listed_newest_first(registry: ModelRegistry, tmp_path: Path) -> None:
    versions = [add(registry, tmp_path, seed=seed) for seed in (1, 0, 2)]

    assert [entry.manifest.version for entry in registry.entries()] == [
        versions[2],
        versions[0],
        versions[1],
    ]


def test_stages_follow_what_was_promoted(registry: ModelRegistry, tmp_path: Path) -> None:
    first, second, third = (add(registry, tmp_path, seed=seed) for seed in range(3))
    put(registry, first, reason="the first")
    promoted = put(registry, second, reason="better")

    stages = {entry.manifest.version: entry.stage for entry in registry.entries()}
    assert stages == {
        first: ModelStage.ARCHIVED,
        second: ModelStage.PRODUCTION,
        third: ModelStage.CANDIDATE,
    }
    assert {version: registry.get(version).stage for version in stages} == stages
    assert (promoted.previous, promoted.reason) == (first, "better")
    assert registry.production() == promoted


def test_an_archived_version_can_come_back(registry: ModelRegistry, tmp_path: Path) -> None:
    first, second = (add(registry, tmp_path, seed=seed) for seed in range(2))
    for version in (first, second, first):
        put(registry, version, reason="tried")

    production = registry.production()
    assert production is not None
    assert (production.manifest.version, production.previous) == (first, second)
    assert registry.get(second).stage is ModelStage.ARCHIVED


def test_promoting_what_is_in_production_changes_nothing(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    promoted = put(registry, version, reason="the first")

    assert put(registry, version, reason="again") == promoted == registry.production()


def test_a_promotion_that_another_one_overtook_is_refused(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    first, second, third = (add(registry, tmp_path, seed=seed) for seed in range(3))
    put(registry, first, reason="the first")
    put(registry, second, reason="better than the first")

    for weighed in (first, None):
        with pytest.raises(NotPromotable, match=f"meanwhile {second} is there.*; try again"):
            registry.promote(third, reason="better", instead_of=weighed)
    production = registry.production()
    assert production is not None
    assert production.manifest.version == second
    assert registry.get(third).stage is ModelStage.CANDIDATE


def test_what_a_version_was_compared_with_is_kept(registry: ModelRegistry, tmp_path: Path) -> None:
    first, second = (add(registry, tmp_path, seed=seed) for seed in range(2))
    put(registry, first, reason="the first")
    rows = SameRows(dataset="5ee2970c", rows=20, loss=2.4, production_loss=2.5)
    beside = Comparison(production=first, on=rows)

    registry.promote(second, reason="better", instead_of=first, comparison=beside)

    production = registry.production()
    assert production is not None
    assert production.comparison == beside


def test_tainting_marks_what_learnt_from_the_documents_and_what_starts_from_it(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    bad = add(registry, tmp_path, seed=0, documents=("d1",))
    good = add(registry, tmp_path, seed=1, documents=("d2",))
    child = add(registry, tmp_path, seed=2, documents=("d2",), parent=bad)
    grandchild = add(registry, tmp_path, seed=3, documents=("d3",), parent=child)

    marked = registry.taint({"d1", "unknown"}, reason="d1 was forgotten")

    assert set(marked) == {bad, child, grandchild}
    assert registry.get(bad).manifest.tainted == "d1 was forgotten"
    assert registry.get(child).manifest.tainted == f"d1 was forgotten (it starts from {bad})"
    assert child in registry.get(grandchild).manifest.tainted
    assert registry.get(good).manifest.tainted == ""
    assert registry.taint({"d1"}, reason="again") == ()
    late = add(registry, tmp_path, seed=4, documents=("d2",), parent=grandchild)
    assert "d1 was forgotten" in registry.get(late).manifest.tainted


def test_a_tainted_version_stays_in_production_marked_and_never_comes_back(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    first, second = (add(registry, tmp_path, seed=seed) for seed in range(2))
    put(registry, first, reason="the first")

    registry.taint({"d1"}, reason="d1 was forgotten")

    production = registry.production()
    assert production is not None
    assert production.manifest.version == first
    assert production.manifest.tainted == "d1 was forgotten"
    with pytest.raises(NotPromotable, match=f"{second}.*d1 was forgotten"):
        put(registry, second, reason="raced")
    assert registry.production() == production


# what is refused


def test_an_unknown_version_names_the_closest(registry: ModelRegistry, tmp_path: Path) -> None:
    version = add(registry, tmp_path)

    for ask in (registry.get, registry.adapter, lambda v: put(registry, v, reason="r")):
        with pytest.raises(NotFound, match=f"did you mean '{version}'"):
            ask(version[:-1])
        with pytest.raises(NotFound, match="'twin model list'"):
            ask("../../etc")


def test_another_adapter_than_the_manifests_is_refused(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    adapter, other = (adapter_folder(tmp_path / str(seed), seed=seed) for seed in range(2))
    given = manifest(adapter, result())

    with pytest.raises(InvalidInput, match=r"its sha256 is .* was registered"):
        registry.add(given, adapter=other)
    with pytest.raises(InvalidInput, match="is no name for the adapter"):
        registry.add(given.model_copy(update={"version": "../escaped"}), adapter=adapter)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(InvalidInput, match=r"adapter_config\.json: no such file"):
        registry.add(given, adapter=adapter)
    assert registry.entries() == ()
