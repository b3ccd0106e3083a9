"""Fixtures of tests that use 127.0.0.1."""

import pytest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine would be asked for 127.0.0.1 too."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
