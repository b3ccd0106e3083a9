"""Two processes train what one process trains, each holding a part of the base."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.training import (
    JOBS,
    DeviceUse,
    DpoJob,
    JobResult,
    LoraRule,
    OptimizerRule,
    PretrainNanoJob,
    SftJob,
)
from llm_engineering.recipes.bases import load_config, load_tokenizer
from llm_engineering.recipes.estimates import shape_of
from llm_engineering.recipes.fits import Fit, fit_training
from llm_engineering.recipes.places import Room
from llm_engineering.recipes.pretrain_nano import new_model
from tests.chat_bases import row, sft_folder, write_job
from tests.integration import small_models
from tests.integration.small_models import said, small_adapter

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
WITHIN_S = 240
RULE = {
    "max_steps": 6,
    "epochs": 20,
    "learning_rate": 1e-2,
    "max_length": 256,
    "evaluations": 3,
    "patience": 9,
}
ROOMY_MB = 1e6
CLOSE = 1e-5
"""Relative; f32 has 24 bits (6e-8), and Adam's steps carry a difference on."""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job's folder whose base has enough layers for a part of them to be much less than all."""
    folder = sft_folder(tmp_path_factory.mktemp("deep"))
    job = PretrainNanoJob(vocabulary=400, width=64, layers=12, heads=2, context=256)
    tokenizer: Any = load_tokenizer(str(folder / "base"))
    new_model(job, tokenizer).save_pretrained(folder / "base")
    return folder


@pytest.fixture
def folder(deep: Path, tmp_path: Path) -> Path:
    for name in ("base", "data"):
        (tmp_path / name).symlink_to(deep / name)
    return tmp_path


def fits(folder: Path, *, megabytes: float, processes: int) -> Fit:
    job = JOBS.validate_json((folder / "job.json").read_bytes())
    assert isinstance(job, SftJob | DpoJob)
    device = DeviceUse(name="cpu", precision="float32", reason="a test", count=processes)
    room = Room(name="a test", device=device, memory_mb=megabytes)
    return fit_training(job, shape_of(load_config(str(folder / "base"))), LoraRule(rank=4), room)


def cramped_mb(folder: Path) -> float:
    """Too little for the whole base, also with its layers computed twice; enough for a half."""
    fit = fits(folder, megabytes=ROOMY_MB, processes=2)
    assert (fit.shards, fit.recompute) == (1, False)
    twice = fits(folder, megabytes=fit.needed_mb - 0.1, processes=2)
    assert (twice.shards, twice.recompute) == (1, True)
    half = fits(folder, megabytes=twice.needed_mb - 0.1, processes=2)
    assert half.shards == 2
    return half.needed_mb + 0.1


def start(folder: Path, *, megabytes: float, processes: int, name: str) -> "subprocess.Popen[str]":
    """As `run_recipe` starts it on a machine with so many devices."""
    command = [
        *(sys.executable, "-m", "tests.integration.in_room", str(megabytes)),
        *(str(folder / "job.json"), "--output", str(folder / name / "output")),
        *("--checkpoints", str(folder / name / "checkpoints")),
    ]
    together = (
        "import sys; from llm_engineering.recipes.launching import run_together; "
        "sys.exit(run_together(sys.argv[2:], count=int(sys.argv[1])))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", together, str(processes), *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = run.communicate(timeout=WITHIN_S)
    return run.returncode, said


def result(folder: Path, name: str) -> JobResult:
    return JobResult.model_validate_json((folder / name / "output" / "result.json").read_bytes())


def told(folder: Path, name: str) -> list[dict[str, float]]:
    lines = (folder / name / "output" / "metrics.jsonl").read_text("utf-8").splitlines()
    return [
        event["metrics"]
        for event in map(json.loads, lines)
        if event["stage"] in ("train", "evaluate")
    ]


@pytest.fixture(scope="module")
def halves(deep: Path) -> str:
    """What two processes said that trained the job in `deep`, each holding half of the base."""
    write_job(deep, optimizer={**RULE, "batch_size": 1})
    code, said = ended(start(deep, megabytes=cramped_mb(deep), processes=2, name="halves"))
    assert code == 0, said
    return said


def test_a_base_that_is_cut_up_is_trained_as_a_whole_one(
    folder: Path, deep: Path, halves: str
) -> None:
    """The same rows a step, the same losses and gradients."""
    write_job(folder, optimizer={**RULE, "batch_size": 2})
    code, said = ended(start(folder, megabytes=ROOMY_MB, processes=1, name="whole"))
    assert code == 0, said

    assert "cut up" not in said
    assert halves.count("cut up over 2 devices, layers computed twice") == 1, "one of two speaks"
    one, two = told(folder, "whole"), told(deep, "halves")
    assert len(one) == len(two) == 1 + 6 + 3
    for alone, together in zip(one, two, strict=True):
        for name in alone.keys() & {"loss", "grad_norm", "validation_loss"}:
            assert together[name] == pytest.approx(alone[name], rel=CLOSE)
    whole, found = result(folder, "whole"), result(deep, "halves")
    assert (whole.device.count, found.device.count) == (1, 2)
    assert found.after["test"].loss < found.before["test"].loss - 0.05, "they moved together"
    for split in ("validation", "test"):
        assert found.after[split].loss == pytest.approx(whole.after[split].loss, rel=CLOSE)


def test_a_run_over_a_cut_up_base_that_is_ended_goes_on_exactly(
    folder: Path, deep: Path, halves: str
) -> None:
    assert halves
    write_job(folder, optimizer={**RULE, "batch_size": 1})
    megabytes = cramped_mb(folder)
    run = start(folder, megabytes=megabytes, processes=2, name="ended")
    assert run.stdout is not None
    for line in run.stdout:
        event = json.loads(line)
        if event["stage"] == "train" and event["step"] == 3:
            run.send_signal(signal.SIGTERM)
            break
    assert ended(run)[0] == 128 + signal.SIGTERM
    code, said = ended(start(folder, megabytes=megabytes, processes=2, name="ended"))

    assert code == 0, said
    resumed, whole = result(folder, "ended"), result(deep, "halves")
    assert resumed.resumed_from in (3, 4, 5)
    assert (resumed.after, resumed.adapter_sha256) == (whole.after, whole.adapter_sha256)


def test_preferences_are_trained_over_a_cut_up_base_too(folder: Path) -> None:
    small_adapter(folder / "adapter", folder / "base", strength=0.02)
    pairs = [
        {**row(number), "chosen": row(number)["completion"], "rejected": said(f"no {number}" * 4)}
        for number in range(24)
    ]
    small_models.write_rows(folder / "pairs", dict.fromkeys(("train", "validation"), pairs))

    def job(*, batch_size: int) -> None:
        rule = OptimizerRule.model_validate({**RULE, "batch_size": batch_size})
        told = DpoJob(base="base", data=Path("pairs"), optimizer=rule)
        (folder / "job.json").write_text(told.model_dump_json(), "utf-8")

    job(batch_size=2)
    code, words = ended(start(folder, megabytes=ROOMY_MB, processes=1, name="whole"))
    assert code == 0, words
    job(batch_size=1)
    code, words = ended(start(folder, megabytes=cramped_mb(folder), processes=2, name="halves"))

    assert code == 0, words
    assert "cut up over 2 devices" in words
    one, two = told(folder, "whole"), told(folder, "halves")
    assert len(one) == len(two) == 1 + 6 + 3
    for alone, together in zip(one, two, strict=True):
        for name in alone.keys() & {"loss", "grad_norm", "validation_loss", "reward_margin"}:
            assert together[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-5)
    margin = result(folder, "halves").after["validation"].reward_margin
    assert margin is not None
    assert margin > 0.05


def test_a_base_that_cannot_be_read_ends_all_processes_with_its_line(
    folder: Path, deep: Path
) -> None:
    """One process reads it, and the other waits for it."""
    (folder / "base").unlink()
    (folder / "base").mkdir()
    for each in (deep / "base").iterdir():
        content = each.read_bytes()
        (folder / "base" / each.name).write_bytes(
            content[:-100] if each.suffix == ".safetensors" else content
        )
    write_job(folder, optimizer={**RULE, "batch_size": 1})
    megabytes = cramped_mb(folder)

    code, _ = ended(start(folder, megabytes=megabytes, processes=2, name="cut"))

    assert code == 1
    line = (folder / "cut" / "output" / "error.txt").read_text("utf-8")
    assert "holds no model that can be read" in line
    assert line.count("\n") == 1
