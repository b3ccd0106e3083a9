"""What only the sentence-transformers embedder promises: devices, the hub, and clear refusals."""

import importlib
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from tests.contract.encoder_folders import encoder_folder

pytest.importorskip("sentence_transformers")

from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder
from llm_engineering.infrastructure.sentence_transformers import (
    SentenceTransformerEmbedder,
    pick_device,
)

HUB = "huggingface_hub.constants.ENDPOINT"


class _EmptyHub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def empty_hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_cpu_is_taken_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    device = pick_device(None)
    assert (device.name, device.reason) == ("cpu", "no CUDA device")


def test_cuda_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H200")
    device = pick_device(None)
    assert (device.name, device.reason) == ("cuda", "found H200")


def test_a_device_that_does_not_exist_names_the_setting() -> None:
    with pytest.raises(InvalidSettings, match="TWIN_EMBEDDER__DEVICE: torch cannot use 'toaster'"):
        pick_device("toaster")


def test_a_folder_has_one_name_and_window_in_both_backends(tmp_path: Path) -> None:
    folder = str(encoder_folder(tmp_path / "tiny"))
    torch = SentenceTransformerEmbedder(folder, device="cpu")
    openvino = OpenVinoEmbedder(folder, threads=1)
    assert (torch.name, torch.window) == (openvino.name, openvino.window)
    assert torch.dimension == openvino.dimension


def test_a_hub_that_does_not_answer_is_one_line_with_the_model_and_the_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setattr(HUB, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(BackendUnavailable, match="'nobody/nothing' is not on this") as down:
            SentenceTransformerEmbedder("nobody/nothing", device="cpu")
    assert "TWIN_EMBEDDER__MODEL" in str(down.value)
    assert "\n" not in str(down.value)


def test_a_model_that_the_hub_does_not_have_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, empty_hub: str
) -> None:
    monkeypatch.setattr(HUB, empty_hub)
    with pytest.raises(InvalidSettings, match="'nobody/nothing' is neither a folder nor"):
        SentenceTransformerEmbedder("nobody/nothing", device="cpu")


def test_a_folder_that_is_not_there_asks_no_hub(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="neither a folder nor a model of the hub"):
        SentenceTransformerEmbedder(str(tmp_path / "nowhere"), device="cpu")


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot load") as refused:
        SentenceTransformerEmbedder(str(tmp_path), device="cpu")
    assert "\n" not in str(refused.value)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "llm_engineering.infrastructure.sentence_transformers"
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"llm-twin\[torch\]"):
        importlib.import_module(name)
