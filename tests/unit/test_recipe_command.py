"""Every recipe reads its job, speaks and ends in the same way."""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_engineering.domain.errors import TrainingFailed
from llm_engineering.domain.training import DeviceUse, JobResult, MergeJob, SftJob
from llm_engineering.recipes import launching, running
from llm_engineering.recipes.running import Run, Stopped, run_recipe

CPU = DeviceUse(name="cpu", precision="float32", reason="a test")
RESULT = JobResult(recipe="merge", base="b", nano=False, device=CPU)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "unset")


def call(
    folder: Path, main: Callable[[MergeJob, Run], JobResult], *, job: str = '{"base": "base"}'
) -> int:
    (folder / "job.json").write_text(job)
    output, checkpoints = str(folder / "output"), str(folder / "checkpoints")
    arguments = [str(folder / "job.json"), "--output", output, "--checkpoints", checkpoints]
    return run_recipe(main, MergeJob, arguments)


def error_of(folder: Path) -> str:
    return (folder / "output" / "error.txt").read_text("utf-8")


def raising(error: BaseException) -> Callable[[MergeJob, Run], JobResult]:
    def main(job: MergeJob, run: Run) -> JobResult:
        raise error

    return main


def test_standard_output_holds_events_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(job: MergeJob, run: Run) -> JobResult:
        sys.stdout.write("a library chats")
        run.tell("merge", 1, 2, share=0.5)
        return RESULT

    assert call(tmp_path, main) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "event": "step",
        "stage": "merge",
        "step": 1,
        "steps": 2,
        "metrics": {"share": 0.5},
    }
    assert "a library chats" in err
    assert (tmp_path / "output" / "metrics.jsonl").read_text() == out
    written = (tmp_path / "output" / "result.json").read_text()
    assert JobResult.model_validate_json(written) == RESULT


def test_a_failure_is_one_line_in_a_file_and_takes_an_earlier_result_away(tmp_path: Path) -> None:
    assert call(tmp_path, lambda job, run: RESULT) == 0
    assert call(tmp_path, raising(TrainingFailed("the loss is nan;\n lower the rate"))) == 1
    assert error_of(tmp_path) == "the loss is nan; lower the rate\n"
    assert not (tmp_path / "output" / "result.json").exists()
    assert call(tmp_path, lambda job, run: RESULT) == 0
    assert not (tmp_path / "output" / "error.txt").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
    ],
)
def test_every_writers_full_disk_is_the_same_line(tmp_path: Path, error: Exception) -> None:
    assert call(tmp_path, raising(error)) == 1
    assert error_of(tmp_path).startswith("the disk is full; free some space and resume")


def test_a_device_without_memory_says_what_to_lower(tmp_path: Path) -> None:
    class OutOfMemoryError(RuntimeError):
        """Torch's has this name."""

    assert call(tmp_path, raising(OutOfMemoryError("CUDA out of memory. Tried to…"))) == 1
    expected = "out of memory; lower optimizer.batch_size or optimizer.max_length\n"
    assert error_of(tmp_path) == expected


def test_what_nobody_foresaw_is_one_line_too_and_its_trace_goes_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert call(tmp_path, raising(KeyError("surprise"))) == 1
    assert error_of(tmp_path) == "KeyError: 'surprise'\n"
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ('{"base": "b", "rank": 3}', "rank: Extra inputs are not permitted; write the job anew"),
        ("{", "Invalid JSON"),
        ('{"recipe": "sft", "base": "b"}', "recipe: Input should be 'merge'"),
    ],
)
def test_a_job_that_is_none_is_refused_with_file_and_key(
    tmp_path: Path, job: str, says: str
) -> None:
    assert call(tmp_path, raising(AssertionError("not reached")), job=job) == 1
    assert str(tmp_path / "job.json") in error_of(tmp_path)
    assert says in error_of(tmp_path)


def test_sigterm_ends_a_recipe_that_does_not_heed_it_at_once(tmp_path: Path) -> None:
    def main(job: MergeJob, run: Run) -> JobResult:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    assert call(tmp_path, main) == 143
    assert list((tmp_path / "output").iterdir()) == [], "to be stopped is no failure"
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_heeded_by_a_recipe_that_says_so(tmp_path: Path) -> None:
    def main(job: MergeJob, run: Run) -> JobResult:
        run.can_stop = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop_asked
        raise Stopped

    assert call(tmp_path, main) == 143


@pytest.mark.parametrize(("is_folder", "offline"), [(True, "1"), (False, "unset")])
def test_a_hub_is_asked_only_for_a_base_that_is_no_folder(
    tmp_path: Path, is_folder: bool, offline: str
) -> None:
    if is_folder:
        (tmp_path / "base").mkdir()
    seen = []

    def main(job: MergeJob, run: Run) -> JobResult:
        seen.append((os.environ["HF_HUB_OFFLINE"], os.environ["TOKENIZERS_PARALLELISM"]))
        return RESULT

    assert call(tmp_path, main) == 0
    assert seen == [(offline, "false")]


def test_only_the_first_of_several_processes_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")

    def main(job: MergeJob, run: Run) -> JobResult:
        run.tell("merge", 1, 1)
        return RESULT

    assert call(tmp_path, main) == 0
    assert list((tmp_path / "output").iterdir()) == []
    assert capsys.readouterr().out == ""


def test_a_recipe_that_several_devices_share_starts_a_process_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it, a runner or a container: one process would copy the model at each step."""
    started: list[tuple[list[str], int]] = []

    def together(command: list[str], *, count: int) -> int:
        started.append((command, count))
        return 143

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(launching, "_cuda_devices", lambda: 4)
    monkeypatch.setattr(running, "run_together", together)
    arguments = ["job.json", "--output", str(tmp_path / "o"), "--checkpoints", str(tmp_path / "c")]

    def never(job: SftJob, run: Run) -> JobResult:
        raise AssertionError

    assert run_recipe(never, SftJob, arguments) == 143
    assert started == [
        ([sys.executable, "-m", "llm_engineering.recipes.sft", *arguments], 4),
    ]


def test_what_failed_first_is_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others fail for want of the one that did."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "error.txt").write_text("out of memory\n")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")

    assert call(tmp_path, raising(RuntimeError("connection closed by peer"))) == 1
    assert error_of(tmp_path) == "out of memory\n"
