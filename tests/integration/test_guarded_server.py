"""`twin serve` with and without keys, as a process of its own on real sockets."""

import json
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tools import processes, serve

UP_S = 60
Twin = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., int]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a twin with an empty home, embedded stores and an engine that says what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")}
    return kept | {
        "TWIN_HOME": str(tmp_path / "home"),
        "TWIN_EMBEDDER__KIND": "hash",
        "TWIN_CHAT__KIND": "scripted",
        "TWIN_API__PORT": str(port),
    }


@pytest.fixture
def twin(tmp_path: Path, environment: dict[str, str]) -> Twin:
    """Run a `twin` command to its end."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*serve.TWIN, *arguments],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def started(twin: Twin, environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Serve in the background until the end; returns the port."""

    def run(*arguments: str) -> int:
        done = twin("serve", "--background", *arguments)
        assert done.returncode == 0, done.stderr
        return int(environment["TWIN_API__PORT"])

    yield run
    left = processes.running(tmp_path / "home" / "run" / "api.json")
    if left is not None:
        processes.stop(left, grace_s=serve.STOP_S)


def made(twin: Twin, name: str, *arguments: str) -> str:
    done = twin("keys", "create", name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def other_address() -> str:
    """One of this machine that is no loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no other address")
        return str(probe.getsockname()[0])


def models(port: int, key: str | None = None, *, host: str = "127.0.0.1") -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"http://{host}:{port}/v1/models", headers=headers).status_code


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_others_reach_is_refused_without_a_live_key(
    twin: Twin, tmp_path: Path, host: str
) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    without = twin("serve", "--host", host)
    background = twin("serve", "--host", host, "--background")
    made(twin, "laptop")
    twin("keys", "revoke", "laptop")
    revoked = twin("serve", "--host", host)

    for refused in (without, background, revoked):
        assert refused.returncode == 1
        assert (refused.stdout, refused.stderr.count("\n")) == ("", 1)
        assert "there is no key to the API; make one with 'twin keys create NAME'" in refused.stderr
    assert not (tmp_path / "home/run/api.json").exists()


def test_with_a_key_others_reach_it_and_losing_the_keys_opens_nothing(
    twin: Twin, started: Start, tmp_path: Path
) -> None:
    key = made(twin, "laptop")
    port = started("--host", "0.0.0.0")
    outside = other_address()
    hosts = ("127.0.0.1", outside)
    assert [models(port, host=host) for host in hosts] == [401, 401]
    assert [models(port, key, host=host) for host in hosts] == [200, 200]

    for path in (tmp_path / "home").glob("keys.db*"):
        path.unlink()
    time.sleep(1.0)
    assert [models(port, host=host) for host in hosts] == [401, 401]
    assert [models(port, key, host=host) for host in hosts] == [401, 401]


def test_a_key_that_another_process_makes_or_revokes_counts_within_a_second(
    twin: Twin, started: Start
) -> None:
    port = started()
    assert models(port) == 200
    key = made(twin, "laptop")
    second = made(twin, "phone")
    time.sleep(1.0)
    assert [models(port), models(port, key), models(port, second)] == [401, 200, 200]

    assert twin("keys", "revoke", "laptop").returncode == 0
    time.sleep(1.0)
    assert [models(port), models(port, key), models(port, second)] == [401, 401, 200]

    assert twin("keys", "revoke", "phone").returncode == 0
    time.sleep(1.0)
    assert [models(port), models(port, second)] == [401, 401]


def test_when_a_key_was_used_is_kept(twin: Twin, started: Start) -> None:
    key = made(twin, "laptop")
    port = started()
    for _ in range(5):
        assert models(port, key) == 200
    twin("serve", "--stop")

    (listed,) = json.loads(twin("keys", "list", "--json").stdout)
    assert listed["last_used_at"] >= listed["created_at"]


def test_a_server_says_nothing_of_itself_and_lets_nobody_say_who_they_are(
    twin: Twin, started: Start, environment: dict[str, str]
) -> None:
    key = made(twin, "laptop", "--requests-per-minute", "1000")
    port = started()
    headers = {"x-forwarded-for": "198.51.100.7", "authorization": f"Bearer {key}"}
    response = httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=headers)
    twin("serve", "--stop")

    assert response.status_code == 200
    assert "server" not in response.headers
    lines = (Path(environment["TWIN_HOME"]) / "logs/audit.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["address"] == "127.0.0.1"


def test_behind_a_named_proxy_the_client_is_the_one_it_names(
    twin: Twin, started: Start, environment: dict[str, str]
) -> None:
    environment["TWIN_API__PROXIES"] = "127.0.0.1"
    key = made(twin, "laptop")
    port = started()
    headers = {"x-forwarded-for": "198.51.100.7", "authorization": f"Bearer {key}"}
    httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=headers)
    twin("serve", "--stop")

    lines = (Path(environment["TWIN_HOME"]) / "logs/audit.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["address"] == "198.51.100.7"


@pytest.mark.parametrize("log", ["text", "json"])
def test_no_key_right_or_wrong_is_in_any_file_but_as_a_digest(
    twin: Twin, started: Start, environment: dict[str, str], log: str
) -> None:
    """Keys go in every place that a client may put them, and into what fails."""
    environment["TWIN_API__LOG"] = log
    right = made(twin, "laptop", "--scope", "admin", "--requests-per-minute", "1000")
    feedback = made(twin, "feedback", "--scope", "feedback")
    wrong = "twin-" + secrets.token_urlsafe(32)
    port = started()
    # Before there were so many refusals that only the first are noted.
    assert [models(port, key) for key in (wrong, feedback, None)] == [401, 403, 401]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for key in (right, feedback, wrong):
            put_everywhere(client, key, opened_by=right)
    break_off(port, right)
    assert twin("serve", "--stop").returncode == 0

    files = [path for path in Path(environment["TWIN_HOME"]).rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"api.log", "audit.jsonl"} <= names
    for path in files:
        content = path.read_bytes()
        for key in (right, feedback, wrong):
            for start in range(5, len(key) - 20, 4):
                assert key[start : start + 20].encode() not in content, path
    said = (Path(environment["TWIN_HOME"]) / "logs/api.log").read_text()
    audit = (Path(environment["TWIN_HOME"]) / "logs/audit.jsonl").read_text()
    assert "/v1/models/twin-**********" in said
    assert {"laptop", "feedback"} <= set(re.findall(r'"key_name":"(\w+)"', audit))
    assert {"unknown key", "no key", "scope ask is missing"} <= set(
        re.findall(r'"refused":"([\w ]+)"', audit)
    )


def put_everywhere(client: httpx.Client, key: str, *, opened_by: str) -> None:
    """Requests with `key` in headers, query, path, body, method, host and cookies."""
    bearing = {"authorization": f"Bearer {key}"}
    opening = {"authorization": f"Bearer {opened_by}"}
    chat = {"model": key, "messages": [{"role": "user", "content": key}], "stream": True}
    for headers in (bearing, opening, {"x-api-key": key}, {"cookie": f"key={key}"}, {}):
        client.post("/rag", json={"question": key}, headers=headers)
        client.post("/rag", json={key: key}, headers=headers)
        client.post("/rag", content=key, headers=headers)
        client.post("/v1/chat/completions", json=chat, headers=headers)
        client.post("/v1/chat/completions", json={**chat, "model": "twin"}, headers=headers)
        client.get(f"/v1/models/{key}", headers=headers)
        client.get(f"/v1/models/{'x' * 170}{key}", headers=headers)
        client.get(f"/{key}/{key}", headers=headers)
        client.get(f"/v1/models?key={key}", headers=headers)
        client.get("/v1/models", headers={**headers, "x-twin-retrieval": key})
        client.get("/v1/models", headers={**headers, "host": f"{key}.example"})
        client.get("/v1/models", headers={**headers, "user-agent": key, "origin": key})
        client.get("/v1/models", headers={**headers, "x-request-id": key, "traceparent": key})
        client.request(key, "/rag", headers=headers)
    client.get("/v1/models", headers={"authorization": key})
    client.get("/v1/models", headers={"authorization": f"Basic {key}"})


def break_off(port: int, key: str) -> None:
    """Requests that are no HTTP, or stop in the middle."""
    for said in (
        f"GET /{key} HTTP/9.9\r\n\r\n",
        f"{key}\r\n\r\n",
        f"GET / HTTP/1.1\r\nauthorization: Bearer {key}\r\nbroken {key}\r\n\r\n",
        f"POST /rag HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: 900\r\n\r\n{key}",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(said.encode())
