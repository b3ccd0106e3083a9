"""What every model registry keeps, and how the one on disk fails."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    NotFound,
    NotPromotable,
)
from llm_engineering.domain.models import ModelStage, ProductionManifest
from llm_engineering.infrastructure import durable_files, model_folders
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.ports.jobs import ModelRegistry
from tests.unit.versions import NOW, adapter_folder, manifest, result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def registry(tmp_path: Path) -> FolderModelRegistry:
    def clock() -> Iterator[int]:
        yield from range(1_000)

    ticks = clock()
    return FolderModelRegistry(
        tmp_path / "home" / "models", now=lambda: NOW + timedelta(hours=next(ticks))
    )


def add(
    registry: ModelRegistry,
    tmp_path: Path,
    *,
    seed: int = 0,
    documents: tuple[str, ...] = ("d1", "d2"),
    parent: str | None = None,
) -> str:
    """Add a version whose adapter and age follow from the seed; returns its name."""
    adapter = adapter_folder(tmp_path / f"trained-{seed}", seed=seed)
    given = manifest(adapter, result(), minutes=seed, document_ids=documents, parent=parent)
    registry.add(given, adapter=adapter)
    return given.version


def models(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"


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
    registry.promote(first, reason="the first")
    promoted = registry.promote(second, reason="better")

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
        registry.promote(version, reason="tried")

    production = registry.production()
    assert production is not None
    assert (production.manifest.version, production.previous) == (first, second)
    assert registry.get(second).stage is ModelStage.ARCHIVED


def test_promoting_what_is_in_production_changes_nothing(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    promoted = registry.promote(version, reason="the first")

    assert registry.promote(version, reason="again") == promoted == registry.production()


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
    registry.promote(first, reason="the first")

    registry.taint({"d1"}, reason="d1 was forgotten")

    production = registry.production()
    assert production is not None
    assert production.manifest.version == first
    assert production.manifest.tainted == "d1 was forgotten"
    with pytest.raises(NotPromotable, match=f"{second}.*d1 was forgotten"):
        registry.promote(second, reason="raced")
    assert registry.production() == production


# what is refused


def test_an_unknown_version_names_the_closest(registry: ModelRegistry, tmp_path: Path) -> None:
    version = add(registry, tmp_path)

    for ask in (registry.get, registry.adapter, lambda v: registry.promote(v, reason="r")):
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


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "no such file"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "no such file"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "its sha256"),
    ],
)
def test_a_damaged_adapter_is_named(
    registry: ModelRegistry, tmp_path: Path, harm: object, said: str
) -> None:
    version = add(registry, tmp_path)
    assert callable(harm)
    harm(models(tmp_path) / version / "adapter")

    with pytest.raises(BackendUnavailable, match=f"{version}.*{said}.*the version is damaged"):
        registry.adapter(version)


@pytest.mark.parametrize("content", [None, "", "{", '{"version": 7}'])
def test_a_damaged_manifest_is_named_and_does_not_hide_the_taint_of_others(
    registry: ModelRegistry, tmp_path: Path, content: str | None
) -> None:
    broken, whole = (add(registry, tmp_path, seed=seed) for seed in range(2))
    file = models(tmp_path) / broken / "manifest.json"
    file.unlink() if content is None else file.write_text(content)

    with pytest.raises(BackendUnavailable, match=f"{broken}.manifest.json: .*is damaged") as said:
        registry.entries()
    assert "\n" not in str(said.value)
    with pytest.raises(BackendUnavailable, match=broken):
        registry.taint({"d1"}, reason="d1 was forgotten")
    assert registry.get(whole).manifest.tainted == "d1 was forgotten"


def test_a_folder_that_was_copied_by_hand_is_no_second_version(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    shutil.copytree(models(tmp_path) / version, models(tmp_path) / "sft-0123456789ab")

    with pytest.raises(BackendUnavailable, match=f"it is the manifest of {version}; .*is damaged"):
        registry.entries()
    assert registry.get(version).manifest.version == version


def test_a_damaged_production_manifest_is_named(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.promote(add(registry, tmp_path), reason="the first")
    (models(tmp_path) / "production.json").write_text("{}")

    with pytest.raises(BackendUnavailable, match=r"production\.json: manifest: Field required"):
        registry.production()


def test_other_folders_are_not_versions(registry: ModelRegistry, tmp_path: Path) -> None:
    version = add(registry, tmp_path)
    (models(tmp_path) / "embedder" / "tuned-1").mkdir(parents=True)
    (models(tmp_path) / ".sft-0123456789ab.partial").mkdir()

    assert [entry.manifest.version for entry in registry.entries()] == [version]


# the disk


def test_production_is_one_file_that_names_the_adapter(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    promoted = registry.promote(version, reason="the first")

    read = ProductionManifest.model_validate_json(
        (models(tmp_path) / "production.json").read_bytes()
    )
    assert read == promoted
    assert (models(tmp_path) / read.adapter).samefile(registry.adapter(version))


def test_reading_production_needs_neither_zenml_nor_torch(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    registry.promote(version, reason="the first")
    code = (
        "import json, sys\n"
        "from llm_engineering.bootstrap import open_app\n"
        "with open_app() as app: found = app.models.production()\n"
        "heavy = {'torch', 'zenml', 'transformers', 'peft'} & set(sys.modules)\n"
        "print(json.dumps([found.manifest.version, sorted(heavy)]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TWIN_HOME": str(tmp_path / "home")}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert json.loads(said) == [version, []]


def test_a_copy_that_died_halfway_is_no_version_and_is_made_anew(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(model_folders, "sync_tree", full)
        with pytest.raises(BackendUnavailable, match="No space left on device"):
            add(registry, tmp_path)
    assert registry.entries() == ()
    adapter = tmp_path / "trained-0"
    registry.add(manifest(adapter, result()), adapter=adapter)

    assert len(registry.entries()) == 1
    assert not list(models(tmp_path).glob(".*partial"))


def test_a_promotion_that_died_before_the_switch_leaves_the_old_one_in_production(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (add(registry, tmp_path, seed=seed) for seed in range(2))
    registry.promote(first, reason="the first")
    write = durable_files.write_durably

    def dies(path: Path, text: str) -> None:
        if path.name == "production.json":
            raise OSError(5, "Input/output error")
        write(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(model_folders, "write_durably", dies)
        with pytest.raises(BackendUnavailable, match="Input/output error"):
            registry.promote(second, reason="better")
    assert registry.get(first).stage is ModelStage.PRODUCTION
    assert registry.get(second).stage is ModelStage.CANDIDATE

    registry.promote(second, reason="better")
    history = json.loads((models(tmp_path) / "history.json").read_text())
    assert [each["manifest"]["version"] for each in history] == [first]
