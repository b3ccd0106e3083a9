"""`twin dataset` as it is typed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.samples import SampleSet
from tests.unit.corpus import built, notes
from tools.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def error(self) -> str:
        """The one line on stderr of a command that failed."""
        assert (self.code, self.out) == (1, "")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("twin: error: ").rstrip("\n")


Twin = Callable[..., Outcome]


@pytest.fixture
def twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Twin:
    """Runs `twin` in an empty folder with nothing set but TWIN_HOME."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("TWIN_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return built(notes())


@pytest.fixture
def kept(twin: Twin, samples: SampleSet) -> SampleSet:
    with open_app() as app:
        app.samples.put(samples)
    return samples


def test_without_a_set_the_fix_is_named(twin: Twin) -> None:
    assert twin("dataset", "list").err == "no sample sets; make one with 'twin run datasets'\n"
    assert twin("dataset", "show").error() == "no sample sets; make one with 'twin run datasets'"


def test_sets_are_listed_between_tabs(twin: Twin, kept: SampleSet) -> None:
    (line,) = twin("dataset", "list").out.splitlines()

    version, _, author, documents, instruct, *_ = line.split("\t")
    assert (version, author) == (kept.manifest.version, "Ada Lovelace")
    assert (documents, instruct) == ("40", str(len(kept.instruct)))
    assert json.loads(twin("dataset", "list", "--json").out)[0]["version"] == version


@pytest.mark.parametrize("length", [4, 12])
def test_a_set_is_shown_by_a_beginning_of_its_version(
    twin: Twin, kept: SampleSet, length: int
) -> None:
    shown = twin("dataset", "show", kept.manifest.version[:length])

    assert shown.code == 0
    assert shown.out.startswith("---\n")
    assert "# Writing samples of Ada Lovelace" in shown.out
    numbers = json.loads(twin("dataset", "show", "--json").out)
    assert numbers["version"] == kept.manifest.version


def test_an_unknown_version_names_those_there_are(twin: Twin, kept: SampleSet) -> None:
    error = twin("dataset", "show", "zz").error()

    assert error == f"no sample set 'zz'; there are {kept.manifest.version}"


def test_an_export_can_be_read_as_json_lines(twin: Twin, kept: SampleSet, tmp_path: Path) -> None:
    assert twin("dataset", "export", "out").code == 0

    lines = (tmp_path / "out" / "instruct.train.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0])
    assert row["completion"][0]["content"] == kept.instruct[0].completion
    assert row["url"] == kept.instruct[0].target.document.url
    assert "instruct.test.jsonl" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_an_export_can_be_read_as_parquet(twin: Twin, kept: SampleSet, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert twin("dataset", "export", "out", "--format", "parquet").code == 0

    table = parquet.read_table(tmp_path / "out" / "instruct.train.parquet")
    rows = table.to_pylist()
    assert len(rows) == kept.manifest.splits["train"].instruct  # type: ignore[index]
    assert rows[0]["completion"] == [{"role": "assistant", "content": kept.instruct[0].completion}]


def test_an_export_overwrites_nothing(twin: Twin, kept: SampleSet, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    assert "'out' is there already" in twin("dataset", "export", "out").error()
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_that_cannot_be_written_is_one_line(
    twin: Twin, kept: SampleSet, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    assert "cannot write 'file/out'" in twin("dataset", "export", "file/out").error()


def test_parquet_without_pyarrow_names_the_extra(
    twin: Twin, kept: SampleSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tools.dataset_files.find_spec", lambda name: None)

    error = twin("dataset", "export", "out", "--format", "parquet").error()
    assert error == "'pyarrow' is not installed; pip install 'llm-twin[train]'"
    assert not (tmp_path / "out").exists()


def test_nothing_is_pushed_without_a_token(twin: Twin, kept: SampleSet) -> None:
    pytest.importorskip("huggingface_hub")

    assert twin("dataset", "push", "ada/notes").error().startswith("HF_TOKEN is not set; make")
