"""`twin model export`: whole or not at all, and one line for what is missing."""

import os
import stat
import sys
from pathlib import Path

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import InvalidInput, MissingExtra, TrainingFailed
from tests.unit.versions import adapter_folder, manifest, result
from tools import model_export
from tools.cli import main
from tools.model import base_of
from tools.model_export import Export, Format, export_model, tool_command


def export(adapter: Path, form: Format, *, tool: str | None = None) -> Export:
    return Export(form=form, base="nowhere", adapter=adapter, weights="int8", tool=tool)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return adapter_folder(tmp_path / "adapter")


def script(path: Path, body: str) -> str:
    """A converter of our own making."""
    path.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging, without a model: it has tests of its own."""

    def made(given: Export, scratch: Path) -> Path:
        (scratch / "model").mkdir()
        (scratch / "model" / "weights").write_text("merged")
        return scratch / "model"

    monkeypatch.setattr(model_export, "merged", made)


def test_an_adapter_is_copied_whole(adapter: Path, tmp_path: Path) -> None:
    export_model(export(adapter, "adapter"), tmp_path / "new" / "out")

    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "out").iterdir()} == {
        path.name: path.read_bytes() for path in adapter.iterdir()
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


@pytest.mark.usefixtures("merged")
def test_a_converter_gets_the_merged_model_and_its_file_is_moved_into_place(
    adapter: Path, tmp_path: Path
) -> None:
    tool = script(
        tmp_path / "convert",
        "out = sys.argv[sys.argv.index('--outfile') + 1]\n"
        "model = Path(sys.argv[1])\n"
        "Path(out).write_text((model / 'weights').read_text() + ' '.join(sys.argv[4:]))",
    )

    export_model(export(adapter, "gguf", tool=tool), tmp_path / "twin.gguf")

    assert (tmp_path / "twin.gguf").read_text() == "merged--outtype q8_0"


@pytest.mark.usefixtures("merged")
def test_a_converter_that_fails_leaves_nothing_and_its_last_line_is_said(
    adapter: Path, tmp_path: Path
) -> None:
    tool = script(tmp_path / "convert", "sys.exit('first\\nNotImplementedError: no such model')")
    (tmp_path / "out").mkdir()

    with pytest.raises(TrainingFailed, match="exit code 1: NotImplementedError: no such model"):
        export_model(export(adapter, "gguf", tool=tool), tmp_path / "out" / "twin.gguf")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_converter_may_be_a_command_of_several_words(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "convert.py").touch()
    tool = f"{sys.executable} '{tmp_path}/convert.py'"

    assert tool_command(export(adapter, "gguf", tool=tool)) == [
        sys.executable,
        f"{tmp_path}/convert.py",
    ]


@pytest.mark.parametrize("tool", [None, "nowhere/optimum-cli", f"{sys.executable} nowhere.py"])
def test_a_missing_converter_is_said_before_anything_is_merged(
    adapter: Path, tmp_path: Path, tool: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidInput, match="needs an environment of its own") as refused:
        export_model(export(adapter, "openvino", tool=tool), tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_taken_or_cannot_be_written_is_refused(
    adapter: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="exists; name a place that does not"):
        export_model(export(adapter, "adapter"), tmp_path / "file")
    with pytest.raises(InvalidInput, match=r"cannot write .*choose another place"):
        export_model(export(adapter, "adapter"), tmp_path / "file" / "below")


def test_merging_without_its_libraries_names_the_extra(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_export, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"llm-twin\[train\]"):
        export_model(export(adapter, "merged"), tmp_path / "out")


def test_a_base_is_found_below_the_home_or_taken_as_it_is_named(
    adapter: Path, tmp_path: Path
) -> None:
    given = manifest(adapter, result(), base="nano-1")
    assert base_of(given, home=tmp_path) == "nano-1"
    (tmp_path / "nano-1").mkdir(parents=True)
    assert base_of(given, home=tmp_path) == str(tmp_path / "nano-1")


def test_the_command_exports_a_registered_version(
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    given = manifest(adapter, result())
    with open_app() as app:
        app.models.add(given, adapter=adapter)

    assert main(["model", "export", given.version, str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()
    capsys.readouterr()
    assert main(["model", "export", given.version[:-1], str(tmp_path / "other")]) == 1
    assert f"did you mean '{given.version}'?" in capsys.readouterr().err
    (tmp_path / "home" / "models" / given.version / "adapter" / "adapter_config.json").unlink()
    assert main(["model", "export", given.version, str(tmp_path / "other")]) == 1
    assert "the version is damaged" in capsys.readouterr().err
