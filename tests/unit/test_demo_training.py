"""The demo trains whatever can be had, and says why it is that."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from llm_engineering.domain.errors import TrainingFailed
from llm_engineering.domain.reports import TrainedVersion, TrainingReport
from llm_engineering.domain.training import NANO
from pipelines.configs import TrainingPipelineConfig, load_config, model_of
from tests.unit.versions import result
from tools import demo, demo_page, demo_serving, demo_training
from tools.cli import main
from tools.demo_training import SMALL, ChosenBase, chosen_base

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_training, "is_whole_in_cache", lambda base: False)


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


@pytest.mark.parametrize("base", [NANO, SMALL])
def test_each_base_is_trained_by_a_config_of_its_own(
    monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        commands.append(command)
        return subprocess.CompletedProcess([], 0, stdout='{"reports": {}}')

    monkeypatch.setattr(subprocess, "run", run)
    demo_training.train(ChosenBase(base, "a test"))

    ((*_, path, _),) = commands
    config = load_config(ROOT / path, model_of(Path(path)))
    assert isinstance(config, TrainingPipelineConfig)
    assert config.training.base == base
    rate = config.training.sft.optimizer.learning_rate
    assert (rate > 1e-3) == (base == NANO), "a model that can write would forget it at such rates"


def told(monkeypatch: pytest.MonkeyPatch, stdout: str) -> TrainingFailed | None:
    """What the demo makes of a training run that ended with exit code 1 and printed this."""
    ended = subprocess.CompletedProcess[str]([], 1, stdout=stdout)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    return demo_training.tell(demo_training.train(ChosenBase(NANO, "a test")))


def outcome(error: str, kind: str, **reports: Any) -> str:
    return json.dumps({"error": error, "error_kind": kind, "reports": {"datasets": {}, **reports}})


def fine_tuned() -> Any:
    report = TrainingReport(versions=(TrainedVersion(version="sft-1", result=result()),))
    return report.model_dump(mode="json")


def test_a_corpus_that_is_too_small_to_train_on_is_told_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, outcome("3 rows are too few", "TooFewSamples")) is None

    assert "not trained: 3 rows are too few" in capsys.readouterr().out


def test_a_training_that_failed_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = told(monkeypatch, outcome("the loss is no number", "TrainingFailed"))

    assert "training failed: the loss is no number" in capsys.readouterr().out
    assert str(failure).endswith("which failed: the loss is no number")


def test_what_completed_before_a_failure_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = told(monkeypatch, outcome("dpo-1 failed", "TrainingFailed", training=fine_tuned()))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[:4] == ["sft-1", "test, 20 rows", "3.000", "2.500"]
    assert lines[1] == "nothing was promoted: the run ended before that was decided"
    assert lines[2] == "training failed: dpo-1 failed"
    assert failure is not None


def test_preferences_for_which_there_are_no_pairs_are_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = outcome("no preference pairs", "TooFewSamples", training=fine_tuned())

    assert told(monkeypatch, printed) is None
    assert "trained no further: no preference pairs" in capsys.readouterr().out


def test_a_pipeline_that_never_began_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, "") is not None

    assert "training failed: it never began, see the line above" in capsys.readouterr().out


def test_without_its_packages_training_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_training, "find_spec", lambda name: None if name == "trl" else name)

    assert str(demo_training.not_installed()) == (
        "'trl' is not installed; pip install 'llm-twin[train]'"
    )


def test_a_demo_whose_training_failed_asks_its_questions_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "listen", lambda *_: io.StringIO())
    crawled = {"seen": 1, "new": 1, "changed": 0, "removed": 0, "failed": [], "sources": ["s"]}
    reports = {
        "crawl": {**crawled, "seconds": 0.1},
        "features": {"chunks": 1, "embedded": 1, "seconds": {"embed": 0.1}},
    }
    answer = {"answer": "It is a part of the voice.", "citations": []}
    ended = subprocess.CompletedProcess[str]([], 1, stdout=outcome("disk full", "TrainingFailed"))
    parts = {"_run_pipeline": {"reports": reports, "page": "x"}, "_twin": "", "_server_url": "x"}
    for name, value in {**parts, "_ask": answer}.items():
        monkeypatch.setattr(demo, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(demo_serving, "stream", lambda *_, **__: None)
    monkeypatch.setattr(demo_page, "ask", lambda *_, **__: None)
    monkeypatch.setattr(demo_training, "chosen_base", lambda: ChosenBase(NANO, "a test"))
    monkeypatch.setattr(demo_training, "not_installed", lambda: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)

    assert main(["demo"]) == 1

    out, err = capsys.readouterr()
    assert out.count("It is a part of the voice.") == 3
    assert err.endswith("all of the demo worked but its training, which failed: disk full\n")
