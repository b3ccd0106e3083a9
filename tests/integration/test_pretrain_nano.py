"""A model is really trained from nothing, and serves as a base."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

from llm_engineering.domain.training import JobResult, PretrainNanoJob
from llm_engineering.recipes.bases import is_nano, load_model, load_tokenizer
from llm_engineering.recipes.pretrain_nano import CLAIM, pretrain_nano
from llm_engineering.recipes.rows import Answer, Turn
from llm_engineering.recipes.running import run_recipe
from llm_engineering.recipes.turns import tokenize
from tests.chat_bases import SENTENCES, write_rows

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = {
    "vocabulary": 400,
    "layers": 2,
    "width": 64,
    "heads": 2,
    "context": 64,
    "batch_size": 4,
    "tokens": 15_000,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> object:
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "0")
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def texts(count: int) -> list[dict[str, Any]]:
    return [
        {"id": str(n), "text": " ".join(SENTENCES[(n * k) % 6] for k in range(1, 9))}
        for n in range(count)
    ]


def train(folder: Path, **job: Any) -> tuple[int, Path]:
    write_rows(folder / "data", "train", texts(30))
    write_rows(folder / "data", "validation", texts(4))
    said = {"recipe": "pretrain_nano", **SMALL, **job}
    (folder / "job.json").write_text(json.dumps(said))
    output = folder / "output"
    places = ("--output", str(output), "--checkpoints", str(folder / "checkpoints"))
    return run_recipe(pretrain_nano, PretrainNanoJob, [str(folder / "job.json"), *places]), output


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, output = train(tmp_path_factory.mktemp("nano"))
    assert code == 0
    return output


def test_it_learns_to_expect_what_it_has_not_read(trained: Path) -> None:
    result = JobResult.model_validate_json((trained / "result.json").read_bytes())
    assert result.after["validation"].loss < 0.5 * result.before["validation"].loss
    assert result.nano
    assert result.throughput is not None
    assert 15_000 <= result.throughput.tokens < 15_000 + 4 * 64


def test_its_folder_loads_as_any_base_and_says_what_it_is(trained: Path) -> None:
    base = str(trained / "model")
    result = JobResult.model_validate_json((trained / "result.json").read_bytes())
    model, tokenizer = load_model(base, result.device), load_tokenizer(base)
    assert is_nano(base)
    mark = json.loads((trained / "model" / "nano.json").read_text())
    assert mark["claim"] == CLAIM
    assert mark["parameters"] == model.num_parameters()
    ended = {tokenizer.convert_ids_to_tokens(n) for n in model.generation_config.eos_token_id}
    assert ended == {"<|im_end|>", "<|endoftext|>"}


def test_its_tokenizer_gives_every_character_back(trained: Path) -> None:
    tokenizer: Any = load_tokenizer(str(trained / "model"))
    for text in ("“Quotes” — dashes – 日本語 🙂", "  two spaces\n\n\tand a tab ", "don't . stop"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_its_templates_marks_and_our_labels_say_the_same(trained: Path) -> None:
    tokenizer: Any = load_tokenizer(str(trained / "model"))
    prompt = (Turn(role="system", content="You are Ada."), Turn(role="user", content="Write."))
    answer = Answer(role="assistant", content=SENTENCES[4])
    marked = tokenizer.apply_chat_template(
        [turn.model_dump() for turn in (*prompt, answer)],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    found = tokenize(tokenizer, prompt, answer)
    assert tuple(marked["input_ids"][: len(found.ids)]) == found.ids
    mask = [0] * found.given + [1] * found.learnt
    rest = len(marked["input_ids"]) - len(mask)
    assert marked["assistant_masks"] == mask + [0] * rest


def test_the_same_seed_gives_the_same_model_and_another_one_another(tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        code, output = train(tmp_path / name, seed=seed, tokens=1_024)
        assert code == 0
        weights.append((output / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"context": 8_192}, "tokens and 16384 are needed; crawl more, or lower context"),
        ({"learning_rate": 1e30}, "gradient nan at step 2; lower learning_rate"),
    ],
)
def test_it_fails_in_one_line(tmp_path: Path, job: dict[str, Any], says: str) -> None:
    code, output = train(tmp_path, **job)
    assert code == 1
    assert says in (output / "error.txt").read_text()
