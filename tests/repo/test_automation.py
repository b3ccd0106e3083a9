"""What runs around the code is pinned, closed to the outside, and calls commands that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repo.pages import ROOT

COMPOSE = ROOT / "docker" / "compose.yaml"
CI = ROOT / ".github" / "workflows" / "ci.yml"
PRE_COMMIT = ROOT / ".pre-commit-config.yaml"
FILES = sorted(
    {*(ROOT / ".github").rglob("*.y*ml"), *(ROOT / "docker").rglob("*.y*ml"), PRE_COMMIT}
)


def load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_image_is_pinned_to_an_exact_version(path: Path) -> None:
    assert [image for image in images(load(path)) if not pinned(image)] == []


def test_ci_tests_against_the_images_that_compose_starts() -> None:
    assert sorted(images(load(CI))) == sorted(images(load(COMPOSE))) != []


@pytest.mark.parametrize("service", load(COMPOSE)["services"].values(), ids=lambda s: s["image"])
def test_a_compose_service_is_local_healthy_and_keeps_its_data(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["healthcheck"]["test"]
    named = load(COMPOSE)["volumes"]
    assert service["volumes"]
    assert all(volume.partition(":")[0] in named for volume in service["volumes"])


def test_ci_may_only_read_and_pins_its_actions() -> None:
    workflow = load(CI)
    assert workflow["permissions"] == {"contents": "read"}
    used = [
        step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step
    ]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@v\d+", action)] == []


def test_ci_fails_where_a_server_is_missing() -> None:
    job = load(CI)["jobs"]["check"]
    assert {"TWIN_TEST_MONGO_URI", "TWIN_TEST_QDRANT_URL"} <= job["env"].keys()
    assert any("--require-backends" in step.get("run", "") for step in job["steps"])


def test_ci_has_a_browser_before_it_tests() -> None:
    runs = [step.get("run", "") for step in load(CI)["jobs"]["check"]["steps"]]
    (browser,) = [at for at, run in enumerate(runs) if "chromedriver" in run]
    (checks,) = [at for at, run in enumerate(runs) if "make check" in run]
    assert browser < checks


@pytest.mark.parametrize("path", [CI, PRE_COMMIT], ids=lambda path: path.name)
def test_every_make_target_that_automation_calls_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"\b(?:run|entry): make ([a-z-]+)", path.read_text(encoding="utf-8"))
    assert called
    assert [name for name in called if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_hooks_fetch_nothing() -> None:
    assert {repo["repo"] for repo in load(PRE_COMMIT)["repos"]} == {"local"}


@pytest.mark.parametrize("image", ["mongo", "mongo:8", "mongo:latest", "qdrant/qdrant:v1.20"])
def test_a_loose_image_is_noticed(image: str) -> None:
    assert not pinned(image)


def pinned(image: str) -> bool:
    return re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", image) is not None


def images(node: object) -> list[str]:
    """Every `image:` below `node`."""
    match node:
        case dict():
            own = [node["image"]] if isinstance(node.get("image"), str) else []
            return own + [image for child in node.values() for image in images(child)]
        case list():
            return [image for child in node for image in images(child)]
        case _:
            return []
