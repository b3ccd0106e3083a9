"""`twin serve` as people run it: a process of its own, on a real port."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.unit.serving import NOTES, QUESTION, publish
from tools import processes, serve

ROOT = Path(__file__).parents[2]
UP_S = 60

Twin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


@pytest.fixture
def environment(tmp_path: Path, port: int) -> dict[str, str]:
    """Of a twin with an empty home, embedded stores and no model."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")}
    return kept | {
        "TWIN_HOME": str(tmp_path / "home"),
        "TWIN_EMBEDDER__KIND": "hash",
        "TWIN_API__PORT": str(port),
    }


@pytest.fixture
def twin(tmp_path: Path, environment: dict[str, str]) -> Iterator[Twin]:
    """Run a `twin` command to its end; a server that it leaves behind is ended afterwards."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*serve.TWIN, *arguments],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    left = processes.running(tmp_path / "home" / "run" / "api.json")
    if left is not None:
        processes.stop(left, grace_s=serve.STOP_S)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a program that serves; what still runs is killed afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(*command: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


def wait_for_health(port: int) -> None:
    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            return False

    assert processes.wait_until(answers, UP_S)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_server_in_the_background_is_started_once_told_of_and_stopped(
    twin: Twin, port: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{port}"

    first, second = twin("serve", "--background"), twin("serve", "--background")
    told = twin("serve", "--status")
    health = httpx.get(f"{url}/health")
    foreground = twin("serve")
    stopped, again = twin("serve", "--stop"), twin("serve", "--stop")
    told_later = twin("serve", "--status")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith(f"serving on {url} (pid ")
    assert second.stdout.startswith(f"already serving on {url} (pid ")
    assert (told.returncode, told.stdout[: len(url) + 11]) == (0, f"serving on {url}")
    assert health.status_code == 200
    assert (foreground.returncode, foreground.stderr.count("\n")) == (1, 1)
    assert "twin serve --stop" in foreground.stderr
    assert (stopped.returncode, stopped.stdout) == (0, f"ended the server at {url}\n")
    assert (again.returncode, again.stdout) == (0, "no server runs\n")
    assert (told_later.returncode, told_later.stdout) == (1, "no server runs\n")
    assert refuses(port)
    log = (tmp_path / "home" / "logs" / "api.log").read_text()
    assert health.headers["x-request-id"] in log
    assert '"GET /health" 200' in log
    assert not (tmp_path / "home" / "run" / "api.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_in_a_terminal_ends_in_order_when_told(
    start: Callable[..., "subprocess.Popen[str]"], port: int, tmp_path: Path, number: int
) -> None:
    server = start(*serve.TWIN, "serve")
    wait_for_health(port)
    server.send_signal(number)
    _, said = server.communicate(timeout=UP_S)

    assert server.returncode == 0, said
    assert "Traceback" not in said
    assert f"serving on http://127.0.0.1:{port}" in said
    assert not (tmp_path / "home" / "run" / "api.json").exists()


def test_a_running_request_is_answered_before_the_server_ends(
    start: Callable[..., "subprocess.Popen[str]"], port: int, tmp_path: Path
) -> None:
    server = start(
        sys.executable, "-m", "tests.integration.waiting_server", str(port), str(tmp_path)
    )
    wait_for_health(port)
    with ThreadPoolExecutor(1) as client:
        running = client.submit(
            httpx.post,
            f"http://127.0.0.1:{port}/rag",
            json={"question": QUESTION},
            timeout=UP_S,
        )
        assert processes.wait_until((tmp_path / "asked").exists, UP_S)
        server.terminate()
        assert processes.wait_until(lambda: refuses(port), UP_S)
        (tmp_path / "let_go").touch()
        answered = running.result()
    _, said = server.communicate(timeout=UP_S)

    assert answered.status_code == 200
    assert answered.json()["answer"] == NOTES[0]
    assert server.returncode == 0, said


def test_answers_keep_coming_while_another_process_publishes(
    twin: Twin, port: int, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", embedder=HashEmbedderSettings(kind="hash"))
    asked = f"http://127.0.0.1:{port}/search"
    done = threading.Event()
    statuses: set[int] = set()
    versions: list[str] = []

    def ask_on() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                response = client.post(asked, json={"query": QUESTION}, timeout=UP_S)
                statuses.add(response.status_code)
                assert response.json()["hits"][0]["text"] == NOTES[0]

    assert twin("serve", "--background").returncode == 0
    empty = httpx.post(asked, json={"query": QUESTION})
    red = httpx.get(f"http://127.0.0.1:{port}/ready")
    publisher = App(settings)
    publish(publisher, *NOTES)
    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask_on) for _ in range(4)]
        versions += [publish(publisher, *NOTES) for _ in range(5)]
        done.set()
        for client in asking:
            client.result()
    publisher.close()
    last = httpx.post(asked, json={"query": QUESTION})
    green = httpx.get(f"http://127.0.0.1:{port}/ready")

    assert (empty.status_code, red.status_code) == (409, 503)
    assert statuses == {200}
    assert last.json()["index_version"] == versions[-1]
    assert (green.status_code, green.json()["ready"]) == (200, True)


def test_a_long_body_is_refused_on_a_real_connection_too(twin: Twin, port: int) -> None:
    pieces = (b"x" * 64_000 for _ in range(100))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=UP_S) as client:
        assert twin("serve", "--background").returncode == 0
        whole = client.post("/rag", json={"question": "x" * 1_000_000})
        in_pieces = client.post(
            "/rag", content=pieces, headers={"content-type": "application/json"}
        )
        afterwards = client.get("/health")

    assert (whole.status_code, in_pieces.status_code) == (413, 413)
    assert in_pieces.json()["status"] == 413
    assert afterwards.status_code == 200


@pytest.mark.parametrize("mode", [(), ("--background",)])
def test_a_port_in_use_is_one_line(twin: Twin, port: int, mode: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", port)):
        failed = twin("serve", *mode)

    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert f"port {port}: Address already in use" in failed.stderr
    assert "--port" in failed.stderr


def test_why_a_server_in_the_background_did_not_start_is_told(twin: Twin, tmp_path: Path) -> None:
    failed = twin("serve", "--background", "-c", "no-such.yaml")

    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "no-such.yaml" in failed.stderr
    assert str(tmp_path / "home" / "logs" / "api.log") in failed.stderr


def test_a_stale_record_neither_stops_a_stranger_nor_hinders_a_start(
    twin: Twin, tmp_path: Path
) -> None:
    record = tmp_path / "home" / "run" / "api.json"
    record.parent.mkdir(parents=True)
    stale = {"pid": os.getpid(), "identity": "an earlier one", "url": "http://127.0.0.1:1"}
    record.write_text(json.dumps(stale))

    stopped = twin("serve", "--stop")  # a SIGTERM would end this very test
    started = twin("serve", "--background")

    assert (stopped.returncode, stopped.stdout) == (0, "no server runs\n")
    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3"])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match="there is no key to the API"):
        serve.listen(host, 8080)


def test_a_name_that_leads_out_as_well_as_home_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 8080))
        for address in ("127.0.0.1", "10.1.2.3")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

    with pytest.raises(InvalidInput, match="there is no key to the API"):
        serve.listen("home", 8080)


@pytest.mark.parametrize("host", ["", "a" * 300, "no\0host"])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"127\.0\.0\.1"):
        serve.listen(host, 8080)


def test_a_name_of_this_machine_is_listened_on(port: int) -> None:
    with serve.listen("localhost", port):
        assert not refuses(port)
        with pytest.raises(BackendUnavailable, match="in use"):
            serve.listen("127.0.0.1", port)


def test_no_piece_of_a_response_waits_for_the_clients_delayed_acknowledgement(port: int) -> None:
    with serve.listen("127.0.0.1", port) as listener:
        with socket.create_connection(listener.getsockname()[:2]):
            connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
