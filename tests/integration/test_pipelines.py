"""Pipelines as a user runs them: a fresh process, ZenML's own database, real stores."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tools import processes

LONG_NOTE = "Sourdough wants time. " * 30

INSPECT = """
import json, sys
from pathlib import Path
from pipelines.zenml_home import open_zenml
open_zenml(Path(sys.argv[1]))
from zenml.client import Client
runs = {}
for run in Client().list_pipeline_runs(size=50).items:
    steps = Client().list_run_steps(pipeline_run_id=run.id, hydrate=True).items
    runs[run.name] = {
        "status": run.status.value,
        "steps": {
            step.name: {
                "status": step.status.value,
                "numbers": dict(step.run_metadata),
                "artifacts": {n: type(a[0].load()).__name__ for n, a in step.outputs.items()},
                "drawn": [
                    v.type.value
                    for a in step.outputs.values() for v in a[0].visualizations or ()
                ],
            }
            for step in steps
        },
    }
print(json.dumps(runs))
"""


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class Place:
    """A home and a folder of writing of their own."""

    root: Path
    port: int

    @property
    def home(self) -> Path:
        return self.root / "twin"

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWIN_", "ZENML_"))}
        return kept | {
            "HOME": str(self.root / "user"),
            "XDG_CONFIG_HOME": str(self.root / "user" / ".config"),
            "TWIN_HOME": str(self.home),
            "TWIN_EMBEDDER__KIND": "hash",
            "TWIN_DASHBOARD__PORT": str(self.port),
        }

    def python(self, *arguments: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def twin(self, *arguments: str) -> Outcome:
        return self.python("-m", "tools.cli", *arguments)

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = Place(tmp_path_factory.mktemp("pipelines"), port)
    place.notes.mkdir()
    (place.root / "user").mkdir()
    (place.notes / "bread.md").write_text(f"# Bread\n\n{LONG_NOTE}\n", encoding="utf-8")
    (place.notes / "tea.md").write_text(
        "---\ndate: 2024-05-06\n---\n# Tea\n\nI don't boil green tea.\n", encoding="utf-8"
    )
    (place.root / "end_to_end.yaml").write_text(
        "etl: {author: {name: Ada}, sources: [{kind: files, path: notes}]}\n", encoding="utf-8"
    )
    (place.root / "etl.yaml").write_text(
        "author: {name: Ada}\nsources: [{kind: files, path: nowhere}]\n", encoding="utf-8"
    )
    yield place
    place.twin("stack", "down")


@pytest.fixture(scope="module")
def first(place: Place) -> Outcome:
    return place.twin("run", "end_to_end", "-c", "end_to_end.yaml", "--json")


@pytest.fixture(scope="module")
def failed(place: Place) -> Outcome:
    return place.twin("run", "etl", "-c", "etl.yaml", "--json")


@pytest.fixture(scope="module")
def in_zenml(place: Place, first: Outcome, failed: Outcome) -> dict[str, Any]:
    """What ZenML's own client knows of the runs."""
    inspected: dict[str, Any] = place.python("-c", INSPECT, str(place.home)).json()
    return inspected


def test_a_run_crawls_and_indexes_and_says_so(first: Outcome) -> None:
    assert first.code == 0, first.err
    outcome = first.json()

    assert outcome["status"] == "completed"
    assert outcome["reports"]["crawl"]["new"] == 2
    assert outcome["reports"]["features"]["documents"] == 2
    assert outcome["reports"]["features"]["embedded"] >= 2


def test_the_run_writes_its_page_and_keeps_zenml_silent(place: Place, first: Outcome) -> None:
    page = Path(first.json()["page"])

    assert page.parent == place.home / "reports"
    assert "2024-05" in page.read_text(encoding="utf-8")
    assert first.err == ""


def test_zenml_has_the_run_with_numbers_data_and_pages(
    first: Outcome, in_zenml: dict[str, Any]
) -> None:
    run = in_zenml[first.json()["run"]]
    crawled, indexed = run["steps"]["crawl_sources"], run["steps"]["index_documents"]

    assert run["status"] == "completed"
    assert crawled["numbers"]["new"] == 2
    assert indexed["numbers"]["chunks"] == first.json()["reports"]["features"]["chunks"]
    assert crawled["artifacts"] == {"crawl_report": "CrawlReport", "crawl_page": "HTMLString"}
    assert indexed["artifacts"] == {"feature_report": "FeatureReport", "feature_page": "HTMLString"}
    assert "html" in crawled["drawn"]
    assert "html" in indexed["drawn"]


