"""Commands that train are killed, or given twice: each job is still run once."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.ports.jobs import JobState

ROOT = Path(__file__).parents[2]
RECIPES = "tests.contract.tiny_recipes"
TRAINS = f"""
import os, signal, sys, time
from pathlib import Path
from llm_engineering.application.training.run import TrainingPorts, run_job
from llm_engineering.domain.samples import Split
from llm_engineering.domain.training import OptimizerRule, SftJob
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.infrastructure.no_experiments import NoExperiments
from llm_engineering.infrastructure.rich_progress import Silent

home, base, dies = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

class Runner(LocalJobRunner):
    def submit(self, folder, **given):
        run = super().submit(folder, **given)
        if dies == "submitted":
            os.kill(os.getpid(), signal.SIGKILL)
        return run

    def fetch(self, run, into):
        if dies == "fetching":
            (into / "adapter").mkdir(parents=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fetch(run, into)

ports = TrainingPorts(
    runner=Runner(home / "runs", recipes={RECIPES!r}),
    folders=JobFolderTree(home / "training"),
    experiments=NoExperiments(),
    progress=Silent(),
    say=lambda line: print(line, flush=True),
    sleep=time.sleep,
    poll_s=0.05,
)
rows = {{Split(split): [{{"id": "1"}}, {{"id": "2"}}] for split in ("train", "validation")}}
job = SftJob(base=base, optimizer=OptimizerRule(max_steps=4))
done = run_job(job, ports=ports, rows=rows)
print("again" if done.again else "done", done.output / "result.json")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def train(home: Path, *, base: str = "counts", dies: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TRAINS, str(home), base, dies],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def last_line(command: "subprocess.Popen[str]") -> str:
    said, _ = command.communicate(timeout=60)
    assert command.returncode == 0, said
    return said.splitlines()[-1]


def killed(command: "subprocess.Popen[str]") -> None:
    said, _ = command.communicate(timeout=60)
    assert command.returncode == -signal.SIGKILL, said


@pytest.mark.parametrize("moment", ["submitted", "fetching"])
def test_a_command_that_was_killed_leaves_one_run_which_the_next_one_takes_up(
    home: Path, moment: str
) -> None:
    killed(train(home, dies=moment))

    said = last_line(train(home))

    assert said.startswith("done ")
    assert Path(said.removeprefix("done ")).exists()
    assert len(LocalJobRunner(home / "runs").runs()) == 1
    assert last_line(train(home)).startswith("again ")


def test_two_commands_at_once_train_once_and_both_have_the_result(home: Path) -> None:
    first = train(home, base="waits")
    runner = LocalJobRunner(home / "runs", recipes=RECIPES)
    deadline = time.monotonic() + 60
    while not (home / "runs").exists() or not runner.runs():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (run,) = runner.runs()
    second = train(home, base="waits")
    assert second.stdout is not None
    assert f"is being run by process {first.pid}: waiting" in second.stdout.readline()

    (home / "runs" / run / "checkpoints" / "go").touch()

    assert {last_line(first).split()[0], last_line(second).split()[0]} == {"done", "again"}
    assert list(runner.runs()) == [run]
    assert runner.status(run).state is JobState.COMPLETED
    assert not [path for path in home.rglob("*.part") if path.exists()]
    assert [path.name for path in (home / "runs").iterdir()] == [run]
