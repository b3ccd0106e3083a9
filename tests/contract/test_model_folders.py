"""The model registry on disk: damage is named, and a death in between costs nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.models import ModelStage, ProductionManifest
from llm_engineering.infrastructure import durable_files, model_folders
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.contract.model_registries import add, models, put
from tests.unit.versions import manifest, result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def registry(tmp_path: Path) -> FolderModelRegistry:
    return FolderModelRegistry(tmp_path / "home" / "models")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "no such file"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "no such file"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "its sha256"),
    ],
)
def test_a_damaged_adapter_is_named(
    registry: FolderModelRegistry, tmp_path: Path, harm: object, said: str
) -> None:
    version = add(registry, tmp_path)
    assert callable(harm)
    harm(models(tmp_path) / version / "adapter")

    with pytest.raises(BackendUnavailable, match=f"{version}.*{said}.*the version is damaged"):
        registry.adapter(version)


@pytest.mark.parametrize("content", [None, "", "{", '{"version": 7}'])
def test_a_damaged_manifest_is_named_and_does_not_hide_the_taint_of_others(
    registry: FolderModelRegistry, tmp_path: Path, content: str | None
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
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    shutil.copytree(models(tmp_path) / version, models(tmp_path) / "sft-0123456789ab")

    with pytest.raises(BackendUnavailable, match=f"it is the manifest of {version}; .*is damaged"):
        registry.entries()
    assert registry.get(version).manifest.version == version


def test_a_damaged_production_manifest_is_named(
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    put(registry, add(registry, tmp_path), reason="the first")
    (models(tmp_path) / "production.json").write_text("{}")

    with pytest.raises(BackendUnavailable, match=r"production\.json: manifest: Field required"):
        registry.production()


def test_other_folders_are_not_versions(registry: FolderModelRegistry, tmp_path: Path) -> None:
    version = add(registry, tmp_path)
    (models(tmp_path) / "embedder" / "tuned-1").mkdir(parents=True)
    (models(tmp_path) / ".sft-0123456789ab.partial").mkdir()

    assert [entry.manifest.version for entry in registry.entries()] == [version]


# the disk


def test_production_is_one_file_that_names_the_adapter(
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    promoted = put(registry, version, reason="the first")

    read = ProductionManifest.model_validate_json(
        (models(tmp_path) / "production.json").read_bytes()
    )
    assert read == promoted
    assert (models(tmp_path) / read.adapter).samefile(registry.adapter(version))


def test_reading_production_needs_neither_zenml_nor_torch(
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    version = add(registry, tmp_path)
    put(registry, version, reason="the first")
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
    registry: FolderModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    registry: FolderModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (add(registry, tmp_path, seed=seed) for seed in range(2))
    put(registry, first, reason="the first")
    write = durable_files.write_durably

    def dies(path: Path, text: str) -> None:
        if path.name == "production.json":
            raise OSError(5, "Input/output error")
        write(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(model_folders, "write_durably", dies)
        with pytest.raises(BackendUnavailable, match="Input/output error"):
            put(registry, second, reason="better")
    assert registry.get(first).stage is ModelStage.PRODUCTION
    assert registry.get(second).stage is ModelStage.CANDIDATE

    put(registry, second, reason="better")
    history = json.loads((models(tmp_path) / "history.json").read_text())
    assert [each["manifest"]["version"] for each in history] == [first]
