"""The datasets pipeline as a user runs it: a fresh process, ZenML's own database, real stores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import Settings
from tests.unit.corpus import notes

SMALL = ("-s", "min_train=20", "-s", "min_held_out=2")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    (root / "datasets.yaml").write_text("languages: [en]\n", encoding="utf-8")
    with open_app(Settings(home=root / "home")) as app:
        app.documents.put(notes())
    return root


def twin(root: Path, *arguments: str, **environment: str) -> Outcome:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWIN_", "ZENML_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments],
        cwd=root,
        env=kept | {"HOME": str(root), "TWIN_HOME": str(root / "home")} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run(root: Path, *arguments: str, **environment: str) -> Outcome:
    return twin(root, "run", "datasets", "-c", "datasets.yaml", "--json", *arguments, **environment)


@pytest.fixture(scope="module")
def first(root: Path) -> Outcome:
    return run(root, *SMALL)


def test_a_run_keeps_a_set_and_says_what_it_holds(root: Path, first: Outcome) -> None:
    assert first.code == 0, first.err
    report = first.json()["reports"]["datasets"]

    place = root / "home" / "datasets" / report["version"]
    lines = (place / "instruct.train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == report["splits"]["train"]["instruct"] > 100
    assert report["leaks"] == 0
    page = Path(first.json()["page"]).read_text(encoding="utf-8")
    assert "the past is trained on, the latest tested on" in page


def test_a_teacher_that_is_down_is_one_line_and_keeps_nothing(root: Path, first: Outcome) -> None:
    before = sorted((root / "home" / "datasets").iterdir())
    refused = run(
        root,
        *SMALL,
        TWIN_CHAT__KIND="openai",
        TWIN_CHAT__BASE_URL="http://127.0.0.1:9/v1",
    )

    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "does not answer" in refused.err
    assert "teacher.calls=0" in refused.err
    assert sorted((root / "home" / "datasets").iterdir()) == before
