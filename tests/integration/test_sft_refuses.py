"""What cannot be trained is refused in one clear line, and what goes wrong ends in one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from llm_engineering.domain.training import SftJob
from llm_engineering.recipes import sft
from llm_engineering.recipes.running import run_recipe
from tests.chat_bases import row, sft_folder, write_job, write_rows

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sft_folder(tmp_path)


def error_of(folder: Path) -> str:
    """Of a run that must fail; exactly one line."""
    output = folder / "output"
    places = ("--output", str(output), "--checkpoints", str(folder / "checkpoints"))
    assert run_recipe(sft.train_sft, SftJob, [str(folder / "job.json"), *places]) == 1
    assert not (output / "result.json").exists()
    return only_line(output)


def only_line(output: Path) -> str:
    text = (output / "error.txt").read_text("utf-8")
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text.rstrip("\n")


def test_a_folder_that_is_not_there(folder: Path) -> None:
    write_job(folder, base="./nowhere")
    assert error_of(folder) == "base './nowhere': no such folder; name a folder or a hub id"


def test_weights_that_are_cut(folder: Path) -> None:
    weights = folder / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "holds no model that can be read" in error_of(folder)


def test_a_base_without_a_chat_template(folder: Path) -> None:
    (folder / "base" / "chat_template.jinja").unlink()
    assert "has no chat template; name an instruct model" in error_of(folder)


def test_too_little_memory_before_any_weight_is_read(folder: Path) -> None:
    (folder / "base" / "model.safetensors").unlink()
    write_job(folder, optimizer={"batch_size": 10_000_000})
    assert "'base' needs" in error_of(folder)


def test_no_data(folder: Path) -> None:
    (folder / "data" / "train.jsonl").unlink()
    assert error_of(folder).endswith("holds 0 rows and 16 are needed; make a larger sample set")


def test_tiny_data(folder: Path) -> None:
    write_rows(folder / "data", "train", [row(n) for n in range(15)])
    assert error_of(folder).endswith("holds 15 rows and 16 are needed; make a larger sample set")


def test_nothing_held_out(folder: Path) -> None:
    write_rows(folder / "data", "validation", [])
    assert "validation.jsonl holds 0 rows and 1 are needed" in error_of(folder)


def test_rows_that_are_all_too_long(folder: Path) -> None:
    write_job(folder, optimizer={"max_length": 32})
    assert error_of(folder) == (
        "48 of 48 rows of train are longer than 32 tokens and 16 must be left; "
        "raise optimizer.max_length or cut shorter spans"
    )


def test_a_row_that_is_none_is_named(folder: Path) -> None:
    rows = [row(n) for n in range(20)]
    rows[6]["completion"] = [{"role": "assistant", "content": ""}]
    write_rows(folder / "data", "train", rows)
    assert "train.jsonl, line 7: completion.0.content: String should have" in error_of(folder)


def test_checkpoints_of_another_job(folder: Path) -> None:
    write_job(folder, optimizer={"max_steps": 1, "max_length": 256})
    places = ("--output", str(folder / "first"), "--checkpoints", str(folder / "checkpoints"))
    assert run_recipe(sft.train_sft, SftJob, [str(folder / "job.json"), *places]) == 0
    write_job(folder, optimizer={"max_steps": 2, "max_length": 256})
    assert "holds checkpoints of another job or other data" in error_of(folder)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(folder: Path) -> None:
    write_job(
        folder,
        optimizer={"max_steps": 6, "learning_rate": 1e30, "evaluations": 6, "max_length": 256},
    )
    line = error_of(folder)
    assert "is nan at step " in line
    assert line.endswith("lower optimizer.learning_rate (the checkpoint of step 1 is kept)")
    assert [path.name for path in (folder / "checkpoints").glob("checkpoint-*")] == ["checkpoint-1"]
    (folder / "checkpoints" / "checkpoint-1" / "whole.json").read_bytes()


class _NoModels(BaseHTTPRequestHandler):
    """A hub that has no model at all."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _NoModels) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def error_with_hub(folder: Path, endpoint: str) -> str:
    """The library reads the hub's address when it is imported: a process of its own."""
    write_job(folder, base="somebody/some-model")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "llm_engineering.recipes.sft", folder / "job.json"),
            *("--output", folder / "output", "--checkpoints", folder / "checkpoints"),
        ],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if "HF_" not in name},
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(folder / "cache"),
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    line = only_line(folder / "output")
    assert ended.stderr.splitlines()[-1] == f"sft: error: {line}"
    return line


def test_a_hub_id_that_does_not_exist(folder: Path, hub: str) -> None:
    assert error_with_hub(folder, hub) == (
        "the hub has no model 'somebody/some-model' for you; check the name, or your token"
    )


def test_a_hub_id_without_a_network(folder: Path) -> None:
    assert error_with_hub(folder, "http://127.0.0.1:9") == (
        "base 'somebody/some-model' is not here and the hub cannot be reached; name a folder that "
        "holds the model, or base: nano"
    )
