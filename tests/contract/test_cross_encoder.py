"""The cross-encoder scores pairs in order, from any thread, and refuses what scores none."""

import importlib
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from llm_engineering.settings import CrossEncoderSettings, Settings
from tests.contract.encoder_folders import encoder_folder

pytest.importorskip("sentence_transformers")

import torch
from sentence_transformers import CrossEncoder
from transformers import AutoConfig, BertForSequenceClassification

from llm_engineering.infrastructure.cross_encoder import CrossEncoderReranker

QUESTION = "the cat sat"
PASSAGES = ["the cat sat on the mat.", "it rained all night long.", "a dog ran over the hill."]


def cross_encoder_folder(path: Path, *, labels: int = 1) -> Path:
    """A small random BERT with a head over pairs."""
    encoder_folder(path)
    for name in ("modules.json", "sentence_bert_config.json"):
        (path / name).unlink()
    config = AutoConfig.from_pretrained(path, num_labels=labels, initializer_range=0.4)
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cross_encoder_folder(tmp_path_factory.mktemp("models") / "judge")


@pytest.fixture(scope="module")
def reranker(folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(str(folder), device="cpu")


def test_scores_are_the_logits_of_each_pair_in_the_order_given(
    reranker: CrossEncoderReranker, folder: Path
) -> None:
    scores = reranker.score(QUESTION, PASSAGES)
    assert (scores.shape, scores.dtype) == ((3,), np.dtype(np.float32))
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    tokens = model.tokenizer([QUESTION] * 3, PASSAGES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model.model(**tokens).logits[:, 0].numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.diff(np.sort(scores)).min() > 1e-2


def test_one_pair_scores_as_it_does_among_others(reranker: CrossEncoderReranker) -> None:
    together = reranker.score(QUESTION, PASSAGES)
    alone = [reranker.score(QUESTION, [passage])[0] for passage in PASSAGES]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_question_and_passage_are_not_the_same_thing(reranker: CrossEncoderReranker) -> None:
    there = reranker.score(QUESTION, [PASSAGES[2]])
    back = reranker.score(PASSAGES[2], [QUESTION])
    assert abs(float(there[0] - back[0])) > 1e-2


def test_no_passages_have_no_scores(reranker: CrossEncoderReranker) -> None:
    assert reranker.score(QUESTION, []).shape == (0,)


def test_text_past_the_window_and_half_characters_are_no_error(
    reranker: CrossEncoderReranker,
) -> None:
    scores = reranker.score("the \ud83d cat", ["the cat sat " * 500, "\udc00"])
    assert np.isfinite(scores).all()


def test_threads_may_score_at_once(reranker: CrossEncoderReranker) -> None:
    expected = reranker.score(QUESTION, PASSAGES)
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: reranker.score(QUESTION, PASSAGES), range(12)))
    for scores in many:
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_folder_is_named_by_its_content(reranker: CrossEncoderReranker, tmp_path: Path) -> None:
    other = cross_encoder_folder(tmp_path / "judge")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps(config | {"x": 1}), encoding="utf-8")
    assert reranker.name.startswith("judge@")
    assert CrossEncoderReranker(str(other), device="cpu").name != reranker.name


def test_the_settings_make_it_and_without_them_there_is_none(
    reranker: CrossEncoderReranker, folder: Path
) -> None:
    settings = CrossEncoderSettings(kind="cross-encoder", model=str(folder), device="cpu")
    made = App(Settings(reranker=settings)).reranker
    assert made is not None
    assert made.name == reranker.name
    assert App(Settings()).reranker is None


def test_the_cpu_says_why_it_was_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert CrossEncoderReranker(str(folder), device=None).device.reason == "no CUDA device"


def test_an_encoder_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    plain = encoder_folder(tmp_path / "plain")
    (plain / "modules.json").unlink()
    with pytest.raises(InvalidSettings, match=r"is a BertModel, which scores no pairs"):
        CrossEncoderReranker(str(plain), device="cpu")


def test_a_classifier_of_several_labels_is_refused(tmp_path: Path) -> None:
    folder = cross_encoder_folder(tmp_path / "classes", labels=3)
    with pytest.raises(InvalidSettings, match="gives 3 scores per pair"):
        CrossEncoderReranker(str(folder), device="cpu")


def test_a_folder_that_is_not_there_or_holds_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"TWIN_RERANKER__MODEL.*neither a folder nor"):
        CrossEncoderReranker(str(tmp_path / "nowhere"), device="cpu")
    with pytest.raises(InvalidSettings, match=r"TWIN_RERANKER__MODEL.*cannot load") as refused:
        CrossEncoderReranker(str(tmp_path), device="cpu")
    assert "\n" not in str(refused.value)


def test_a_device_that_does_not_exist_names_the_setting(folder: Path) -> None:
    with pytest.raises(InvalidSettings, match="TWIN_RERANKER__DEVICE: torch cannot use 'toaster'"):
        CrossEncoderReranker(str(folder), device="toaster")


def test_a_hub_that_does_not_answer_is_one_line_with_the_model_and_the_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        hub = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
        with pytest.raises(BackendUnavailable, match="'nobody/nothing' is not on this") as down:
            CrossEncoderReranker("nobody/nothing", device="cpu")
    assert "unset TWIN_RERANKER__KIND" in str(down.value)
    assert "\n" not in str(down.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "llm_engineering.infrastructure.cross_encoder"
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"llm-twin\[torch\]"):
        importlib.import_module(name)
