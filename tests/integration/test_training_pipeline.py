"""The training pipeline as a user runs it: ZenML, jobs in processes of their own, a tiny model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.models import ModelStage, ProductionManifest
from llm_engineering.settings import Settings
from tests.unit.corpus import notes

CONFIG = """
datasets: {min_train: 20, min_held_out: 2, languages: [en]}
training:
  base: nano
  nano: {tokens: 60000, vocabulary: 512, layers: 1, width: 64, heads: 2, context: 512}
  sft:
    lora: {rank: 4}
    optimizer: {learning_rate: 0.005, max_steps: 20, max_length: 512, evaluations: 2, batch_size: 4}
  preference:
    answers: 24
    held_out_answers: 12
    max_tokens: 12
    sft_weight: 1.0
    optimizer: {learning_rate: 0.005, epochs: 4, max_length: 512, evaluations: 4, batch_size: 4}
  promote: true
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    (root / "training.yaml").write_text(CONFIG, encoding="utf-8")
    with open_app(Settings(home=root / "home")) as app:
        app.documents.put(notes(60))
    return root


def environment(root: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWIN_", "ZENML_"))}
    ours = {"HOME": str(root), "TWIN_HOME": str(root / "home"), "TWIN_PROGRESS": "off"}
    return kept | ours | {"OMP_NUM_THREADS": "1"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tools.cli", *arguments]


def twin(root: Path, *arguments: str) -> Any:
    done = subprocess.run(
        command(*arguments, "--json"),
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def started_fine_tuning(home: Path) -> bool:
    return any(home.glob("runs/sft-*/output/metrics.jsonl"))


@pytest.fixture(scope="module")
def trained(root: Path) -> Any:
    """Of a run after one that was killed while it fine-tuned, with its job."""
    first = subprocess.Popen(
        command("run", "training", "-c", "training.yaml"),
        cwd=root,
        env=environment(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 200
    while not started_fine_tuning(root / "home"):
        assert first.poll() is None, "it ended before it fine-tuned"
        assert time.monotonic() < limit
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    return twin(root, "run", "training", "-c", "training.yaml")


def test_what_was_killed_goes_on_and_ends_in_two_versions(root: Path, trained: Any) -> None:
    report = trained["reports"]["training"]

    recipes = [version["result"]["recipe"] for version in report["versions"]]
    assert recipes == ["sft", "dpo"]
    assert all(version["result"]["nano"] for version in report["versions"])
    runs = [path.name.rpartition("-")[0] for path in (root / "home" / "runs").iterdir()]
    started = [name.split("-")[0] for name in runs]
    assert sorted(started) == ["dpo", "generate", "pretrain", "sft"]


def test_what_serves_reads_the_promoted_version_without_any_trainer(
    root: Path, trained: Any
) -> None:
    report = trained["reports"]["training"]
    sft, dpo = (version["version"] for version in report["versions"])
    with open_app(Settings(home=root / "home")) as app:
        entries = {entry.manifest.version: entry for entry in app.models.entries()}
        assert set(entries) == {sft, dpo}
        assert entries[dpo].manifest.parent == sft
        pairs = app.samples.get(entries[dpo].manifest.dataset)
    assert {pair.rejected_from for pair in pairs.preference} == {sft}
    path = root / "home" / "models" / "production.json"
    production = ProductionManifest.model_validate_json(path.read_bytes())
    assert production.manifest.version == report["promoted"] == dpo, report["why"]
    assert entries[dpo].stage is ModelStage.PRODUCTION
    assert (path.parent / production.adapter / "adapter_model.safetensors").exists()


def test_the_page_shows_losses_before_and_after(trained: Any) -> None:
    page = Path(trained["page"]).read_text(encoding="utf-8")

    assert "Loss before" in page
    assert "proves the pipeline, not the prose" in page


def test_running_it_again_trains_nothing(root: Path, trained: Any) -> None:
    again = twin(root, "run", "training", "-c", "training.yaml")["reports"]["training"]

    assert [version["again"] for version in again["versions"]] == [True, True]
    assert [version["version"] for version in again["versions"]] == [
        version["version"] for version in trained["reports"]["training"]["versions"]
    ]
    assert len(list((root / "home" / "runs").iterdir())) == 4


def test_when_preferences_fail_the_figures_of_fine_tuning_are_shown(
    root: Path, trained: Any
) -> None:
    short = "training.preference.optimizer.max_length=32"  # no pair is that short
    done = subprocess.run(
        command("run", "training", "-c", "training.yaml", "-s", short, "--json"),
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    failed = json.loads(done.stdout)
    assert (done.returncode, failed["status"]) == (1, "failed")
    assert (failed["error_kind"], "dpo" in failed["error"]) == ("TrainingFailed", True)
    (version,) = failed["reports"]["training"]["versions"]
    assert version == {**trained["reports"]["training"]["versions"][0], "again": True}
    page = Path(failed["page"]).read_text(encoding="utf-8")
    assert version["version"] in page
    assert "the run ended before that was decided" in page


def test_without_the_cache_every_job_is_run_once_more(root: Path, trained: Any) -> None:
    before = len(list((root / "home" / "runs").iterdir()))
    only_sft = ("-s", "training.preference.enabled=false", "-s", "training.promote=false")

    anew = twin(root, "run", "training", "-c", "training.yaml", "--no-cache", *only_sft)

    (version,) = anew["reports"]["training"]["versions"]
    assert not version["again"]
    assert version["version"] == trained["reports"]["training"]["versions"][0]["version"]
    assert len(list((root / "home" / "runs").iterdir())) == before + 2


def test_the_versions_are_listed(root: Path, trained: Any) -> None:
    listed = twin(root, "model", "list")

    assert {entry["stage"] for entry in listed} == {"production", "candidate"}


def test_a_version_keeps_its_nano_when_the_folders_of_jobs_are_deleted(
    root: Path, trained: Any
) -> None:
    shutil.rmtree(root / "home" / "training")
    dpo = trained["reports"]["training"]["promoted"]

    done = subprocess.run(
        command("model", "export", dpo, "merged", "--format", "merged"),
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert done.returncode == 0, done.stderr
    assert (root / "merged" / "model.safetensors").exists()
