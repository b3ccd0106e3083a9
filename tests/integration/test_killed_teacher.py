"""A teacher's answers are paid for once, also when the command that asked is killed."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import Settings
from tests.contract.chat_server import COMPLETIONS, ChatServer, chat_server
from tests.unit.corpus import notes

ROOT = Path(__file__).parents[2]
CALLS, BEFORE = 24, 7
MAKES_SAMPLES = f"""
from llm_engineering.application.datasets.config import DatasetsConfig, TeacherRule
from steps import datasets
datasets.page_of = lambda report: ""
rule = TeacherRule(calls={CALLS})
datasets.make_samples.entrypoint(DatasetsConfig(teacher=rule, min_train=20, min_held_out=2))
"""
"""The step of the pipeline, without the page that it leaves in ZenML's database."""


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def instruction(asked: str) -> str:
    """Another one for each text."""
    return f"Explain what part {hashlib.sha256(asked.encode()).hexdigest()[:8]} is there for."


def asked(server: ChatServer) -> list[str]:
    """The prompts since it was called last."""
    found = [str(each.body["messages"][-1]["content"]) for each in server.asked]
    assert set(server.paths()) <= {COMPLETIONS}
    assert {each.body["temperature"] for each in server.asked} <= {0}
    del server.asked[:]
    return found


def command(root: Path, server: ChatServer) -> "subprocess.Popen[str]":
    if not (root / "home").exists():
        with open_app(Settings(home=root / "home")) as app:
            app.documents.put(notes())
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWIN_", "ZENML_"))}
    chat = {
        "TWIN_CHAT__KIND": "openai",
        "TWIN_CHAT__BASE_URL": server.base_url,
        "TWIN_CHAT__MODEL": "teacher",
    }
    return subprocess.Popen(
        [sys.executable, "-c", MAKES_SAMPLES],
        cwd=ROOT,
        env=kept | {"HOME": str(root), "TWIN_HOME": str(root / "home")} | chat,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def completed(root: Path, server: ChatServer) -> str:
    """Run it; the version of the one set that is there afterwards."""
    made = command(root, server)
    said, _ = made.communicate(timeout=180)
    assert made.returncode == 0, said
    (version,) = (path.name for path in (root / "home" / "datasets").iterdir())
    return version


def answers_kept(file: Path) -> int:
    if not file.exists():
        return 0
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:  # just being made
        return 0
    finally:
        connection.close()


def test_a_killed_run_asks_only_what_is_missing_and_makes_the_same_set(
    tmp_path: Path, server: ChatServer
) -> None:
    gate, number = Event(), count()
    paid: list[str] = []

    def stalls(text: str) -> str:
        if next(number) < BEFORE:
            paid.append(text)
        else:
            gate.wait()
        return instruction(text)

    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    server.answers = stalls
    first = command(tmp_path / "killed", server)
    deadline = time.monotonic() + 120
    while answers_kept(tmp_path / "killed" / "home" / "teacher.db") < BEFORE:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    gate.set()
    server.answers = instruction
    asked(server)

    version = completed(tmp_path / "killed", server)

    rest = asked(server)
    assert len(rest) == len(set(rest)) == CALLS - BEFORE
    assert not set(rest) & set(paid)
    assert completed(tmp_path / "killed", server) == version
    assert asked(server) == [], "everything was answered before"
    assert completed(tmp_path / "whole", server) == version
    assert sorted(asked(server)) == sorted([*rest, *paid])
