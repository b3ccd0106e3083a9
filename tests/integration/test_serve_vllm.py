"""`twin serve --engine vllm` as people run it, with a `vllm` that stands in for the real one."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_engineering.bootstrap import App
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.unit.serving import QUESTION, publish
from tests.vllm_homes import TwinHome, twin_home
from tools import processes, serve

UP_S = 60

Twin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


@pytest.fixture
def home(tmp_path: Path) -> TwinHome:
    made = twin_home(tmp_path)
    settings = Settings(home=made.home, embedder=HashEmbedderSettings(kind="hash"))
    app = App(settings)
    publish(app, "A backup is then one copy of the database file.")
    app.close()
    return made


@pytest.fixture
def environment(home: TwinHome, port: int) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")}
    return kept | {
        "TWIN_HOME": str(home.home),
        "TWIN_EMBEDDER__KIND": "hash",
        "TWIN_API__PORT": str(port),
        "TWIN_CHAT__KIND": "vllm",
        "TWIN_CHAT__COMMAND": str(home.executable),
        "TWIN_CHAT__DEATHS": "2",
        "FAKE_VLLM": str(home.fake),
    }


@pytest.fixture
def twin(home: TwinHome, environment: dict[str, str]) -> Iterator[Twin]:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*serve.TWIN, *arguments],
            env=environment,
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    left = processes.running(home.home / "run" / "api.json")
    if left is not None:
        processes.stop(left, grace_s=serve.STOP_S)


@pytest.fixture
def api(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=UP_S) as client:
        yield client


def ask(api: httpx.Client, **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": QUESTION}]
    return api.post(
        "/v1/chat/completions",
        json={"model": "twin", "messages": messages, **body},
        headers={"x-twin-retrieval": "off"},  # one note is too little evidence for an answer
    )


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    return [json.loads(line) for line in lines if line.startswith("{")]


def is_gone(home: TwinHome) -> bool:
    started = [pid for each in home.told("starts") for pid in (each["pid"], each["engine"])]
    return bool(started) and all(processes.identity(pid) is None for pid in started)


def test_in_the_background_it_answers_as_the_promoted_version_and_ends_with_the_api(
    home: TwinHome, twin: Twin, api: httpx.Client
) -> None:
    home.tell("loading_s", 1)
    version = home.promote(home.version(1))

    started = twin("serve", "--engine", "vllm", "--background")
    assert started.returncode == 0, started.stderr
    assert "vLLM is still loading" in started.stderr
    ready = api.get("/ready").json()["parts"][0]
    whole, streamed = ask(api).json(), events(ask(api, stream=True))
    listed = [each["id"] for each in api.get("/v1/models").json()["data"]]
    stopped = twin("serve", "--stop")

    assert ready["ready"]
    assert ready["detail"].startswith(version)
    assert whole["model"] == version
    assert version in whole["choices"][0]["message"]["content"]
    assert len(streamed) > 5
    assert {event["model"] for event in streamed} == {version}
    assert listed == ["twin", version]
    assert stopped.stdout.startswith("ended the server")
    assert is_gone(home)
    (start,) = home.told("starts")
    length = start["arguments"].index("--max-model-len")
    assert start["arguments"][length + 1] == "2048"  # the base's own limit


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_api_however_that_ends(
    home: TwinHome, environment: dict[str, str], api: httpx.Client, number: int
) -> None:
    home.promote(home.version(1))
    server = subprocess.Popen(
        [*serve.TWIN, "serve", "--engine", "vllm"],
        env=environment,
        cwd=home.folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        assert processes.wait_until(lambda: answers(api), UP_S)
        server.send_signal(number)
        assert processes.wait_until(lambda: is_gone(home), 15)
        _, said = server.communicate(timeout=UP_S)
    assert server.returncode == (-number if number == signal.SIGKILL else 0), said
    assert "Traceback" not in said


def answers(api: httpx.Client) -> bool:
    try:
        return ask(api).status_code == 200
    except httpx.TransportError:
        return False


def test_while_it_starts_again_ready_is_red_and_says_when_to_come_back(
    home: TwinHome, twin: Twin, api: httpx.Client
) -> None:
    home.promote(home.version(1))
    assert twin("serve", "--engine", "vllm", "--background").returncode == 0
    home.tell("loading_s", 2)
    os.kill(home.told("starts")[0]["pid"], signal.SIGKILL)

    assert processes.wait_until(lambda: api.get("/ready").status_code == 503, UP_S)
    red, refused = api.get("/ready"), ask(api)
    search = api.post("/search", json={"query": QUESTION})
    health = api.get("/health")

    model = red.json()["parts"][0]
    assert not model["ready"]
    assert "started again" in model["detail"]
    assert set(model) == {"name", "ready", "detail"}
    assert int(red.headers["retry-after"]) >= 1
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "started again" in refused.json()["error"]["message"]
    assert search.status_code == 200
    assert health.status_code == 200
    assert processes.wait_until(lambda: api.get("/ready").status_code == 200, UP_S)
    assert ask(api).status_code == 200


def test_a_server_that_cannot_start_is_one_line_in_the_background_too(
    home: TwinHome, twin: Twin
) -> None:
    home.tell("refuses")
    home.promote(home.version(1))

    failed = twin("serve", "--engine", "vllm", "--background")

    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert "ValueError: No supported architecture in config.json" in last
    assert str(home.home / "logs" / "vllm.log") in last
    assert is_gone(home)


def test_what_is_set_up_wrongly_is_told_at_once(
    home: TwinHome, twin: Twin, environment: dict[str, str]
) -> None:
    nothing = twin("serve")
    home.promote(home.version(1))
    environment["TWIN_CHAT__COMMAND"] = "/no/such/vllm"
    missing = twin("serve")

    assert (nothing.returncode, missing.returncode) == (1, 1)
    assert "nothing is in production" in nothing.stderr.splitlines()[-1]
    assert "correct TWIN_CHAT__COMMAND" in missing.stderr.splitlines()[-1]
    assert "serving on" not in missing.stderr
