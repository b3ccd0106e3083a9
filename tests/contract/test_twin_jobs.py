"""`twin jobs` over real runs of this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.bootstrap import App
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.settings import Settings
from tests.contract.job_runners import GRACE_S, RECIPES, ended, job_folder, line_seen
from tools import jobs
from tools.cli import main

ROOT = Path(__file__).parents[2]
FOLLOWS = f"""
import sys
from contextlib import contextmanager
from pathlib import Path
from llm_engineering.bootstrap import App
from llm_engineering.infrastructure.local_jobs import LocalJobRunner
from llm_engineering.settings import Settings
from tools import jobs
from tools.cli import main

@contextmanager
def opened():
    app = App(Settings())
    app.__dict__["jobs"] = LocalJobRunner(Path(sys.argv[1]), recipes={RECIPES!r})
    yield app

jobs.open_app = opened
sys.exit(main(["jobs", "logs", sys.argv[2], "--follow"]))
"""

Twin = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[LocalJobRunner]:
    runner = LocalJobRunner(tmp_path / "runs", grace_s=GRACE_S, recipes=RECIPES)
    yield runner
    for run in runner.runs():
        runner.stop(run)


@pytest.fixture
def twin(
    runner: LocalJobRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Twin:
    """Runs `twin jobs …` over `runner`; gives the exit code, stdout and stderr."""

    @contextmanager
    def opened() -> Iterator[App]:
        app = App(Settings(home=tmp_path / "home", progress="off"))
        app.__dict__["jobs"] = runner
        yield app

    monkeypatch.setattr(jobs, "open_app", opened)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return main(["jobs", *arguments]), *capsys.readouterr()

    return run


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_runs_are_listed_newest_first_with_what_became_of_them(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    assert twin("list") == (0, "", "no runs yet; training pipelines start them\n")
    failed = runner.submit(job_folder(tmp_path / "a", base="fails-at-3"), name="first")
    ended(runner, failed)
    done = runner.submit(job_folder(tmp_path / "b"), name="second")
    ended(runner, done)

    code, out, _ = twin("list")
    assert code == 0
    assert sorted(rows(out)) == sorted(
        [
            [done, "completed", ""],
            [failed, "failed", "the loss is not a number; lower the learning rate"],
        ]
    )
    code, out, err = twin("list", "--limit", "1")
    assert len(rows(out)) == 1
    assert "1 older runs are not shown" in err
    (first, _second) = json.loads(twin("list", "--json")[1])
    assert set(first) == {"run", "state", "reason", "next"}


def test_a_run_that_goes_while_all_are_listed_hides_no_other(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runner.submit(job_folder(tmp_path / "a"), name="sft")
    ended(runner, run)
    monkeypatch.setattr(runner, "runs", lambda: ["sft-20260101-000000-abcd", run])

    code, out, _ = twin("list")

    assert (code, rows(out)) == (0, [[run, "completed", ""]])


def test_a_run_is_shown_with_what_can_be_done_next(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "a", base="is-killed-at-3"), name="sft")
    ended(runner, run)
    code, out, err = twin("show", run[:12])
    assert (code, rows(out)) == (0, [[run, "failed", "ended by signal 9 (SIGKILL)"]])
    assert err == f"twin jobs resume {run}\n"
    shown: Any = json.loads(twin("show", run, "--json")[1])
    assert shown["next"] == f"twin jobs resume {run}"


def test_a_log_is_printed_as_it_is(twin: Twin, runner: LocalJobRunner, tmp_path: Path) -> None:
    run = runner.submit(job_folder(tmp_path / "a", base="chatters"), name="sft")
    ended(runner, run)
    lines = list(runner.lines(run))
    assert "\t" in lines[7]
    assert twin("logs", run) == (0, "\n".join(lines) + "\n", "")
    assert twin("logs", run, "--after", "300")[1] == "\n".join(lines[300:]) + "\n"
    assert twin("logs", run, "--after", "999") == (0, "", "")


def test_following_shows_metrics_on_stdout_and_words_on_stderr(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "a"), name="sft")
    code, out, err = twin("logs", run, "--follow")
    assert code == 0
    assert out.splitlines()[1] == "step 2: loss 0.5"
    assert err.splitlines() == [
        "2 rows, from step 0",
        f"{run} completed; 'twin jobs fetch {run} FOLDER' gets its output",
    ]


def test_following_a_run_that_fails_is_exit_code_1_with_the_reason(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "a", base="fails-at-3"), name="sft")
    code, _, err = twin("logs", run, "--follow")
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"twin: error: {run} failed: the loss is not a number; ")
    assert f"twin jobs resume {run}" in last


def test_a_run_is_stopped_resumed_followed_and_fetched(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "a", base="waits"), name="sft")
    line_seen(runner, run, '"step": 3')
    assert twin("stop", run)[0] == 0
    ended(runner, run)
    (tmp_path / "runs" / run / "checkpoints" / "go").touch()
    code, out, err = twin("resume", run, "--follow")
    assert (code, out) == (0, "step 4: loss 0.25\n")
    assert "2 rows, from step 3" in err
    assert "2 rows, from step 0" not in err, "what was said before is not said again"
    code, out, _ = twin("fetch", run, str(tmp_path / "new"))
    assert (code, out) == (0, f"{tmp_path / 'new'}\n")
    assert (tmp_path / "new" / "result.json").exists()


def test_a_beginning_that_two_runs_share_and_a_run_that_is_none_are_one_line_each(
    twin: Twin, runner: LocalJobRunner, tmp_path: Path
) -> None:
    runs = [runner.submit(job_folder(tmp_path / name), name="sft") for name in "ab"]
    for run in runs:
        ended(runner, run)
    code, _, err = twin("show", "sft-")
    assert (code, err.count("\n")) == (1, 1)
    assert "2 runs start with 'sft-'" in err
    for ask in (["show"], ["logs"], ["stop"], ["resume"]):
        code, _, err = twin(*ask, "nothing")
        assert (code, err.count("\n")) == (1, 1)
        assert "no run 'nothing'" in err


def test_ctrl_c_while_following_leaves_the_run_going(
    runner: LocalJobRunner, tmp_path: Path
) -> None:
    run = runner.submit(job_folder(tmp_path / "a", base="waits"), name="sft")
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWS, str(tmp_path / "runs"), run],
        cwd=ROOT,
        env={**os.environ, "TWIN_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdout is not None
        while follower.stdout.readline() != "step 3: loss 0.3333\n":
            assert follower.poll() is None
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=60)
    assert follower.returncode == 130
    assert f"'twin jobs stop {run}' stops it" in err
    assert not runner.status(run).state.ended
