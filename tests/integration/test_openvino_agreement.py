"""An export is compared with its model token by token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_engineering.domain.errors import TrainingFailed
from tests.integration.small_models import small_base
from tools import model_export, openvino_agreement
from tools.openvino_agreement import CONTINUED, PROMPTS, agreement

openvino = pytest.importorskip("openvino")
pytest.importorskip("torch")
pytest.importorskip("peft")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_base(tmp_path_factory.mktemp("small") / "model")


class Transformers:
    """Stands in for an export: the model itself, wrong wherever `wrong` says so."""

    def __init__(self, model: Path, *, wrong: float) -> None:
        from transformers import AutoModelForCausalLM

        self.model: Any = AutoModelForCausalLM.from_pretrained(model)
        self.wrong = wrong
        self.seen: list[Any] = []

    def __call__(self, ids: Any) -> Any:
        import torch

        self.seen.append(ids)
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor(ids)).logits[0].numpy().copy()
        count = round(len(logits) * self.wrong)
        logits[:count] *= -1
        return logits


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_the_share_is_that_of_the_places_with_the_same_choice(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    export = Transformers(model, wrong=wrong)
    monkeypatch.setattr(openvino_agreement, "_opened", lambda folder: export)

    assert agreement(model, tmp_path) == pytest.approx(1 - wrong, abs=0.02)
    assert len(export.seen) == len(PROMPTS)
    assert all(ids.shape[1] > CONTINUED // 2 for ids in export.seen)


def test_an_export_that_chooses_otherwise_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Transformers(model, wrong=0.25)
    monkeypatch.setattr(openvino_agreement, "_opened", lambda folder: export)

    with pytest.raises(TrainingFailed, match="export with --weights f16"):
        model_export._compare(model, tmp_path)


def test_an_export_is_read_from_its_files_and_begins_anew_each_time(tmp_path: Path) -> None:
    """A model that adds up what it was told, in a state, as exported caches do."""
    from openvino import opset13 as ops

    ids, mask, positions = (
        ops.parameter([1, -1], np.int64, name=name)
        for name in ("input_ids", "attention_mask", "position_ids")
    )
    beam = ops.parameter([-1], np.int32, name="beam_idx")
    given = ops.convert(ids, "f32")
    for each in (mask, positions):
        given = ops.add(given, ops.convert(each, "f32"))
    told = ops.reduce_sum(given, np.array([0, 1]), keep_dims=True)
    before = ops.read_value(ops.constant(np.zeros((1, 1), np.float32)), "told")
    total = ops.add(ops.add(before, told), ops.reduce_sum(ops.convert(beam, "f32"), 0))
    kept = ops.assign(total, "told")
    logits = ops.unsqueeze(ops.add(ops.multiply(given, np.float32(0)), total), 2)
    logits.output(0).set_names({"logits"})
    for parameter in (ids, mask, positions, beam):
        parameter.output(0).set_names({parameter.get_friendly_name()})
    openvino.save_model(
        openvino.Model([ops.result(logits)], [kept], [ids, mask, positions, beam], "sums"),
        tmp_path / "openvino_model.xml",
    )

    infer = openvino_agreement._opened(tmp_path)

    for _ in range(2):  # ids 7 and 8, seen, at places 0 and 1
        assert infer(np.array([[7, 8]])).ravel().tolist() == [18.0, 18.0]
