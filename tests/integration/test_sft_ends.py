"""How a run of the recipe's process ends, and how it goes on: kill -9, SIGTERM, a full disk."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.training import SftJob
from llm_engineering.recipes.checkpoints import digest_of_job, newest_whole
from tests.chat_bases import sft_folder

pytest.importorskip("trl")

ROOT = Path(__file__).parents[2]
OPTIMIZER = {
    "max_steps": 20,
    "epochs": 20,
    "learning_rate": 1e-2,
    "batch_size": 2,
    "accumulate": 2,
    "max_length": 256,
    "evaluations": 5,
    "patience": 9,
}
LORA = {"rank": 4, "alpha": 8, "dropout": 0.1}
"""Dropout draws random numbers, so that a resumed run must go on with the same ones."""


class Process:
    """The recipe as a runner starts it."""

    def __init__(
        self,
        folder: Path,
        *,
        before: Callable[[], None] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.folder, self.output = folder, folder / "output"
        self.checkpoints = folder / "checkpoints"
        self._run = subprocess.Popen(
            [
                *(sys.executable, *launcher, "-m", "llm_engineering.recipes.sft"),
                folder / "job.json",
                *("--output", self.output, "--checkpoints", self.checkpoints),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )

    def events(self) -> Iterator[dict[str, Any]]:
        assert self._run.stdout is not None
        for line in self._run.stdout:
            yield json.loads(line)

    def signal_at(self, step: int, number: signal.Signals) -> int:
        """Send it once that step is trained; returns the exit code."""
        for event in self.events():
            if event["stage"] == "train" and event["step"] >= step:
                self._run.send_signal(number)
                break
        return self.end()[0]

    def end(self) -> tuple[int, str]:
        """Exit code and standard error."""
        _, said = self._run.communicate(timeout=240)
        return self._run.returncode, said

    def steps(self) -> dict[int, float]:
        lines = (self.output / "metrics.jsonl").read_text("utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        measured = [event["step"] for event in events if event["stage"] == "evaluate"]
        assert measured == sorted(set(measured)), "nothing is measured and told twice"
        told = [event for event in events if event["stage"] == "train"]
        losses = {event["step"]: event["metrics"]["loss"] for event in told}
        assert len(losses) == len(told), "no step is told twice"
        return losses

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.output / "result.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Process:
    """A run that nothing disturbed."""
    folder = sft_folder(tmp_path_factory.mktemp("whole"), optimizer=OPTIMIZER, lora=LORA)
    run = Process(folder)
    code, said = run.end()
    assert code == 0, said
    return run


def test_a_run_that_was_killed_twice_and_damaged_ends_as_one_that_was_not(
    tmp_path: Path, whole: Process
) -> None:
    folder = sft_folder(tmp_path, optimizer=OPTIMIZER, lora=LORA)
    assert Process(folder).signal_at(10, signal.SIGKILL) == -signal.SIGKILL
    assert Process(folder).signal_at(14, signal.SIGTERM) == 128 + signal.SIGTERM
    stopped = sorted((folder / "checkpoints").glob("checkpoint-*"), key=lambda p: p.stat().st_mtime)
    assert int(stopped[-1].name.partition("-")[2]) >= 14, "SIGTERM leaves a checkpoint of its step"
    assert not (folder / "output" / "error.txt").exists()
    weights = stopped[-1] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    last = Process(folder)
    code, said = last.end()
    assert code == 0, said
    assert f"{stopped[-1].name} is damaged or incomplete; going on from the one before" in said
    assert last.result()["resumed_from"] in (8, 12)
    # Not only within rounding: the same numbers, in the same order, on the same machine.
    assert last.steps() == whole.steps()
    for same in ("adapter_sha256", "before", "after", "stopped_early"):
        assert last.result()[same] == whole.result()[same]


def test_two_processes_share_the_rows_and_one_speaks(tmp_path: Path) -> None:
    """As `accelerate launch` starts them; each process trains on its own half of every step."""
    rule = {**OPTIMIZER, "max_steps": 4, "accumulate": 1, "evaluations": 2}
    folder = sft_folder(tmp_path, optimizer=rule)
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    run = Process(folder, launcher=two)
    code, said = run.end()
    assert code == 0, said
    assert set(run.steps()) == {1, 2, 3, 4}, "one of the two tells, once"
    assert run.result()["device"]["count"] == 2
    newest = folder / "checkpoints" / "checkpoint-4"
    assert {path.name for path in newest.glob("rng_state*")} == {
        "rng_state_0.pth",
        "rng_state_1.pth",
    }
    job = SftJob.model_validate_json((folder / "job.json").read_bytes())
    digest = digest_of_job(job, folder / "data")
    assert newest_whole(folder / "checkpoints", job=digest) == newest, "sealed after both"


def test_a_full_disk_is_one_line_and_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    folder = sft_folder(tmp_path, optimizer=OPTIMIZER, lora={"rank": 64})

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    code, said = Process(folder, before=small_files).end()
    line = "the disk is full; free some space and resume, the last good checkpoint is kept"
    assert code == 1
    assert said.splitlines()[-1] == f"sft: error: {line}"
    assert (folder / "output" / "error.txt").read_text() == line + "\n"
    assert not (folder / "output" / "result.json").exists()
