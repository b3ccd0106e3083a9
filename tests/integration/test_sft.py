"""A tiny adapter is really trained, in this process."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

from llm_engineering.domain.training import DeviceUse, JobResult, SftJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes import sft
from llm_engineering.recipes.adapters import with_lora
from llm_engineering.recipes.bases import load_model, load_tokenizer
from llm_engineering.recipes.checkpoints import Progress
from llm_engineering.recipes.following import Follower, follow
from llm_engineering.recipes.held_out import held_out_loss
from llm_engineering.recipes.meter import Meter
from llm_engineering.recipes.packing import alone, pack
from llm_engineering.recipes.running import Run, read_job, run_recipe
from llm_engineering.recipes.turns import tokenize
from tests.chat_bases import row, sft_folder, tiny_base, write_job, write_rows

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn about their own defaults

FOUR = 330
"""Tokens that hold four of the rows of two sentences (78 to 82 tokens) and not five."""
CPU = DeviceUse(name="cpu", precision="float32", reason="a test compares in full precision")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> object:
    """No network, and the environment as it was."""
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "0")
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def run(folder: Path, *, output: str = "output", checkpoints: str = "checkpoints") -> int:
    places = ("--output", str(folder / output), "--checkpoints", str(folder / checkpoints))
    return run_recipe(sft.train_sft, SftJob, [str(folder / "job.json"), *places])


def result(folder: Path) -> JobResult:
    return JobResult.model_validate_json((folder / "output" / "result.json").read_bytes())


def told(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "output" / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_an_adapter_learns_the_authors_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sft_folder(
        tmp_path,
        optimizer={"epochs": 8, "learning_rate": 2e-2, "max_length": 256, "batch_size": 1},
    )
    assert run(folder) == 0
    found = result(folder)
    for split in ("validation", "test"):
        assert found.after[split].loss < 0.95 * found.before[split].loss
    assert found.throughput is not None
    assert found.throughput.padding_share < 0.2
    tokenizer = load_tokenizer(str(folder / "base"))
    rows = data.read_rows(folder / "data", "train", data.SftRow)
    epoch = sum(len(tokenize(tokenizer, row.prompt, row.completion[0]).ids) for row in rows)
    assert found.throughput.tokens == 8 * epoch, "every token of every row, and no padding"
    assert found.device.reason
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == told(folder), "only events on standard output"
    assert {"loss", "grad_norm", "learning_rate", "tokens_per_s"} <= told(folder)[1][
        "metrics"
    ].keys()


def test_the_kept_adapter_fits_its_base_and_has_the_loss_that_is_told(tmp_path: Path) -> None:
    from peft import PeftModel

    folder = sft_folder(tmp_path, optimizer={"max_steps": 6, "learning_rate": 1e-2})
    assert run(folder) == 0
    found = result(folder)
    adapter = folder / "output" / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base", "no folder of this machine"
    assert {name.split(".")[-1] for name in config["target_modules"]} == {
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }
    model = PeftModel.from_pretrained(load_model(str(folder / "base"), found.device), str(adapter))
    tokenizer = load_tokenizer(str(folder / "base"))
    rows = data.read_rows(folder / "data", "test", data.SftRow)
    tokens = [tokenize(tokenizer, row.prompt, row.completion[0]) for row in rows]
    again = held_out_loss(model, pack(tokens, length=1_024), found.device)
    assert again.loss == pytest.approx(found.after["test"].loss, rel=1e-6)


def test_the_held_out_loss_is_the_mean_over_the_answers_tokens(tmp_path: Path) -> None:
    """Packed or not, and as plain cross entropy over whole logits gives it."""
    base = str(tiny_base(tmp_path / "base"))
    model, tokenizer = load_model(base, CPU), load_tokenizer(base)
    rows = [data.SftRow.model_validate(row(n, sentences=1 + n % 3)) for n in range(9)]
    tokens = [tokenize(tokenizer, found.prompt, found.completion[0]) for found in rows]
    total, count = 0.0, 0
    for found in tokens:
        ids = torch.tensor([found.ids])
        with torch.no_grad():
            likely = model(input_ids=ids).logits[0].log_softmax(-1)
        for place in range(found.given, len(found.ids)):
            total -= float(likely[place - 1, found.ids[place]])
            count += 1
    for sequences in (pack(tokens, length=256), alone(tokens)):
        measured = held_out_loss(model, sequences, CPU)
        assert measured.loss == pytest.approx(total / count, rel=1e-5)
        assert measured.rows == len(rows)


def losses_of_20_steps(folder: Path, *, packed: bool) -> list[float]:
    """Four rows a step, the same four in the same order, in one sequence or in four."""
    from transformers import set_seed

    write_job(
        folder,
        packing=packed,
        optimizer={
            "max_steps": 20,
            "learning_rate": 1e-3,
            "max_length": FOUR,
            "batch_size": 1 if packed else 4,
            "evaluations": 1,
        },
    )
    job = read_job(folder / "job.json", sft.JOB)
    output = folder / f"packed {packed}"
    output.mkdir()
    place = Run(folder, output, output, events=io.StringIO())
    tokenizer = load_tokenizer(str(folder / "base"))
    rows = sft.read_splits(job, place, tokenizer).rows
    fours = pack(rows["train"], length=FOUR)
    assert {len(four.rows) for four in fours} == {4}
    train = tuple(found for four in fours for found in four.rows)
    set_seed(0)
    model = with_lora(load_model(str(folder / "base"), CPU), job.lora, seed=0)
    meter = Meter(CPU)
    follower = Follower(
        place,
        job.optimizer,
        meter,
        lambda: held_out_loss(model, alone(rows["validation"]), CPU),
        Progress(job=""),
    )
    trainer = sft.sft_trainer(job, place, CPU, model, tokenizer, train, follower, False)
    trainer.args.train_sampling_strategy = "sequential"
    follow(trainer, follower)
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [
        event["metrics"]["loss"] for event in map(json.loads, lines) if event["stage"] == "train"
    ]


def test_packed_and_unpacked_steps_lose_the_same(tmp_path: Path) -> None:
    """Both are one mean over the same tokens. In f32 (24 bits, 6e-8) a sum of a few hundred terms
    in another order differs by about 1e-6, and twenty Adam steps carry that on."""
    folder = sft_folder(tmp_path)
    write_rows(folder / "data", "train", [row(n, sentences=2) for n in range(80)])
    packed = losses_of_20_steps(folder, packed=True)
    unpacked = losses_of_20_steps(folder, packed=False)
    assert len(packed) == len(unpacked) == 20
    assert packed == pytest.approx(unpacked, rel=2e-5)
    assert packed[0] - packed[-1] > 0.01, "they moved together, they did not stand still"
