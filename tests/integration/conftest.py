"""Fixtures of tests that use 127.0.0.1, and of those that run recipes on small models."""

from pathlib import Path

import pytest

from tests.integration.small_models import small_adapter, small_base


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine would be asked for 127.0.0.1 too."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `base` and `adapter`; the adapter changes what the base says."""
    folder = tmp_path_factory.mktemp("small")
    small_adapter(folder / "adapter", small_base(folder / "base"), strength=0.2)
    return folder


@pytest.fixture
def small_job(tmp_path: Path, small: Path) -> Path:
    """The folder of a job, with its base and its adapter."""
    for name in ("base", "adapter"):
        (tmp_path / name).symlink_to(small / name)
    return tmp_path
