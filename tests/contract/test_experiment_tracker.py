"""Every tracker of experiments: it shows what it can, and never slows or fails a run."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.infrastructure import comet_experiments
from llm_engineering.infrastructure.comet_experiments import CometExperiments
from llm_engineering.infrastructure.comet_sender import Sent
from llm_engineering.infrastructure.no_experiments import NoExperiments
from llm_engineering.ports.jobs import ExperimentTracker
from tests.contract.comet_server import CometServer, running_comet

KEY = "k3y-that-nobody-may-see"
ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
LOGS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from llm_engineering.infrastructure.comet_experiments import CometExperiments
folder = Path(sys.argv[1])
tracker = CometExperiments(folder, api_key=None, workspace=None, project="p", offline=True)
with tracker.run("sft", parameters={}) as log:
    log({"loss": 0.25}, 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""

Open = Callable[[], ExperimentTracker]


def comet(
    folder: Path, *, api_key: str | None = None, wait_s: float = WITHIN_S
) -> CometExperiments:
    return CometExperiments(
        folder, api_key=api_key, workspace=None, project="p", offline=False, wait_s=wait_s
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "experiments"


@pytest.fixture
def dead_server(monkeypatch: pytest.MonkeyPatch) -> str:
    """Nobody listens there."""
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9")
    return "http://127.0.0.1:9"


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("COMET_URL_OVERRIDE", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CometServer]:
    with running_comet() as comet:
        monkeypatch.setenv("COMET_URL_OVERRIDE", comet.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield comet


@pytest.fixture(params=("none", "offline", "online", "dead server", "no room"))
def tracker(request: pytest.FixtureRequest, folder: Path) -> ExperimentTracker:
    match request.param:
        case "none":
            return NoExperiments()
        case "offline":
            return comet(folder)
        case "online" | "dead server":
            request.getfixturevalue("server" if request.param == "online" else "dead_server")
            return comet(folder, api_key=KEY)
        case _:
            folder.parent.mkdir()
            folder.write_text("in the way")
            return comet(folder)


def packed(folder: Path) -> list[Any]:
    """The messages of the one packed experiment."""
    (found,) = folder.glob("*.zip")
    with zipfile.ZipFile(found) as archive:
        return [json.loads(line) for line in archive.read("messages.json").splitlines()]


def payloads(folder: Path, kind: str) -> list[Any]:
    return [each["payload"] for each in packed(folder) if each["type"] == kind]


def metrics_in(folder: Path) -> list[tuple[str, float, int]]:
    """What was logged; comet_ml adds how long its own process took."""
    found = [payload["metric"] for payload in payloads(folder, "metric_msg")]
    values = [(each["metricName"], each["metricValue"], each["step"]) for each in found]
    return [value for value in values if value[0] != "process duration"]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_is_logged_and_never_waits(tracker: ExperimentTracker) -> None:
    with tracker.run("sft of Ada", parameters={"lora": {"rank": 16}, "path": Path("x")}) as log:
        started = time.monotonic()
        for step in range(2_000):
            log({"loss": 1 / (step + 1), "grad_norm": float("nan")}, step)
        assert time.monotonic() - started < 1.0


def test_an_error_of_the_run_goes_on_as_it_is(tracker: ExperimentTracker) -> None:
    def fail() -> None:
        with tracker.run("sft", parameters={}) as log:
            log({"loss": 1.0}, 1)
            raise ZeroDivisionError("of the run")

    with pytest.raises(ZeroDivisionError, match="of the run"):
        fail()


def test_offline_metrics_and_parameters_are_packed_for_later(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with comet(folder).run("sft", parameters={"lora": {"rank": 16}}) as log:
        log({"loss": 3.5}, 1)
        log({"loss": 2.5, "validation_loss": 2.75}, 2)
    assert metrics_in(folder) == [
        ("loss", 3.5, 1),
        ("loss", 2.5, 2),
        ("validation_loss", 2.75, 2),
    ]
    parameters = [payload["param"] for payload in payloads(folder, "parameter_msg")]
    assert ("lora|rank", 16) in [(each["paramName"], each["paramValue"]) for each in parameters]
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".zip"]
    assert "comet upload" in caplog.text


def test_online_everything_reaches_the_server_and_nothing_is_left_behind(
    folder: Path, server: CometServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with comet(folder, api_key=KEY).run("sft", parameters={"lora": {"rank": 16}}) as log:
        log({"loss": 1.0}, 1)
        until(lambda: server.projects == ["p"])  # the rest comes while it is being sent
        for step in range(2, 51):
            time.sleep(0.02)
            log({"loss": 1 / step}, step)
    logged = [metric for metric in server.metrics if metric[0] != "process duration"]
    assert logged == [("loss", 1 / step, step) for step in range(1, 51)]
    assert server.parameters["lora|rank"] == 16
    assert server.keys == {KEY}
    assert [path.suffix for path in folder.iterdir()] == [".json"]
    assert f"the metrics of sft are at {server.url}/ada/" in caplog.text


def test_a_key_that_is_refused_loses_nothing(
    folder: Path, server: CometServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = True
    with comet(folder, api_key=KEY).run("sft", parameters={}) as log:
        log({"loss": 3.5}, 1)
    assert metrics_in(folder) == [("loss", 3.5, 1)]
    assert "Comet did not take them" in caplog.text
    assert KEY not in caplog.text
    assert all(KEY.encode() not in path.read_bytes() for path in folder.iterdir())


def test_a_server_that_goes_away_in_the_middle_loses_nothing(
    folder: Path, server: CometServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # comet_ml would try for half a minute, in the background.
    monkeypatch.setenv("COMET_HTTP_SESSION_RETRY_TOTAL", "1")
    monkeypatch.setenv("COMET_TIMEOUT_CLEANING", "2")
    monkeypatch.setenv("COMET_TIMEOUT_UPLOAD", "2")
    with comet(folder, api_key=KEY, wait_s=0.1).run("sft", parameters={}) as log:
        log({"loss": 3.5}, 1)
        until(lambda: server.projects == ["p"])
        server.away = True
        log({"loss": 2.5}, 2)
    (lines,) = folder.glob("*.jsonl")
    until(lambda: Sent.read(lines) is not None)
    assert metrics_in(folder) == [("loss", 3.5, 1), ("loss", 2.5, 2)]


def test_without_a_server_the_metrics_are_packed_and_it_is_said(
    folder: Path, dead_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with comet(folder, api_key=KEY).run("sft", parameters={}) as log:
        log({"loss": 3.5}, 1)
    assert time.monotonic() - started < 30, "comet_ml itself waits for 33 s"
    assert metrics_in(folder) == [("loss", 3.5, 1)]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "no answer" in record.getMessage()
    assert "comet upload" in record.getMessage()


def test_a_server_that_says_nothing_is_given_up_in_the_background(
    folder: Path, silent_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with comet(folder, api_key=KEY, wait_s=0.5).run("sft", parameters={}) as log:
        log({"loss": 3.5}, 1)
    assert time.monotonic() - started < 4
    assert "sending goes on" in caplog.text
    (lines,) = folder.glob("*.jsonl")
    until(lambda: Sent.read(lines) is not None)
    assert metrics_in(folder) == [("loss", 3.5, 1)]


def test_what_a_killed_run_had_logged_is_packed(folder: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", LOGS_AND_DIES, str(folder)], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    until(lambda: any(folder.glob("*.json")))
    assert metrics_in(folder) == [("loss", 0.25, 1)]


def test_the_key_is_in_no_file_no_log_and_no_argument(
    folder: Path, dead_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with comet(folder, api_key=KEY, wait_s=0.1).run("sft", parameters={}) as log:
        log({"loss": 1.0}, 1)
        told = subprocess.run(
            ["ps", "-e", "-ww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout
        assert "comet_sender" in told
        assert KEY not in told
    (lines,) = folder.glob("*.jsonl")
    until(lambda: Sent.read(lines) is not None)
    for path in folder.rglob("*"):
        assert KEY.encode() not in path.read_bytes()
    with zipfile.ZipFile(next(folder.glob("*.zip"))) as archive:
        assert all(KEY.encode() not in archive.read(name) for name in archive.namelist())
    assert KEY not in caplog.text


def test_neither_the_machine_nor_its_user_is_described(
    folder: Path, server: CometServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada-at-home")
    monkeypatch.setenv("USER", "ada-at-home")
    with comet(folder, api_key=KEY).run("sft", parameters={}) as log:
        log({"loss": 1.0}, 1)
    told = " ".join(server.told)
    assert "Experiment summary" in told
    for private in ("ada-at-home", socket.gethostname(), str(ROOT), sys.executable):
        assert private not in told


def test_a_disk_that_is_full_loses_metrics_and_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with comet(folder, wait_s=0.1).run("sft", parameters={}) as log:
        (lines,) = folder.glob("*.jsonl")
        os.truncate(lines, 0)
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
        try:
            for step in range(100):
                log({"loss": 1.0}, step)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caplog.text.count("are lost: ") == 1


def test_a_missing_package_is_said_before_anything_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comet_experiments, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'llm-twin\[comet\]'"):
        comet(folder)
