"""Unit tests touch no network."""

from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.versions import Add


@pytest.fixture(autouse=True)
def _no_network() -> object:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def registry(tmp_path: Path) -> FolderModelRegistry:
    return FolderModelRegistry(tmp_path / "models")


@pytest.fixture
def added(registry: FolderModelRegistry, tmp_path: Path) -> Add:
    return Add(registry, tmp_path)
