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


def add(folder: Path, figures: JobResult, *, seed: int = 0, **given: str) -> str:
    adapter = adapter_folder(folder / f"trained-{seed}", seed=seed)
    made = manifest(adapter, figures, minutes=seed, **given)
    with open_app() as app:
        app.models.add(made, adapter=adapter)
    return made.version


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
    first = add(tmp_path, result())
    second = add(tmp_path, result(after=held_out(2.4)), seed=1)

    assert said(capsys, "model", "promote", first) == (
        f"{first} is in production: test loss 3.0000 -> 2.5000 (-16.7%) on 20 rows\n"
    )
    assert f"{first} is in production already, since 20" in said(capsys, "model", "promote", first)
    promoted = json.loads(said(capsys, "model", "promote", second, "--json"))
    assert (promoted["manifest"]["version"], promoted["previous"]) == (second, first)
    assert promoted["comparison"]["on"]["production_loss"] == 2.5
    assert json.loads((home / "models" / "production.json").read_text()) == promoted


def test_a_version_is_brought_back_by_promoting_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = add(tmp_path, result())
    second = add(tmp_path, result(after=held_out(2.4)), seed=1)
    said(capsys, "model", "promote", first)
    said(capsys, "model", "promote", second)

    assert main(["model", "promote", first]) == 0

    out, err = capsys.readouterr()
    assert out.startswith(f"{first} is back in production instead of {second}: it was in")
    assert f"'twin model promote {second}' brings {second} back" in err


def test_a_version_is_shown_beside_the_one_in_production(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = add(tmp_path, result())
    worse = add(tmp_path, result(after=held_out(2.6)), seed=1)
    said(capsys, "model", "promote", first)

    facts = dict(line.split("\t") for line in said(capsys, "model", "show", worse).splitlines())
    assert facts["production"].startswith(f"beside {first} test loss 2.6000 against 2.5000")
    assert facts["not promotable"].startswith("its test loss 2.6000 is not below the 2.5000")
    assert "production" not in said(capsys, "model", "show", first).replace("stage\tproduction", "")


def test_what_cannot_be_compared_needs_a_persons_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = add(tmp_path, result())
    unlike = add(tmp_path, result(), seed=1, base="org/8b")
    said(capsys, "model", "promote", first)

    assert f"'twin model promote {unlike} --uncompared'" in error(
        capsys, "model", "promote", unlike
    )
    assert "; not compared with" in said(capsys, "model", "promote", unlike, "--uncompared")


def test_a_promotion_is_told_although_another_version_is_damaged(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, broken = add(tmp_path, result()), add(tmp_path, result(), seed=1)
    (home / "models" / broken / "manifest.json").write_text("{")

    assert f"{version} is in production: " in said(capsys, "model", "promote", version)


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
