"""`vllm serve` is called with what the version and the machine need, and nothing secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.served_models import Served
from llm_engineering.infrastructure.token_counts import local_counter
from llm_engineering.infrastructure.vllm_command import (
    VllmOptions,
    command,
    environment,
    find_vllm,
    own_arguments,
    room_for,
)
from llm_engineering.infrastructure.vllm_log import ServerLog, shortened

ADAPTER = Served("sft-0a1b2c3d4e5f", "org/model", Path("/models/a"), rank=16, room=24)
WHOLE = Served("sft-0a1b2c3d4e5f", "/home/serving/0a1b2c3d4e5f")


def arguments(served: Served = ADAPTER, **options: Any) -> dict[str, str]:
    """Each option with its value; '' for a switch."""
    given = {"executable": Path("/bin/vllm"), "max_model_len": 4_096, **options}
    words = command(served, VllmOptions(**given), socket=Path("/run/s"))
    assert words[:3] == ["/bin/vllm", "serve", served.base]
    found: dict[str, str] = {}
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            found[word] = "" if after.startswith("--") else after
    return found


def test_an_adapter_is_loaded_under_its_versions_name_with_room_for_others() -> None:
    found = arguments()
    assert found["--lora-modules"] == "sft-0a1b2c3d4e5f=/models/a"
    assert found["--max-lora-rank"] == "32"
    assert found["--max-loras"] == "2"
    assert found["--served-model-name"] == "base"
    assert "--enable-lora" in found


def test_a_whole_model_is_named_by_its_version() -> None:
    found = arguments(WHOLE)
    assert found["--served-model-name"] == "sft-0a1b2c3d4e5f"
    assert "--enable-lora" not in found


def test_prefixes_are_cached_and_templates_asked_as_training_asks_them() -> None:
    found = arguments()
    assert "--enable-prefix-caching" in found
    assert json.loads(found["--default-chat-template-kwargs"]) == {"enable_thinking": False}


@pytest.mark.parametrize(("own", "expected"), [(2_048, 2_048), (131_072, 4_096)])
def test_the_context_is_what_is_needed_and_at_most_the_models_own(
    tmp_path: Path, own: int, expected: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": own}))
    found = arguments(Served("v", str(tmp_path)))
    assert found["--max-model-len"] == str(expected)


def test_quantization_speculation_and_tools_go_in_where_they_are_set() -> None:
    plain = arguments()
    assert not {"--quantization", "--speculative-config", "--tool-call-parser"} & plain.keys()
    found = arguments(
        quantization="fp8", speculation="ngram", speculative_tokens=3, tool_parser="hermes"
    )
    assert found["--quantization"] == "fp8"
    guess = json.loads(found["--speculative-config"])
    assert (guess["method"], guess["num_speculative_tokens"]) == ("ngram", 3)
    assert found["--tool-call-parser"] == "hermes"
    assert "--enable-auto-tool-choice" in found


def test_a_gpu_compiles_and_a_cpu_does_not() -> None:
    assert "--enforce-eager" in arguments(gpu=False)
    assert "--enforce-eager" not in arguments(gpu=True)


@pytest.mark.parametrize(("gpu", "share", "fit"), [(False, 0.9, True), (True, 0.9, False)])
def test_two_servers_fit_where_each_takes_less_than_half(
    gpu: bool, share: float, fit: bool
) -> None:
    options = VllmOptions(Path("vllm"), 4_096, gpu=gpu, gpu_memory=share)
    assert options.two_fit is fit
    assert VllmOptions(Path("vllm"), 4_096, gpu=True, gpu_memory=0.45).two_fit


def test_more_arguments_come_last_as_in_a_shell() -> None:
    given = own_arguments("--max-num-seqs 8 --chat-template 'a b.jinja'")
    words = command(ADAPTER, VllmOptions(Path("v"), 1, arguments=given), socket=Path("s"))
    assert words[-4:] == ["--max-num-seqs", "8", "--chat-template", "a b.jinja"]


@pytest.mark.parametrize("text", ["--api-key x", "--host=0.0.0.0", "--served_model_name y"])
def test_what_is_set_here_may_not_be_set_twice(text: str) -> None:
    with pytest.raises(InvalidInput, match="which is set here"):
        own_arguments(text)


def test_arguments_that_no_shell_would_take_are_one_line() -> None:
    with pytest.raises(InvalidInput, match="TWIN_CHAT__ARGUMENTS: No closing quotation"):
        own_arguments("--x 'open")


def test_the_environment_has_the_key_and_none_of_our_secrets() -> None:
    ours = {"TWIN_DOCUMENTS__URI": "mongodb://a:b@c", "PYTHONPATH": "/ours", "HOME": "/root"}
    options = VllmOptions(Path("vllm"), 1, cpu_cache_gb=3)
    found = environment(ADAPTER, options, key="secret", environ=ours)
    assert found["VLLM_API_KEY"] == "secret"
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert found["HOME"] == "/root"
    assert not {"TWIN_DOCUMENTS__URI", "PYTHONPATH"} & found.keys()
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in environment(
        WHOLE, options, key="secret", environ={}
    )


@pytest.mark.parametrize(("rank", "room"), [(1, 8), (8, 8), (9, 16), (257, 320), (512, 512)])
def test_the_room_is_the_least_that_vllm_offers(rank: int, room: int) -> None:
    assert room_for(rank) == room


def test_a_rank_past_all_of_them_is_one_line() -> None:
    with pytest.raises(InvalidInput, match="rank 513 and vLLM takes 512"):
        room_for(513)


def test_without_a_vllm_its_installation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="make vllm-env"):
        find_vllm("")
    with pytest.raises(InvalidInput, match="TWIN_CHAT__COMMAND"):
        find_vllm("/no/such/vllm")
    own = tmp_path / ".venv-vllm" / "bin" / "vllm"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o755)
    assert find_vllm("") == own


def test_lines_are_shown_without_who_says_them_when() -> None:
    line = "(Worker pid=6729) INFO 11-25 18:28:10 [cpu_model_runner.py:68] Starting to load model"
    assert shortened(line) == "Starting to load model"
    assert len(shortened("x" * 1_000)) == 200


def test_the_last_words_are_the_error_that_names_a_cause(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "logs" / "vllm.log")
    log.begins("starting")
    for line in (
        "torch.OutOfMemoryError: CUDA out of memory",
        "RuntimeError: Engine core initialization failed. See root cause above.",
        "nanobind: leaked 514 functions!",
    ):
        log.says(line)
    assert log.last_words == "torch.OutOfMemoryError: CUDA out of memory"
    log.begins("starting again")
    assert log.last_words == "it said nothing"
    assert (tmp_path / "logs" / "vllm.log").read_text().count("\n") == 5


def test_a_small_context_is_shared_between_evidence_and_answer() -> None:
    config = AnswerConfig()
    assert config.within(None) == config == config.within(config.context_tokens)
    small = config.within(512)
    parts = small.retrieval.budget_tokens + small.history_tokens + small.max_tokens
    assert small.max_tokens == 128
    assert parts <= 256
    assert small.retrieval.budget_tokens >= 50


def test_tokens_are_counted_here_where_the_tokenizer_is(tmp_path: Path) -> None:
    tokenizer = tokenizer_of_words()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    count = local_counter(str(tmp_path))
    assert count is not None
    assert count("two words") == 2
    assert count("half \ud83d pair") == 3  # JSON can carry what Unicode does not


def test_where_there_is_no_tokenizer_the_server_must_count(tmp_path: Path) -> None:
    assert local_counter(str(tmp_path)) is None
    assert local_counter("nobody/has-this") is None


def tokenizer_of_words() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[?]": 0}, unk_token="[?]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer
