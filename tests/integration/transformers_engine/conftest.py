"""A twin's home, and the engine that answers from it in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_engineering.infrastructure.transformers_chat import TransformersChat
from tests.integration.in_process import chat_of
from tests.twin_homes import TwinHome


@pytest.fixture(autouse=True)
def _in_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a batch computes what a row alone does."""
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.fixture
def home(tmp_path: Path) -> TwinHome:
    return TwinHome(tmp_path / "home")


@pytest.fixture
def chat(home: TwinHome) -> Iterator[TransformersChat]:
    opened = chat_of(home)
    yield opened
    opened.close()
