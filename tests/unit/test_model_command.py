"""`twin model`: what was trained, what may go into production, what answers."""

import json
import os
import sys
from pathlib import Path

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.training import JobResult
from tests.unit.versions import adapter_folder, held_out, manifest, result
from tools.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "zenml", None)  # the registry needs none
    monkeypatch.setattr("tools.model.find_spec", lambda name: None)
    return tmp_path / "home"


def add(folder: Path, figures: JobResult, *, seed: int = 0) -> str:
    adapter = adapter_folder(folder / f"trained-{seed}", seed=seed)
    given = manifest(adapter, figures, minutes=seed)
    with open_app() as app:
        app.models.add(given, adapter=adapter)
    return given.version


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """stdout of a command that succeeds."""
    capsys.readouterr()
    assert main(arguments) == 0
    return capsys.readouterr().out


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_versions_are_listed_with_their_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "model", "list") == ""
    first = add(tmp_path, result())
    second = add(tmp_path, result("dpo", after=held_out(2.9, 0.2)), seed=1)
    said(capsys, "model", "promote", first)

    rows = [line.split("\t") for line in said(capsys, "model", "list").splitlines()]
    assert [row[:2] for row in rows] == [[second, "candidate"], [first, "production"]]
    assert rows[0][5:7] == ["3.000 -> 2.900", "+0.200"]
    assert rows[1][5:7] == ["3.000 -> 2.500", ""]
    listed = json.loads(said(capsys, "model", "list", "--json"))
    assert [each["manifest"]["version"] for each in listed] == [second, first]


def test_a_version_is_shown_with_what_keeps_it_from_production(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = add(tmp_path, result(after=held_out(3.5)))

    facts = dict(line.split("\t") for line in said(capsys, "model", "show", version).splitlines())
    assert facts["measured"] == "test loss 3.0000 -> 3.5000 (+16.7%) on 20 rows"
    assert "is not below the base's" in facts["not promotable"]
    shown = json.loads(said(capsys, "model", "show", version, "--json"))
    assert shown["manifest"]["document_ids"] == ["d1", "d2"]
    assert shown["shortcomings"] == [facts["not promotable"]]


def test_promoting_says_what_allowed_it_and_what_it_replaced(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (add(tmp_path, result(), seed=seed) for seed in range(2))

    assert said(capsys, "model", "promote", first) == (
        f"{first} is in production: test loss 3.0000 -> 2.5000 (-16.7%) on 20 rows\n"
    )
    promoted = json.loads(said(capsys, "model", "promote", second, "--json"))
    assert (promoted["manifest"]["version"], promoted["previous"]) == (second, first)
    assert json.loads((home / "models" / "production.json").read_text()) == promoted


def test_bad_requests_are_one_line_each(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = add(tmp_path, result())
    unmeasured = add(tmp_path, result(after=None), seed=1)

    assert f"did you mean '{version}'?" in error(capsys, "model", "show", version[:-1])
    assert "was not measured" in error(capsys, "model", "promote", unmeasured)
    with open_app() as app:
        app.models.taint({"d1"}, reason="d1 was forgotten")
    assert "it is tainted: d1 was forgotten" in error(capsys, "model", "promote", version)
    (home / "models" / version / "manifest.json").unlink()
    assert "the version is damaged" in error(capsys, "model", "list")
