"""The container's entry point in a folder that stands in for /opt/ml."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract.job_runners import RECIPES, job_folder

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


class Outcome(NamedTuple):
    code: int
    log: str
    failure: str


def put_job(root: Path, *, base: str = "counts", steps: int = 4) -> Path:
    folder = job_folder(root / "packed", base=base, steps=steps)
    channel = root / "input" / "data" / "job"
    channel.mkdir(parents=True)
    with tarfile.open(channel / "job.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")
    return root


def command(root: Path) -> list[str]:
    entry = "llm_engineering.recipes.sagemaker_entry"
    return [sys.executable, "-m", entry, "--root", str(root), "--recipes", RECIPES]


def start(root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(root),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(root: Path, entry: "subprocess.Popen[str]") -> Outcome:
    log, _ = entry.communicate(timeout=WITHIN_S)
    failure = root / "output" / "failure"
    return Outcome(entry.returncode, log, failure.read_text() if failure.exists() else "")


def run(root: Path) -> Outcome:
    return outcome(root, start(root))


def until_there(path: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_recipe_runs_in_sagemakers_folders(tmp_path: Path) -> None:
    ended = run(put_job(tmp_path))
    assert (ended.code, ended.failure) == (0, "")
    assert json.loads((tmp_path / "model" / "result.json").read_text())["resumed_from"] is None
    assert len(list((tmp_path / "checkpoints").glob("step-*"))) == 4
    assert ended.log.splitlines()[0] == "2 rows, from step 0"


def test_what_was_measured_before_an_interruption_comes_along(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "metrics.jsonl").write_text("earlier\n")
    (tmp_path / "checkpoints" / "step-002").write_text("")
    assert run(put_job(tmp_path)).code == 0
    lines = (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()
    assert lines[0] == "earlier"
    assert [json.loads(line)["step"] for line in lines[1:]] == [3, 4]
    kept = tmp_path / "checkpoints" / "metrics.jsonl"
    assert kept.read_text() == (tmp_path / "model" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("fails-at-3", "the loss is not a number; lower the learning rate"),
        ("crashes-at-3", "ZeroDivisionError: nobody foresaw this"),
        ("is-killed-at-3", "ended by signal 9 (SIGKILL), as the kernel does when memory runs out"),
        ("leaves-nothing", "it ended without a result"),
    ],
)
def test_a_failure_is_written_where_sagemaker_looks_for_it(
    tmp_path: Path, base: str, said: str
) -> None:
    ended = run(put_job(tmp_path, base=base))
    assert ended.code == 1
    assert ended.failure.startswith(said)
    assert "\n" not in ended.failure


def test_sigterm_reaches_the_recipe(tmp_path: Path) -> None:
    entry = start(put_job(tmp_path, base="waits"))
    until_there(tmp_path / "checkpoints" / "step-003")
    entry.send_signal(signal.SIGTERM)
    ended = outcome(tmp_path, entry)
    assert ended.code == 1
    assert "SIGTERM" in ended.failure


def test_a_worker_that_is_left_behind_does_not_hold_up_the_end(tmp_path: Path) -> None:
    put_job(tmp_path, base="has-workers")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "go").touch()
    with subprocess.Popen(
        command(tmp_path),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as entry:
        assert entry.wait(30) == 0
        os.killpg(entry.pid, signal.SIGKILL)


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"no archive", "cannot unpack"),
        (archive("job.json"), "holds no job"),
        (archive("data/train.jsonl"), "holds no job"),
        (archive("../evil"), "cannot unpack"),
    ],
)
def test_a_channel_without_a_job_is_one_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    root = tmp_path / "ml"
    channel = root / "input" / "data" / "job"
    channel.mkdir(parents=True)
    if content is not None:
        (channel / "job.tar.gz").write_bytes(content)
    ended = run(root)
    assert ended.code == 1
    assert said in ended.failure
    assert not (tmp_path / "evil").exists()
    assert not (root / "evil").exists()
