"""A twin's home whose `vllm` is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm_homes import TwinHome, watched_home


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwinHome]:
    monkeypatch.setenv("FAKE_VLLM", str(tmp_path / "fake"))
    monkeypatch.setenv("TWIN_TEST_SECRET", "hunter2")
    with watched_home(tmp_path) as made:
        yield made
