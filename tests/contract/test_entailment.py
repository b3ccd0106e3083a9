"""An entailment model's outputs mean what its own config says, in whatever order."""

from pathlib import Path

import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.settings import CrossEncoderEntailmentSettings, Settings
from tests.contract.encoder_folders import encoder_folder

pytest.importorskip("sentence_transformers")

import torch
from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

from llm_engineering.infrastructure.cross_encoder_entailment import CrossEncoderEntailment

PAIRS = [
    ("the cat sat on the mat.", "the cat sat."),
    ("it rained all night long.", "a dog ran over the hill."),
]
ORDERS = (
    ("contradiction", "entailment", "neutral"),
    ("entailment", "neutral", "contradiction"),
    ("ENTAILMENT", "NEUTRAL", "CONTRADICTION"),
)


def inference_folder(path: Path, labels: tuple[str, ...]) -> Path:
    """A small random BERT that tells pairs apart, its outputs named by `labels`."""
    encoder_folder(path)
    for name in ("modules.json", "sentence_bert_config.json"):
        (path / name).unlink()
    config = AutoConfig.from_pretrained(
        path, num_labels=len(labels), id2label=dict(enumerate(labels)), initializer_range=0.4
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(path)
    return path


@pytest.mark.parametrize("labels", ORDERS)
def test_each_probability_is_the_output_of_that_name(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    folder = inference_folder(tmp_path, labels)
    judged = CrossEncoderEntailment(str(folder), device="cpu").judge(PAIRS)

    tokens = AutoTokenizer.from_pretrained(folder)(
        [evidence for evidence, _ in PAIRS],
        [statement for _, statement in PAIRS],
        padding=True,
        return_tensors="pt",
    )
    model = BertForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        rows = model(**tokens).logits.softmax(dim=-1).tolist()
    for each, row in zip(judged, rows, strict=True):
        for label, expected in zip(labels, row, strict=True):
            assert getattr(each, label.casefold()) == pytest.approx(expected, abs=1e-5)
        assert each.entailment + each.neutral + each.contradiction == pytest.approx(1, abs=1e-5)


def test_no_pairs_are_no_judgements(tmp_path: Path) -> None:
    folder = inference_folder(tmp_path, ORDERS[0])
    assert CrossEncoderEntailment(str(folder), device="cpu").judge([]) == []


@pytest.mark.parametrize(
    "labels", [("entailment", "not_entailment"), ("LABEL_0", "LABEL_1", "LABEL_2")]
)
def test_a_model_whose_labels_are_others_is_refused(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    folder = inference_folder(tmp_path, labels)
    with pytest.raises(InvalidSettings, match="TWIN_ENTAILMENT__MODEL: the labels of"):
        CrossEncoderEntailment(str(folder), device="cpu")


def test_a_folder_that_is_not_there_names_its_own_setting() -> None:
    with pytest.raises(InvalidSettings, match="TWIN_ENTAILMENT__MODEL"):
        CrossEncoderEntailment("./nowhere", device="cpu")
    with pytest.raises(InvalidSettings, match="TWIN_ENTAILMENT__DEVICE"):
        CrossEncoderEntailment("./nowhere", device="toaster")


def test_the_settings_choose_it_and_it_is_named_by_its_files(tmp_path: Path) -> None:
    folder = inference_folder(tmp_path / "judge", ORDERS[0])
    settings = Settings(
        home=tmp_path,
        entailment=CrossEncoderEntailmentSettings(
            kind="cross-encoder", model=str(folder), device="cpu"
        ),
    )
    found = App(settings).entailment
    assert isinstance(found, CrossEncoderEntailment)
    assert found.name.startswith("judge")
    assert App(Settings(home=tmp_path)).entailment is None
