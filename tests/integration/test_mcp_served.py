"""`twin mcp --http` as a process of its own on real sockets."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.integration.mcp_home import GREETING, JSON_OR_EVENTS, environment, written_home
from tests.integration.test_guarded_server import other_address
from tests.mcp_clients import said
from tests.unit.serving import NOTES, QUESTION, bearing
from tools.serve import TWIN

pytestmark = pytest.mark.anyio
UP_S = 60
Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    written_home(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def serve(home: Path, port: int) -> Iterator[Serve]:
    """Start `twin mcp --http` and wait until it is there; ends it at last."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*TWIN, "mcp", "--http", "--port", str(port), *arguments],
            env=environment(home),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        deadline = time.monotonic() + UP_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                return process
            except httpx.TransportError:
                time.sleep(0.05)
        process.kill()
        raise AssertionError(process.communicate())

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def twin(home: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*TWIN, *arguments],
        env=environment(home, **settings),
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def test_it_serves_mcp_alone_beside_a_client_on_stdio_and_ends_on_ctrl_c(
    serve: Serve, home: Path, port: int
) -> None:
    process = serve()
    url = f"http://127.0.0.1:{port}"
    local = StdioServerParameters(
        command=TWIN[0], args=[*TWIN[1:], "mcp"], env=environment(home), cwd=home.parent
    )
    async with (
        httpx2.AsyncClient(timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as remote,
        Client(local) as beside,
    ):
        for client in (remote, beside):
            result = await client.call_tool("search_writing", {"query": QUESTION})
            assert NOTES[0] in said(result)
    statuses = {path: httpx.get(url + path).status_code for path in ("/ready", "/rag", "/docs")}
    strange = httpx.get(f"{url}/ready", headers={"host": "evil.example"}).status_code
    refused = httpx.post(f"{url}/mcp", json=GREETING, headers={"host": "evil.example"})
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert statuses == {"/ready": 200, "/rag": 404, "/docs": 404}
    assert (strange, refused.status_code) == (200, 421)
    assert (process.returncode, out) == (0, "")
    assert err.startswith(f"MCP at {url}/mcp; Ctrl-C ends it\n")


def test_an_address_that_others_reach_is_refused_without_a_key(home: Path) -> None:
    refused = twin(home, "mcp", "--http", "--host", "0.0.0.0")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is no key to the API; make one with 'twin keys create NAME'" in refused.stderr


async def test_with_a_key_others_reach_it(serve: Serve, home: Path, port: int) -> None:
    key = twin(home, "keys", "create", "laptop").stdout.strip()
    serve("--host", "0.0.0.0")
    url = f"http://{other_address()}:{port}/mcp"
    async with (
        httpx2.AsyncClient(headers=bearing(key), timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        assert said(await client.call_tool("ask_twin", {"question": QUESTION}))

    without = httpx.post(url, json=GREETING, headers=JSON_OR_EVENTS)
    assert without.status_code == 401
    assert twin(home, "keys", "revoke", "laptop").returncode == 0
    time.sleep(1)
    revoked = httpx.post(url, json=GREETING, headers={**JSON_OR_EVENTS, **bearing(key)})
    assert revoked.status_code == 401


@pytest.mark.parametrize("arguments", [["mcp"], ["mcp", "--http"], ["serve"]])
def test_without_the_package_the_extra_is_named(
    home: Path, port: int, tmp_path: Path, arguments: list[str]
) -> None:
    absent = tmp_path / "absent" / "mcp"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('gone', name='mcp')\n")
    paths = ":".join([str(absent.parent), *filter(None, sys.path)])
    settings = {"TWIN_API__MCP": "true", "TWIN_API__PORT": str(port), "PYTHONPATH": paths}
    failed = twin(home, *arguments, **settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    last = failed.stderr.splitlines()[-1]
    assert last == "twin: error: 'mcp' is not installed; pip install 'llm-twin[mcp]'"
