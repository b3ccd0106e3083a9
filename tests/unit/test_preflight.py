"""What a job needs is known, and refused, before any weight is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse, GenerateJob, LoraRule, MergeJob, SftJob
from llm_engineering.recipes import preflight as checks
from llm_engineering.recipes.adapters import with_lora
from llm_engineering.recipes.estimates import memory_of, shape_of
from llm_engineering.recipes.fits import fit_answering, fit_merging, fit_training
from llm_engineering.recipes.packing import collate, columns, pack
from llm_engineering.recipes.places import Place, there
from llm_engineering.recipes.turns import Tokens
from tests.chat_bases import sft_folder, write_job

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

EIGHT_B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
}
"""Of Llama 3.1 8B."""
CPU = DeviceUse(name="cpu", precision="float32", reason="a test")
SMALL = Place(name="a small machine", device=CPU, memory_mb=400, operations_per_s=1e11)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "unset")


def llama(**sizes: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**sizes)


def without_weights(folder: Path) -> Path:
    (folder / "base" / "model.safetensors").unlink()
    return folder


def test_the_counts_of_an_8b_model_are_known_from_its_configuration() -> None:
    shape = shape_of(llama(**EIGHT_B))
    assert shape.parameters == 8_030_261_248
    assert shape.head == 4096 * 128_256
    memory = memory_of(
        shape, LoraRule(rank=16), sequences=1, length=2_048, measured=2_048, bytes_each=2
    )
    assert memory.weights == pytest.approx(8.03e9 * 2 / 2**20, rel=0.01)
    assert memory.adapter == pytest.approx(41_943_040 * 16 / 2**20)
    four_bit = memory_of(
        shape,
        LoraRule(rank=16),
        sequences=1,
        length=2_048,
        measured=2_048,
        bytes_each=2,
        four_bit=True,
    )
    assert 5_000 < four_bit.weights < 6_500, "QLoRA's 8B fits into 6 GB"


def kept_for_backward(config: Any, *, length: int) -> int:
    """Bytes that a training step's forward pass really keeps, weights not counted."""
    from transformers import LlamaForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model = with_lora(LlamaForCausalLM(config), LoraRule(rank=8), seed=0)
    add_fused_lm_head(model.get_base_model())
    model.train()
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    rows = [Tokens(tuple(range(length // 4)), given=2)] * 4
    table = columns(pack(rows, length=length))
    batch = collate([{name: table[name][0] for name in table}], padding=0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(**batch, fused_lm_head=True)
    return sum(sizes.values())


@pytest.mark.parametrize(
    ("width", "inner", "layers", "length"),
    [(64, 176, 2, 256), (128, 352, 3, 256), (64, 128, 4, 512)],
)
def test_the_memory_of_a_step_is_what_it_really_keeps(
    width: int, inner: int, layers: int, length: int
) -> None:
    config = llama(
        vocab_size=512,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    memory = memory_of(
        shape_of(config),
        LoraRule(rank=8),
        sequences=1,
        length=length,
        measured=length,
        bytes_each=4,
    )
    assert memory.kept * 2**20 == pytest.approx(kept_for_backward(config, length=length), rel=0.15)


LLAMA_70B = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
}


def gpu(gigabytes: float, *, count: int = 1) -> Place:
    return Place(
        name="a GPU",
        device=DeviceUse(name="cuda", precision="bfloat16", reason="a test", count=count),
        memory_mb=gigabytes * 1e9 / 2**20,
        operations_per_s=1e15,
    )


def test_computing_layers_twice_is_chosen_only_where_nothing_else_fits() -> None:
    job = SftJob(base="b")
    shape = shape_of(llama(**EIGHT_B))
    for gigabytes, recompute in ((80, False), (32, True)):
        fit = fit_training(job, shape, job.lora, gpu(gigabytes))
        assert (fit.recompute, fit.shards) == (recompute, 1)


def test_a_base_is_cut_up_only_where_one_device_does_not_hold_it() -> None:
    job = SftJob(base="b")
    eight, seventy = shape_of(llama(**EIGHT_B)), shape_of(llama(**LLAMA_70B))
    assert fit_training(job, eight, job.lora, gpu(80, count=8)).shards == 1
    fit = fit_training(job, seventy, job.lora, gpu(80, count=8))
    assert (fit.shards, fit.recompute) == (8, True)
    whole, layers = 2 * 128_256 * 8192, 70.55e9 - 2 * 128_256 * 8192
    at_once = whole + layers / 8 + 2 * layers / 80
    assert fit.memory.weights == pytest.approx(2 * at_once / 2**20, rel=0.01)
    with pytest.raises(InvalidInput, match=r"needs .* on each of 2 devices and a GPU has 74"):
        fit_training(job, seventy, job.lora, gpu(80, count=2))
    with pytest.raises(InvalidInput, match=r"needs .* GiB and a GPU has 74"):
        fit_training(job, seventy, job.lora, gpu(80))


def test_answers_need_the_base_its_cache_and_no_gradients() -> None:
    job = GenerateJob(base="b", max_tokens=512)
    shape = shape_of(llama(**EIGHT_B))
    fit = fit_answering(job, shape, LoraRule(), gpu(80), longest=512)
    assert fit.memory.weights == pytest.approx(8.03e9 * 2 / 2**20, rel=0.01)
    cache = 2 * 32 * 8 * 128 * 2 * 16 * 1024 / 2**20
    assert cache < fit.memory.kept < 2 * cache
    says = r"lower batch_size or max_tokens, set quantization: 4bit"
    with pytest.raises(InvalidInput, match=says):
        fit_answering(job, shape, LoraRule(), gpu(16), longest=512)
    with pytest.raises(InvalidInput, match="needs a CUDA device; set quantization: none"):
        fit_answering(
            job.model_copy(update={"quantization": "4bit"}), shape, LoraRule(), SMALL, longest=512
        )


def test_merging_needs_the_whole_base_in_the_machines_memory() -> None:
    shape = shape_of(llama(**EIGHT_B))
    with pytest.raises(InvalidInput, match=r"needs 36\.\d GiB and a small machine has 0\.4 GiB"):
        fit_merging(MergeJob(base="b"), shape, LoraRule(), SMALL)


def test_an_instance_counts_the_processes_that_a_run_really_has_there() -> None:
    assert there("ml.g5.12xlarge", "sft").device.count == 4
    assert there("ml.g5.12xlarge", "generate").device.count == 1
    assert there("ml.m5.2xlarge", "sft").device.count == 1
    assert there("ml.g4dn.xlarge", "sft").device.precision == "float32", "a T4 multiplies no bf16"


def test_what_does_not_fit_is_refused_before_any_weight_is_read(tmp_path: Path) -> None:
    folder = without_weights(sft_folder(tmp_path))
    says = r"'base' needs 0\.9 GiB and a small machine has 0\.4 GiB .*; lower optimizer\.batch_size"
    with pytest.raises(InvalidInput, match=says):
        checks.preflight(SftJob(base="base"), folder, SMALL)


def test_a_job_of_a_million_rows_at_once_is_told_so_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = without_weights(sft_folder(tmp_path, optimizer={"batch_size": 10_000_000}))
    assert checks.main([str(folder / "job.json")]) == 1
    assert capsys.readouterr().out == ""
    assert "preflight: error: 'base' needs" in caplog.text
    assert "GiB and this machine has" in caplog.text


def test_it_counts_rows_tokens_and_steps_and_knows_the_price(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = without_weights(
        sft_folder(tmp_path, optimizer={"max_length": 92, "batch_size": 2, "epochs": 3})
    )
    command = [str(folder / "job.json"), "--instance", "ml.g5.2xlarge"]
    assert checks.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == {"train": 48, "validation": 5, "test": 4}
    assert found["too_long"]["train"] == 12, "those of four sentences"
    assert found["tokens"] == pytest.approx(36 * 80, rel=0.05)
    assert found["steps"] == 3 * 36 / 2, "no two of them fit into 92 tokens"
    assert found["prices_of"] == "2025-01"
    assert found["usd"] == pytest.approx(found["minutes"] / 60 * 1.515)
    assert checks.main([*command, "--price", "3.03"]) == 0
    assert json.loads(capsys.readouterr().out)["usd"] == pytest.approx(2 * found["usd"])


def test_an_instance_without_figures_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(InvalidInput, match=r"no figures for instance 'ml\.x'; .*ml\.g5\.2xlarge"):
        there("ml.x", "sft")


def test_four_bits_without_cuda_is_refused(tmp_path: Path) -> None:
    folder = sft_folder(tmp_path)
    write_job(folder, quantization="4bit")
    with pytest.raises(InvalidInput, match="needs a CUDA device; set quantization: none"):
        checks.preflight(SftJob(base="base", quantization="4bit"), folder, SMALL)


def test_a_time_limit_bounds_the_time(tmp_path: Path) -> None:
    folder = without_weights(sft_folder(tmp_path))
    slow = SMALL.model_copy(update={"memory_mb": 1e6, "operations_per_s": 1e3})
    job = SftJob.model_validate({"base": "base", "optimizer": {"max_minutes": 2}})
    ready = checks.READY_SECONDS["cpu"] / 60
    assert checks.preflight(job, folder, slow).minutes == pytest.approx(2 + ready)
