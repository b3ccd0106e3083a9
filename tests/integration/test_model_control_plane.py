"""ZenML's Model Control Plane shows what the registry on disk holds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.versions import adapter_folder, held_out, manifest, result

pytest.importorskip("zenml")

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, sys
from llm_engineering.bootstrap import open_app
from tools.cli import main

def shown():
    from zenml.client import Client
    found = Client().list_model_versions(model="llm-twin", hydrate=True).items
    return {
        v.name: {"stage": v.stage, "number": v.number, "description": v.description,
                 "metadata": dict(v.run_metadata)} for v in found
    }

first, second = sys.argv[1:]
assert main(["model", "promote", first]) == 0
before = shown()
with open_app() as app:
    app.models.taint({"d1"}, reason="d1 was forgotten")
assert main(["model", "promote", second]) == 0
print(json.dumps([before, shown()]))
"""
"""One process: starting ZenML is what takes long."""


def promote_both(home: Path, *versions: str) -> list[dict[str, Any]]:
    """What ZenML has after the first promotion, and after the first was tainted and replaced."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWIN_", "ZENML_"))}
    user = str(home.parent / "user")
    environment = kept | {"HOME": user, "TWIN_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *versions],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    shown: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return shown


def test_a_damaged_version_keeps_zenml_from_showing_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from steps.model_control_plane import mirror_registry

    registry = FolderModelRegistry(tmp_path / "models")
    (tmp_path / "models" / "sft-0123456789ab").mkdir(parents=True)

    mirror_registry(registry)

    assert "sft-0123456789ab" in caplog.text


def test_promoted_and_tainted_versions_look_in_zenml_as_they_do_on_disk(tmp_path: Path) -> None:
    home = tmp_path / "home"
    registry = FolderModelRegistry(home / "models")
    versions = []
    for seed, documents in enumerate([("d1",), tuple(f"d{n}" for n in range(2, 1_503))]):
        adapter = adapter_folder(tmp_path / f"trained-{seed}", seed=seed)
        figures = result(after=held_out(2.5 - seed))
        given = manifest(adapter, figures, minutes=seed, document_ids=documents)
        registry.add(given, adapter=adapter)
        versions.append(given.version)
    first, second = versions

    shown, then = promote_both(home, first, second)

    assert [(shown[v]["number"], shown[v]["stage"]) for v in versions] == [
        (1, "production"),
        (2, None),
    ]
    metadata = shown[first]["metadata"]
    assert metadata["adapter_sha256"] == registry.get(first).manifest.adapter_sha256
    assert (metadata["base"], metadata["dataset"]) == ("nano", "5ee2970c")
    assert metadata["test_after"] == {"rows": 20.0, "loss": 2.5}
    assert metadata["document_ids_1"] == ["d1"]
    assert "3.0000 -> 2.5000" in shown[first]["description"]
    ids = shown[second]["metadata"]
    assert len(ids["document_ids_1"]) == 1_000
    assert ids["document_ids_1"] + ids["document_ids_2"] == [f"d{n}" for n in range(2, 1_503)]

    assert (then[first]["stage"], then[second]["stage"]) == ("archived", "production")
    assert then[first]["metadata"]["tainted"] == "d1 was forgotten"
