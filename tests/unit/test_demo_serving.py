"""Who says the demo's last answer, and why that one."""

from pathlib import Path

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import OpenAiSettings, Settings
from tests.unit.versions import adapter_folder, manifest, result
from tools import demo_serving
from tools.demo_serving import chosen_voice


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def promoted(settings: Settings, tmp_path: Path, *, nano: bool) -> str:
    """A version in production; returns its name."""
    adapter = adapter_folder(tmp_path / "trained")
    given = manifest(adapter, result(), nano=nano)
    with open_app(settings) as app:
        app.models.add(given, adapter=adapter)
        app.models.promote(given.version, reason="measured", instead_of=None)
    return given.version


def test_without_a_version_in_production_it_is_quotes(settings: Settings) -> None:
    voice = chosen_voice(settings, engine=None)
    assert "quotes, since no version of the twin is in production" in voice.reason
    assert voice.settings == {}
    assert voice.retrieval


def test_the_version_in_production_speaks_through_the_engine_that_is_asked_for(
    settings: Settings, tmp_path: Path
) -> None:
    version = promoted(settings, tmp_path, nano=False)
    for engine in ("transformers", "vllm"):
        voice = chosen_voice(settings, engine=engine)
        assert f"from {version}, which is in production, through {engine}" in voice.reason
        assert voice.settings == {"TWIN_CHAT__KIND": engine}
        assert voice.retrieval


def test_a_nano_speaks_without_evidence_and_is_called_one(
    settings: Settings, tmp_path: Path
) -> None:
    promoted(settings, tmp_path, nano=True)
    voice = chosen_voice(settings, engine="transformers")
    assert "a nano proves the pipeline, not the prose" in voice.reason
    assert not voice.retrieval


def test_without_torch_a_version_in_production_is_named_but_quotes_speak(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = promoted(settings, tmp_path, nano=False)
    monkeypatch.setattr(demo_serving, "find_spec", lambda name: None)
    voice = chosen_voice(settings, engine=None)
    assert f"torch is not installed to run {version}" in voice.reason
    assert voice.settings == {}


def test_what_the_environment_sets_wins(settings: Settings, tmp_path: Path) -> None:
    promoted(settings, tmp_path, nano=False)
    set_so = settings.model_copy(update={"chat": OpenAiSettings(kind="openai")})
    assert chosen_voice(set_so, engine=None).reason == "from openai, as TWIN_CHAT__KIND says"