def test_a_failed_crawl_is_one_line_and_exit_code_1(failed: Outcome) -> None:
    assert failed.code == 1
    assert failed.err.count("\n") == 1
    assert failed.err.startswith("twin: error: nothing could be read")
    assert failed.json()["status"] == "failed"
    assert failed.json()["error"] in failed.err


def test_a_failed_crawl_is_red_in_zenml_and_keeps_its_page(
    failed: Outcome, in_zenml: dict[str, Any]
) -> None:
    run = in_zenml[failed.json()["run"]]
    step = run["steps"]["crawl_sources"]

    assert (run["status"], step["status"]) == ("failed", "failed")
    assert step["artifacts"] == {"crawl_report": "CrawlReport", "crawl_page": "HTMLString"}
    assert step["numbers"]["failed"] == 1
    page = Path(failed.json()["page"]).read_text(encoding="utf-8")
    assert "no such folder" in page


def test_zenml_keeps_to_its_home(place: Place, in_zenml: dict[str, Any]) -> None:
    settings = (place.home / "zenml" / "config.yaml").read_text(encoding="utf-8")

    assert "analytics_opt_in: false" in settings
    assert not list((place.root / "user").rglob("*zenml*"))
    assert not (place.root / ".zen").exists()


def test_a_wrong_key_is_one_line_and_nothing_is_run(place: Place) -> None:
    outcome = place.twin("run", "etl", "-c", "etl.yaml", "-s", "http.timout_s=3")

    assert outcome == (
        1,
        "",
        "twin: error: -s http.timout_s=3: unknown key http.timout_s; did you mean timeout_s?\n",
    )


def test_a_dry_run_prints_the_config_without_zenml(place: Place) -> None:
    without = (
        "import sys; sys.modules['zenml'] = None; from tools.cli import main; sys.exit(main())"
    )

    outcome = place.python(
        "-c", without, "run", "etl", "-c", "etl.yaml", "--no-cache", "--dry-run", "--json"
    )

    assert outcome.code == 0, outcome.err
    assert outcome.json()["refetch"] is True
    assert outcome.json()["author"] == {"name": "Ada"}


def test_without_zenml_the_extra_is_named(place: Place) -> None:
    without = (
        "import sys; sys.modules['zenml'] = None; from tools.cli import main; sys.exit(main())"
    )

    outcome = place.python("-c", without, "run", "etl", "-c", "etl.yaml")

    assert outcome.code == 1
    assert outcome.err == ("twin: error: 'zenml' is not installed; pip install 'llm-twin[zenml]'\n")


def test_the_dashboard_shows_runs_and_new_ones_too(place: Place, first: Outcome) -> None:
    url = f"http://127.0.0.1:{place.port}"
    assert place.twin("stack", "status", "--json").json() == {"dashboard": "down", "url": None}

    up = place.twin("stack", "up", "--json")
    assert up.json() == {"dashboard": "up", "url": url}, up.err
    assert place.twin("stack", "up", "--json").json() == {"dashboard": "up", "url": url}
    second = place.twin("run", "end_to_end", "-c", "end_to_end.yaml", "--json")
    shown = {run["name"] for run in place.get("/api/v1/runs?size=50")["items"]}
    server = processes.running(place.home / "run" / "dashboard.json")
    assert server is not None
    assert place.twin("stack", "down", "--json").json() == {"dashboard": "down", "url": None}

    assert {first.json()["run"], second.json()["run"]} <= shown
    assert second.json()["reports"]["crawl"]["unchanged"] == 2
    assert second.json()["reports"]["features"]["embedded"] == 0
    assert not processes.alive(server)
    assert place.twin("stack", "down").code == 0


def test_a_taken_port_is_one_line(place: Place) -> None:
    with socket.create_server(("127.0.0.1", place.port)):
        outcome = place.twin("stack", "up")

    assert outcome == (
        1,
        "",
        f"twin: error: port {place.port} on 127.0.0.1 cannot be had: Address already in use; "
        "set TWIN_DASHBOARD__PORT to a free one\n",
    )
