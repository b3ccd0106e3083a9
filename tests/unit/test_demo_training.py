"""The demo trains whatever can be had, and says why it is that."""

import json
import subprocess
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from llm_engineering.domain.training import NANO
from tools import demo_training
from tools.demo_training import SMALL, ChosenBase, chosen_base


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("Name or service not known"), OfflineModeIsEnabled("offline"), OSError(5)],
)
def test_without_a_hub_a_nano_is_made_and_the_reason_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fails)

    chosen = chosen_base()

    assert chosen.name == NANO
    assert str(error) in chosen.reason


def test_a_hub_that_answers_gives_a_small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)

    assert chosen_base().name == SMALL


def test_a_training_that_failed_is_told_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = {"error": "3 rows are too few", "reports": {"datasets": {}}}
    ended = subprocess.CompletedProcess[str]([], 1, stdout=json.dumps(outcome))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)

    demo_training.tell(demo_training.train(ChosenBase(NANO, "a test")))

    assert "not trained: 3 rows are too few" in capsys.readouterr().out


def test_a_pipeline_that_never_began_is_told_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = subprocess.CompletedProcess[str]([], 1, stdout="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)

    demo_training.tell(demo_training.train(ChosenBase(NANO, "a test")))

    assert "not trained: see the line above" in capsys.readouterr().out
